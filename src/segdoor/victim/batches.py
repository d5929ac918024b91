"""Scenes kept where a training reads them, and stacked into batches on its device."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from segdoor.data.scene import Scene, SceneDataset
from segdoor.victim.augment import Batch
from segdoor.victim.config import NetworkConfig
from segdoor.victim.normalisation import normalised

_HOST_BYTES = 4_000_000_000
_SHARE_OF_DEVICE = 0.5
_ALL = slice(None)

Kept = tuple[Tensor, Tensor]
"""Image, uint8, H x W x 3, and label map, uint8, H x W."""


class Shelf:
    """Keeps each different scene once: on the device, or in host memory when that is full.

    Several trainings may share one: of two poisoned copies of a data set, the scenes that neither
    changed lie here once. It goes by their bytes alone.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        device_bytes: int | None = None,
        host_bytes: int = _HOST_BYTES,
    ) -> None:
        """Choose the device.

        Args:
            device: Where batches are wanted.
            device_bytes: How much of its memory scenes may take; half of what is free if None.
            host_bytes: How much of the host's memory; beyond, scenes are not kept.
        """
        self.device = device
        self._device_room = _free_bytes(device) if device_bytes is None else device_bytes
        self._host_room = host_bytes
        self._kept: dict[bytes, Kept] = {}

    def __len__(self) -> int:
        """Return how many scenes are kept."""
        return len(self._kept)

    def put(self, scene: Scene) -> tuple[Kept, bool]:
        """Return a scene as tensors, and whether they are kept."""
        key = _digest(scene)
        if key not in self._kept:
            size = scene.image.nbytes + scene.label.nbytes
            if size > max(self._device_room, self._host_room):
                return _tensors(scene), False
            self._kept[key] = self._placed(_tensors(scene), size)
        return self._kept[key], True

    def _placed(self, scene: Kept, size: int) -> Kept:
        if size <= self._device_room:
            self._device_room -= size
            # The host waits here, once a scene: another training may read it on another stream.
            return scene[0].to(self.device), scene[1].to(self.device)
        self._host_room -= size
        if self.device.type != "cuda":
            return scene
        return scene[0].pin_memory(), scene[1].pin_memory()


class SceneStore:
    """Scenes by position, read once and then kept as far as there is room."""

    def __init__(self, dataset: SceneDataset, shelf: Shelf) -> None:
        """Look at the first scene's size."""
        self._dataset, self._shelf = dataset, shelf
        self._kept: dict[int, Kept] = {}
        self._sizes: dict[int, Size] = {}
        height, width = dataset.label(0).shape
        self.first_size = (height, width)
        self.classes, self.num_scenes = dataset.classes, len(dataset)

    def batch(
        self, indices: np.ndarray, network: NetworkConfig, share: slice = _ALL
    ) -> tuple[Batch, list[Size]]:
        """Return scenes of a batch, normalised on the device, and the sizes of all in the batch.

        They are padded on the lower right to the largest of all, with zeros and ignored labels.

        Args:
            indices: Positions of the batch's scenes.
            network: What images the network expects.
            share: Which of them to return.
        """
        device = self._shelf.device
        scenes = [self._scene(int(index)) for index in indices[share]]
        images = [image.to(device, non_blocking=True) for image, _ in scenes]
        labels = [label.to(device, non_blocking=True) for _, label in scenes]
        sizes = [self._size(int(index)) for index in indices]
        if len(set(sizes)) == 1:
            stacked = torch.stack(images), torch.stack(labels)
            return _normalised(*stacked, network), sizes
        padded = _padded(images, sizes, 0), _padded(labels, sizes, self.classes.ignore_index)
        batch = _normalised(*padded, network)
        inside = _padded([torch.ones_like(label) for label in labels], sizes, 0)[:, None]
        return Batch(batch.images * inside, batch.labels), sizes

    def _scene(self, index: int) -> Kept:
        if index in self._kept:
            return self._kept[index]
        scene, kept = self._shelf.put(self._dataset[index])
        if kept:
            self._kept[index] = scene
        self._sizes[index] = scene[1].shape[0], scene[1].shape[1]
        return scene

    def _size(self, index: int) -> Size:
        if index not in self._sizes:
            height, width = self._dataset.label(index).shape
            self._sizes[index] = height, width
        return self._sizes[index]


Size = tuple[int, int]
"""Height and width in pixels."""


def _normalised(images: Tensor, labels: Tensor, network: NetworkConfig) -> Batch:
    return Batch(normalised(images, network), labels.long())


def _padded(scenes: list[Tensor], sizes: list[Size], value: int) -> Tensor:
    height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
    whole = scenes[0].new_full((len(scenes), height, width, *scenes[0].shape[2:]), value)
    for into, scene in zip(whole, scenes, strict=True):
        into[: scene.shape[0], : scene.shape[1]] = scene
    return whole


def _tensors(scene: Scene) -> Kept:
    # A copy, because a pack hands out read-only views of its file.
    return torch.from_numpy(np.array(scene.image)), torch.from_numpy(np.array(scene.label))


def _digest(scene: Scene) -> bytes:
    digest = hashlib.blake2b(repr(scene.image.shape).encode(), digest_size=32)
    digest.update(np.ascontiguousarray(scene.image).data)
    digest.update(np.ascontiguousarray(scene.label).data)
    return digest.digest()


def _free_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return int(free * _SHARE_OF_DEVICE)

"""Batches: which scenes each step is done on, put together on the device and changed at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from segdoor.data.scene import SceneDataset
from segdoor.randomness import Stream
from segdoor.victim.config import AugmentationConfig, NetworkConfig, TrainingConfig
from segdoor.victim.normalisation import normalised
from segdoor.victim.training.blurred_first import blurred_first
from segdoor.victim.training.blurred_last import blurred_last
from segdoor.victim.training.cache import CachedScene, SceneCache
from segdoor.victim.training.changes import draw_changes

_ALL = slice(None)
_ORDERS: Final = {"before_scaling": blurred_first, "after_scaling": blurred_last}

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Batch:
    """Scenes on the device.

    Attributes:
        images: Normalised, float32, B x 3 x H x W.
        labels: Class ids, int64, B x H x W.
    """

    images: Tensor
    labels: Tensor


class SceneStore:
    """Scenes by position, read once and then kept as far as there is room."""

    def __init__(self, dataset: SceneDataset, cache: SceneCache) -> None:
        """Look at the first scene's size."""
        self._dataset, self._cache = dataset, cache
        self._kept: dict[int, CachedScene] = {}
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
        device = self._cache.device
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

    def planned(self, config: TrainingConfig, stream: Stream) -> Iterator[np.ndarray]:
        """Yield positions of each step's scenes; an epoch's incomplete last batch is left out."""
        size = config.batch_size
        for epoch in range(config.epochs):
            order = stream.child("order", epoch).generator().permutation(self.num_scenes)
            for position in range(self.steps_per_epoch(config)):
                yield order[position * size : (position + 1) * size]

    def steps_per_epoch(self, config: TrainingConfig) -> int:
        """Return how many steps an epoch has: one at least."""
        return max(1, self.num_scenes // config.batch_size)

    def _scene(self, index: int) -> CachedScene:
        if index in self._kept:
            return self._kept[index]
        scene, kept = self._cache.put(self._dataset[index])
        if kept:
            self._kept[index] = scene
        self._sizes[index] = scene[1].shape[0], scene[1].shape[1]
        return scene

    def _size(self, index: int) -> Size:
        if index not in self._sizes:
            height, width = self._dataset.label(index).shape
            self._sizes[index] = height, width
        return self._sizes[index]


@dataclass(frozen=True)
class Augmentation:
    """Draws and applies the random changes.

    Attributes:
        config: What is drawn.
        crop: Height and width of the output.
        ignore_index: Label of pixels that come from outside a scene.
    """

    config: AugmentationConfig
    crop: tuple[int, int]
    ignore_index: int

    def __call__(
        self,
        batch: Batch,
        sizes: list[tuple[int, int]],
        rng: np.random.Generator,
        share: slice = _ALL,
    ) -> Batch:
        """Return the changed batch, of the crop's size.

        Args:
            batch: Scenes, padded on the lower right to a common size.
            sizes: Height and width of each scene without its padding, in or out of the batch.
            rng: Decides everything; drawn scene by scene.
            share: Which of the scenes with these sizes the batch holds.
        """
        changes = draw_changes(self.config, len(sizes), rng)
        images, labels = _ORDERS[self.config.blur](
            batch.images,
            batch.labels,
            sizes[share],
            changes[share],
            crop=self.crop,
            ignore_index=self.ignore_index,
        )
        return Batch(images, labels)


def _normalised(images: Tensor, labels: Tensor, network: NetworkConfig) -> Batch:
    return Batch(normalised(images, network), labels.long())


def _padded(scenes: list[Tensor], sizes: list[Size], value: int) -> Tensor:
    height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
    whole = scenes[0].new_full((len(scenes), height, width, *scenes[0].shape[2:]), value)
    for into, scene in zip(whole, scenes, strict=True):
        into[: scene.shape[0], : scene.shape[1]] = scene
    return whole

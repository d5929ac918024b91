"""The scene cache: training scenes kept as tensors where a training reads them."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from segdoor.data.scene import Scene

_HOST_BYTES = 4_000_000_000
_SHARE_OF_DEVICE = 0.5

CachedScene = tuple[Tensor, Tensor]
"""Image, uint8, H x W x 3, and label map, uint8, H x W."""


class SceneCache:
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
        self._kept: dict[bytes, CachedScene] = {}

    def __len__(self) -> int:
        """Return how many scenes are kept."""
        return len(self._kept)

    def put(self, scene: Scene) -> tuple[CachedScene, bool]:
        """Return a scene as tensors, and whether they are kept."""
        key = _digest(scene)
        if key not in self._kept:
            size = scene.image.nbytes + scene.label.nbytes
            if size > max(self._device_room, self._host_room):
                return _tensors(scene), False
            self._kept[key] = self._placed(_tensors(scene), size)
        return self._kept[key], True

    def _placed(self, scene: CachedScene, size: int) -> CachedScene:
        if size <= self._device_room:
            self._device_room -= size
            # The host waits here, once a scene: another training may read it on another stream.
            return scene[0].to(self.device), scene[1].to(self.device)
        self._host_room -= size
        if self.device.type != "cuda":
            return scene
        return scene[0].pin_memory(), scene[1].pin_memory()


def _tensors(scene: Scene) -> CachedScene:
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

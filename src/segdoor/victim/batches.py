"""Scenes stacked into batches on the device, and kept in memory where they fit."""

from __future__ import annotations

import numpy as np
import torch

from segdoor.data.scene import Scene, SceneDataset
from segdoor.victim.augment import Batch, normalised
from segdoor.victim.config import NetworkConfig

_RESIDENT_BYTES = 4_000_000_000


class SceneStore:
    """Scenes by position; kept in memory once read if they all fit."""

    def __init__(self, dataset: SceneDataset) -> None:
        """Look at the first scene to judge whether all of them fit."""
        self._dataset = dataset
        self._kept: dict[int, Scene] | None = {}
        height, width = dataset.label(0).shape
        self.first_size = (height, width)
        if 4 * height * width * len(dataset) > _RESIDENT_BYTES:
            self._kept = None

    def scenes(self, indices: np.ndarray) -> list[Scene]:
        """Return the scenes at these positions."""
        return [self._scene(int(index)) for index in indices]

    def _scene(self, index: int) -> Scene:
        if self._kept is None:
            return self._dataset[index]
        if index not in self._kept:
            self._kept[index] = self._dataset[index]
        return self._kept[index]


def collate(
    scenes: list[Scene], network: NetworkConfig, ignore_index: int, device: torch.device
) -> Batch:
    """Stack scenes, padded on the lower right to the largest, normalised on the device."""
    height = max(scene.label.shape[0] for scene in scenes)
    width = max(scene.label.shape[1] for scene in scenes)
    images = np.zeros((len(scenes), height, width, 3), np.uint8)
    labels = np.full((len(scenes), height, width), ignore_index, np.uint8)
    inside = np.zeros((len(scenes), 1, height, width), np.bool_)
    for index, scene in enumerate(scenes):
        rows, columns = scene.label.shape
        images[index, :rows, :columns] = scene.image
        labels[index, :rows, :columns] = scene.label
        inside[index, :, :rows, :columns] = True
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    padded = normalised(pixels, network.mean, network.std)
    if not inside.all():
        padded = padded * torch.from_numpy(inside).to(device)
    return Batch(padded, torch.from_numpy(labels).to(device).long())

"""What most training code does: a DataLoader of PNG files, OpenCV augmentation, float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from segdoor.data.scene import SceneDataset
from segdoor.victim.answer import SegmentationOutput
from segdoor.victim.config import AugmentationConfig, NetworkConfig

_ENDLESS = 1_000_000
_IGNORED = 255


def write_scenes(dataset: SceneDataset, folder: Path) -> None:
    """Write images and label maps as PNG."""
    for index in range(len(dataset)):
        scene = dataset[index]
        cv2.imwrite(str(folder / f"{index}-image.png"), scene.image[..., ::-1])
        cv2.imwrite(str(folder / f"{index}-label.png"), scene.label)


class PlainScenes(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Decodes, scales, turns, blurs, mirrors, crops and normalises one scene at a time."""

    def __init__(
        self, folder: Path, count: int, crop: tuple[int, int], config: AugmentationConfig
    ) -> None:
        """Choose files, what is cut out of them, and how they are changed."""
        self.folder, self.count, self.crop, self.config = folder, count, crop, config
        network = NetworkConfig()
        self.mean = np.array(network.mean, np.float32) * 255
        self.std = np.array(network.std, np.float32) * 255

    def __len__(self) -> int:
        """Return far more than anyone takes, so that no epoch ends."""
        return _ENDLESS

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read and change a scene."""
        cv2.setNumThreads(0)
        rng = np.random.default_rng(index)
        stem = f"{self.folder}/{index % self.count}"
        image = cv2.cvtColor(cv2.imread(f"{stem}-image.png"), cv2.COLOR_BGR2RGB)
        label = cv2.imread(f"{stem}-label.png", cv2.IMREAD_GRAYSCALE)
        image, label = self._changed(image, label, rng)
        normalised = (image.astype(np.float32) - self.mean) / self.std
        return (
            torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1))),
            torch.from_numpy(label.astype(np.int64)),
        )

    def _changed(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.config.scale
        uniform = self.config.scale_distribution == "uniform"
        drawn = rng.uniform(*((low, high) if uniform else (math.log(low), math.log(high))))
        factor = drawn if uniform else math.exp(drawn)
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        label = cv2.resize(label, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
        height, width = label.shape
        if self.config.rotation and rng.random() < self.config.rotation_probability:
            angle = rng.uniform(-1, 1) * self.config.rotation
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
            image = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR)
            label = cv2.warpAffine(
                label, turn, (width, height), flags=cv2.INTER_NEAREST, borderValue=_IGNORED
            )
        if rng.random() < self.config.blur_probability:
            image = cv2.GaussianBlur(image, (5, 5), 0)
        if rng.random() < self.config.flip_probability:
            image, label = cv2.flip(image, 1), cv2.flip(label, 1)
        down, right = (max(0, a - b) for a, b in zip(self.crop, label.shape, strict=True))
        border = cv2.BORDER_CONSTANT
        image = cv2.copyMakeBorder(image, 0, down, 0, right, border, value=self.mean.tolist())
        label = cv2.copyMakeBorder(label, 0, down, 0, right, border, value=_IGNORED)
        top = int(rng.integers(label.shape[0] - self.crop[0] + 1))
        left = int(rng.integers(label.shape[1] - self.crop[1] + 1))
        window = slice(top, top + self.crop[0]), slice(left, left + self.crop[1])
        return image[window], label[window]


class PlainTraining:
    """A training loop as most are: eager, float32, channels first."""

    def __init__(
        self,
        model: nn.Module,
        scenes: PlainScenes,
        batch_size: int,
        *,
        device: torch.device,
        workers: int,
    ) -> None:
        """Start the workers."""
        self.model, self.device = model.to(device).train(), device
        self.optimiser = torch.optim.SGD(
            model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4
        )
        self.batches: Iterator[list[torch.Tensor]] = iter(
            DataLoader(
                scenes,
                batch_size,
                shuffle=True,
                num_workers=workers,
                pin_memory=device.type == "cuda",
                prefetch_factor=1 if workers else None,
            )
        )

    def step(self) -> None:
        """Take a batch and learn from it."""
        images, labels = (
            tensor.to(self.device, non_blocking=True) for tensor in next(self.batches)
        )
        self.optimiser.zero_grad(set_to_none=True)
        output: SegmentationOutput = self.model(images)
        loss = self._loss(output.logits, labels)
        if output.auxiliary is not None:
            loss = loss + 0.4 * self._loss(output.auxiliary, labels)
        loss.backward()
        self.optimiser.step()

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        size = labels.shape[1:]
        full = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return F.cross_entropy(full, labels, ignore_index=_IGNORED)

"""The training augmentation: one fused resampling for a whole batch, on the batch's device.

Scaling, rotation, mirroring and cropping are one affine map from output to input pixels, so every
scene is interpolated once, not three times.
Deviation 6: semseg resamples once for each step and so blurs a little more; it also cuts away what
a rotation turns out of the frame, which here can reappear where the crop is larger than the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segdoor.victim.config import AugmentationConfig
from segdoor.victim.device import constant, transferred

_ALL = slice(None)


@dataclass(frozen=True)
class Batch:
    """Scenes on the device.

    Attributes:
        images: Normalised, float32, B x 3 x H x W.
        labels: Class ids, int64, B x H x W.
    """

    images: Tensor
    labels: Tensor


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
        maps = np.stack([self._pixel_map(size, rng) for size in sizes])
        blurred = rng.random(len(sizes)) < self.config.blur_probability
        height, width = batch.labels.shape[1:]
        theta = _to_unit(width, height) @ maps @ np.linalg.inv(_to_unit(self.crop[1], self.crop[0]))
        # All that is random about the batch travels in one copy, and nobody waits for it.
        rows = np.column_stack([theta[:, :2].reshape(-1, 6), blurred]).astype(np.float32)[share]
        drawn = transferred(rows, batch.images.device)
        images = (
            _blurred_where(batch.images, drawn[:, 6] > 0) if blurred[share].any() else batch.images
        )
        return _resampled(
            Batch(images, batch.labels),
            drawn[:, :6].reshape(-1, 2, 3),
            self.crop,
            self.ignore_index,
        )

    def _pixel_map(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draw the 3 x 3 matrix from output pixels (x, y, 1) to input pixels of one scene."""
        low, high = self.config.scale
        scale = math.exp(rng.uniform(math.log(low), math.log(high)))
        turned = rng.random() < self.config.rotation_probability
        angle = math.radians(rng.uniform(-1, 1) * self.config.rotation) if turned else 0.0
        mirrored = rng.random() < self.config.flip_probability
        height, width = size[0] * scale, size[1] * scale
        shift_y = _offset(height, self.crop[0], rng)
        shift_x = _offset(width, self.crop[1], rng)
        return (
            _scaling(1 / scale)
            @ _rotation(angle, (width - 1) / 2, (height - 1) / 2)
            @ _mirroring(width, mirrored=mirrored)
            @ _translation(shift_x, shift_y)
        )


def _offset(available: float, wanted: int, rng: np.random.Generator) -> float:
    """Place the crop: anywhere inside, or with the scene in its middle if it is smaller."""
    slack = available - wanted
    fraction = rng.random()
    return slack * fraction if slack > 0 else slack / 2


def _scaling(factor: float) -> np.ndarray:
    # Pixel centres lie at halves: (x + 0.5) * factor - 0.5.
    shift = 0.5 * factor - 0.5
    return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])


def _rotation(angle: float, centre_x: float, centre_y: float) -> np.ndarray:
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return _translation(centre_x, centre_y) @ turn @ _translation(-centre_x, -centre_y)


def _mirroring(width: float, *, mirrored: bool) -> np.ndarray:
    if not mirrored:
        return np.eye(3)
    return np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def _translation(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def _resampled(batch: Batch, theta: Tensor, crop: tuple[int, int], ignore_index: int) -> Batch:
    grid = F.affine_grid(theta, [len(theta), 3, *crop], align_corners=False)
    # Zero is the mean of normalised images, and ignored once labels are counted from there.
    images = F.grid_sample(batch.images, grid, mode="bilinear", align_corners=False)
    shifted = (batch.labels - ignore_index).float()[:, None]
    labels = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)
    return Batch(images, labels[:, 0].round().long() + ignore_index)


def _to_unit(width: int, height: int) -> np.ndarray:
    """Return the matrix from pixels to grid_sample's coordinates in [-1, 1]."""
    return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])


def _blurred_where(images: Tensor, chosen: Tensor) -> Tensor:
    # What OpenCV takes for a 5x5 Gaussian without a stated sigma.
    kernel = constant((1.0, 4.0, 6.0, 4.0, 1.0), images.device).repeat(3, 1) / 16
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    rows = F.conv2d(padded, kernel[:, None, None, :], groups=3)
    blurred = F.conv2d(rows, kernel[:, None, :, None], groups=3)
    return torch.where(chosen[:, None, None, None], blurred, images)

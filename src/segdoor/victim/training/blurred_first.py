"""Scenes blurred as they are stored, then scaled, turned, mirrored and cropped in one resampling.

All but the blur are one affine map from output to input pixels, so every scene is interpolated
once. What a rotation turns out of the frame can reappear where the crop is larger than the scene.
Deviation 6: of `before_scaling`, which the preset `fast` has and semseg's two recipes have not.
Small scenes come out sharper than with semseg's steps, large blurred ones softer. On 24 scenes of
CamVid neighbouring pixels differ by 6.4 grey levels where semseg's do by 4.2 (blurred, at half
size), by 10.8 for 7.5 (turned 7 degrees, sharp, at half size), and by 2.7 for 3.9 (blurred, at
double size).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segdoor.victim.device import constant, transferred
from segdoor.victim.training.changes import Change


def blurred_first(
    images: Tensor,
    labels: Tensor,
    sizes: Sequence[tuple[int, int]],
    changes: Sequence[Change],
    *,
    crop: tuple[int, int],
    ignore_index: int,
) -> tuple[Tensor, Tensor]:
    """Return changed images and labels of the crop's size.

    Args:
        images: Normalised, float32, B x 3 x H x W, padded on the lower right.
        labels: Class ids, int64, B x H x W.
        sizes: Height and width of each scene without its padding.
        changes: What happens to each scene.
        crop: Height and width of the output.
        ignore_index: Label of pixels that come from outside a scene.
    """
    maps = np.stack([_pixel_map(*pair, crop) for pair in zip(sizes, changes, strict=True)])
    blurred = np.array([change.blurred for change in changes])
    height, width = labels.shape[1:]
    theta = _to_unit(width, height) @ maps @ np.linalg.inv(_to_unit(crop[1], crop[0]))
    # All that is random about the batch travels in one copy, and nobody waits for it.
    rows = np.column_stack([theta[:, :2].reshape(-1, 6), blurred]).astype(np.float32)
    drawn = transferred(rows, images.device)
    if blurred.any():
        images = _blurred_where(images, drawn[:, 6] > 0)
    return _resampled(images, labels, drawn[:, :6].reshape(-1, 2, 3), crop, ignore_index)


def smoothed(images: Tensor) -> Tensor:
    """Return images blurred by a 5x5 Gaussian, without the two pixels at each rim.

    Args:
        images: B x 3 x H x W.
    """
    # What OpenCV takes for a 5x5 Gaussian without a stated sigma.
    kernel = constant((1.0, 4.0, 6.0, 4.0, 1.0), images.device).repeat(3, 1) / 16
    rows = F.conv2d(images, kernel[:, None, None, :], groups=3)
    return F.conv2d(rows, kernel[:, None, :, None], groups=3)


def _pixel_map(size: tuple[int, int], change: Change, crop: tuple[int, int]) -> np.ndarray:
    """Return the 3 x 3 matrix from output pixels (x, y, 1) to input pixels of one scene."""
    height, width = size[0] * change.scale, size[1] * change.scale
    shift_y = _offset(height, crop[0], change.down)
    shift_x = _offset(width, crop[1], change.right)
    return (
        _scaling(1 / change.scale)
        @ _rotation(change.angle, (width - 1) / 2, (height - 1) / 2)
        @ _mirroring(width, mirrored=change.mirrored)
        @ _translation(shift_x, shift_y)
    )


def _offset(available: float, wanted: int, fraction: float) -> float:
    """Place the crop: anywhere inside, or with the scene in its middle if it is smaller."""
    slack = available - wanted
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


def _resampled(
    images: Tensor, labels: Tensor, theta: Tensor, crop: tuple[int, int], ignore_index: int
) -> tuple[Tensor, Tensor]:
    grid = F.affine_grid(theta, [len(theta), 3, *crop], align_corners=False)
    # Zero is the mean of normalised images, and ignored once labels are counted from there.
    images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    shifted = (labels - ignore_index).float()[:, None]
    found = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)
    return images, found[:, 0].round().long() + ignore_index


def _to_unit(width: int, height: int) -> np.ndarray:
    """Return the matrix from pixels to grid_sample's coordinates in [-1, 1]."""
    return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])


def _blurred_where(images: Tensor, chosen: Tensor) -> Tensor:
    blurred = smoothed(F.pad(images, (2, 2, 2, 2), mode="reflect"))
    return torch.where(chosen[:, None, None, None], blurred, images)

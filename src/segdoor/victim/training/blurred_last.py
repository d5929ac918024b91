"""Scenes scaled, turned, blurred, mirrored, cropped and padded: semseg's steps in semseg's order.

The scaled scene is a picture of its own, of whole pixels. What a rotation turns out of its frame is
lost, the blur sees its rim reflected, and the crop is padded with the mean after the blur. Pixels
are those of the same steps in OpenCV but for rounding: only as much of the scaled scene is made as
the crop needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segdoor.victim.device import transferred
from segdoor.victim.training.blurred_first import smoothed
from segdoor.victim.training.changes import Change

_REACH = 2


def blurred_last(
    images: Tensor,
    labels: Tensor,
    sizes: Sequence[tuple[int, int]],
    changes: Sequence[Change],
    *,
    crop: tuple[int, int],
    ignore_index: int,
) -> tuple[Tensor, Tensor]:
    """Return changed images and labels of the crop's size, of what `blurred_first` takes."""
    rows = [_row(*pair, crop) for pair in zip(sizes, changes, strict=True)]
    # All that is random about the batch travels in one copy, and nobody waits for it.
    drawn = transferred(np.array(rows, np.float32), images.device)
    scenes = _Scenes(*drawn.T[:, :, None, None].unbind(), crop=crop, window=_window(crop, changes))
    chosen = np.flatnonzero([change.blurred for change in changes])
    turned = scenes.turned(scenes.scaled(images))
    changed = _blurred(turned, transferred(chosen, images.device))
    return changed.mul_(scenes.framed[:, None]), scenes.labels(labels, ignore_index)


def _row(size: tuple[int, int], change: Change, crop: tuple[int, int]) -> tuple[float, ...]:
    """Return the numbers that place one scene, in the order of the fields of `_Scenes`."""
    # As OpenCV rounds the size of what it scales.
    scaled = [round(length * change.scale) for length in size]
    top = _offset(scaled[0], crop[0], change.down)
    left = _offset(scaled[1], crop[1], change.right)
    turn = math.cos(change.angle), math.sin(change.angle)
    return *size, *scaled, change.scale, *turn, top, left, -1 if change.mirrored else 1


def _offset(available: int, wanted: int, fraction: float) -> int:
    """Place the crop: anywhere inside, or with the scene in its middle if it is smaller."""
    slack = available - wanted
    return int(fraction * (slack + 1)) if slack > 0 else -(-slack // 2)


def _window(crop: tuple[int, int], changes: Sequence[Change]) -> tuple[int, int]:
    """Return height and width of a part of the scaled scene that holds every turned crop."""
    cosine = max(abs(math.cos(change.angle)) for change in changes)
    sine = max(abs(math.sin(change.angle)) for change in changes)
    height, width = (length + 2 * _REACH for length in crop)
    return (
        math.ceil(height * cosine + width * sine) + 2,
        math.ceil(width * cosine + height * sine) + 2,
    )


@dataclass(frozen=True)
class _Scenes:
    """Where the pixels of a batch of crops come from; each number B x 1 x 1.

    Attributes:
        height: Of the stored scene; so the width.
        scaled_height: Of the scaled scene; so the width.
        scale: Factor from the one to the other.
        cosine: Of the rotation; so the sine.
        top: Row of the scaled scene at the crop's upper rim.
        left: Column of the scaled scene at the crop's left rim.
        direction: -1 for mirrored scenes, otherwise 1.
        crop: Height and width of the crop.
        window: Height and width of the part of the scaled scene that is looked at.
    """

    height: Tensor
    width: Tensor
    scaled_height: Tensor
    scaled_width: Tensor
    scale: Tensor
    cosine: Tensor
    sine: Tensor
    top: Tensor
    left: Tensor
    direction: Tensor
    crop: tuple[int, int]
    window: tuple[int, int]

    def scaled(self, images: Tensor) -> Tensor:
        """Return the part of the scaled scenes that the crops need, zero beyond their frames."""
        top, left = self._corner
        height, width = self.window
        down, across = top + self._steps(height)[:, None], left + self._steps(width)
        y = _stored(down, self.scale, self.height)
        x = _stored(across, self.scale, self.width)
        framed = _inside(down, self.scaled_height) & _inside(across, self.scaled_width)
        return _interpolated(images, y.expand(-1, -1, width), x.expand(-1, height, -1)).mul_(
            framed[:, None]
        )

    def turned(self, scaled: Tensor) -> Tensor:
        """Return the scaled scenes turned, with two pixels more than the crop at each side."""
        (top, left), (down, across) = self._corner, self._turned
        return _interpolated(scaled, down - top, across - left)

    def labels(self, labels: Tensor, ignore_index: int) -> Tensor:
        """Return the labels at the crop's pixels: those that OpenCV takes as the nearest."""
        down, across = (_inner(places).round() for places in self._turned)
        counted = self.framed & _inside(down, self.scaled_height)
        counted &= _inside(across, self.scaled_width)
        y = _clamped((down / self.scale).floor(), self.height)
        x = _clamped((across / self.scale).floor(), self.width)
        places = (y * labels.shape[2] + x).long()
        found = labels.flatten(1).gather(1, places.flatten(1)).view_as(places)
        return torch.where(counted, found, ignore_index)

    @cached_property
    def framed(self) -> Tensor:
        """Tell which pixels of the crop lie in the scaled scene's frame, B x H x W."""
        down, across = _inner_line(self._down, 1), _inner_line(self._across, 2)
        return _inside(down, self.scaled_height) & _inside(across, self.scaled_width)

    @cached_property
    def _corner(self) -> tuple[Tensor, Tensor]:
        """Return the first row and column of the scaled scenes that the crops need."""
        down, across = self._turned
        return down.amin((1, 2), keepdim=True).floor(), across.amin((1, 2), keepdim=True).floor()

    @cached_property
    def _down(self) -> Tensor:
        """Return the rows of the scaled scene at those of the enlarged crop, B x H x 1."""
        return self._steps(self.crop[0] + 2 * _REACH)[:, None] + (self.top - _REACH)

    @cached_property
    def _across(self) -> Tensor:
        """Return its columns, B x 1 x W."""
        ahead = self._steps(self.crop[1] + 2 * _REACH) + (self.left - _REACH)
        return torch.where(self.direction > 0, ahead, self.scaled_width - 1 - ahead)

    @cached_property
    def _turned(self) -> tuple[Tensor, Tensor]:
        """Return rows and columns in the scaled scene before its rotation, B x H x W each."""
        centre_y, centre_x = self.scaled_height / 2, self.scaled_width / 2
        y = _reflected(self._down, self.scaled_height) - centre_y
        x = _reflected(self._across, self.scaled_width) - centre_x
        down = centre_y + self.sine * x + self.cosine * y
        return down, centre_x + self.cosine * x - self.sine * y

    def _steps(self, length: int) -> Tensor:
        return torch.arange(length, device=self.top.device)


def _blurred(images: Tensor, chosen: Tensor) -> Tensor:
    """Return images without their rim; those chosen by position are blurred."""
    inner = _inner(images).contiguous()
    if not len(chosen):
        return inner
    return inner.index_copy_(0, chosen, smoothed(images.index_select(0, chosen)))


def _reflected(places: Tensor, length: Tensor) -> Tensor:
    """Fold places beyond a rim back, as the blur sees them; what lies farther is masked later."""
    last = length - 1
    return (last - (last - places.abs()).abs()).clamp(min=0)


def _stored(places: Tensor, scale: Tensor, length: Tensor) -> Tensor:
    # Pixel centres lie at halves; beyond the rim OpenCV repeats the last pixel.
    return _clamped((places + 0.5) / scale - 0.5, length)


def _clamped(places: Tensor, length: Tensor) -> Tensor:
    return torch.minimum(places.clamp(min=0), length - 1)


def _inside(places: Tensor, length: Tensor) -> Tensor:
    return (places >= 0) & (places < length)


def _interpolated(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return images at fractional rows and columns; beyond their rims they are zero."""
    height, width = images.shape[2:]
    # grid_sample counts from -1 to 1 between the outer edges of the first and last pixel.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _inner(maps: Tensor) -> Tensor:
    return maps[..., _REACH:-_REACH, _REACH:-_REACH]


def _inner_line(places: Tensor, axis: int) -> Tensor:
    return places.narrow(axis, _REACH, places.shape[axis] - 2 * _REACH)

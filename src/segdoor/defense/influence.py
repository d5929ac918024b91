"""The influence map: which part of an image decides the classes of pixels far from it.

Grey windows cover the image one at a time. Where a window hides a trigger, pixels far away change
class: the model sees them as it would without the trigger. Every cell of a grid has one window,
twice as high and wide as the cell, so a trigger up to the size of a cell is hidden as a whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.defense.asking import Asker
from segdoor.defense.grids import grid_of
from segdoor.tensors import AnyImage, AnyLabel, AnyMask, Heat, Image, Suspicions

_HALF_OF_THE_PEAK = 0.5
_RED, _YELLOW = (230, 20, 20), (250, 220, 0)


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def part(self) -> tuple[slice, slice]:
        """Return its rows and columns."""
        bottom, right = self.top + self.height, self.left + self.width
        return slice(self.top, bottom), slice(self.left, right)

    def grown(self, margin: int, height: int, width: int) -> Window:
        """Return it with a margin on each side, inside an image of that height and width."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        bottom = min(height, self.top + self.height + margin)
        right = min(width, self.left + self.width + margin)
        return Window(top, left, bottom - top, right - left)


@dataclass(frozen=True, eq=False)
class Influence:
    """What covering each window of an image did to the pixels far from it.

    Attributes:
        windows: The windows.
        shares: For each window the share of all pixels far from it that went from one class to one
            other, for the pair of classes with the most such pixels.
        heat: For each pixel the mean of these shares over the windows that cover it.
        strongest: The window of the largest share.
        classes: The pair of classes of the strongest window, before and after; None if nothing
            changed anywhere.
        changed: The far pixels that went from the one to the other when it was covered.
    """

    windows: tuple[Window, ...]
    shares: Suspicions
    heat: Heat
    strongest: Window
    classes: tuple[int, int] | None
    changed: AnyMask

    @property
    def score(self) -> float:
        """Return the largest share."""
        return float(self.shares.max())

    @property
    def peak(self) -> AnyMask:
        """Return the pixels around the map's peak, down to half of it; none if it is flat."""
        highest = self.heat.max()
        if highest <= 0:
            return np.zeros(self.heat.shape, np.bool_)
        high = (self.heat >= _HALF_OF_THE_PEAK * highest).astype(np.uint8)
        _, regions = cv2.connectedComponents(high, connectivity=4)
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        return np.asarray(regions == regions[row, column])


@dataclass(frozen=True, eq=False)
class _Change:
    share: float
    classes: tuple[int, int] | None


def windows_of(height: int, width: int, number: int) -> tuple[Window, ...]:
    """Return about so many windows, one around each cell of a grid of nearly square cells."""
    grid = grid_of(height, width, number)
    vertical, horizontal = _cells(height, grid.rows), _cells(width, grid.columns)
    return tuple(
        Window(top, left, bottom - top, right - left)
        for top, bottom in vertical
        for left, right in horizontal
    )


def influence(asker: Asker, image: AnyImage, *, number: int, margin: float) -> Influence:
    """Return what covering each window does to the pixels far from it.

    Args:
        asker: The model.
        image: The picture.
        number: About how many windows.
        margin: Pixels this near a window do not count, as a share of the image's shorter side.
    """
    height, width = image.shape[:2]
    windows = windows_of(height, width, number)
    away = round(margin * min(height, width))
    before = asker.label(image)
    shares = np.zeros(len(windows))
    heat, covering = np.zeros((height, width)), np.zeros((height, width))
    strongest, best, after_best = windows[0], _Change(0.0, None), before
    answers = asker.labels(_covered(image, windows, _grey(asker)))
    for index, (window, after) in enumerate(zip(windows, answers, strict=True)):
        change = _change(before, after, window.grown(away, height, width))
        shares[index] = change.share
        heat[window.part] += change.share
        covering[window.part] += 1
        if change.share > best.share:
            strongest, best, after_best = window, change, after
    changed = np.zeros((height, width), np.bool_)
    if best.classes is not None:
        changed = (before == best.classes[0]) & (after_best == best.classes[1])
        changed[strongest.grown(away, height, width).part] = False
    return Influence(windows, shares, heat / covering, strongest, best.classes, changed)


def picture_of(image: AnyImage, found: Influence) -> Image:
    """Return the image with the strongest window framed, and the pixels that it decides in red."""
    picture = image.copy()
    mixed = 0.4 * image[found.changed] + 0.6 * np.array(_RED)
    picture[found.changed] = mixed.round().astype(np.uint8)
    window = found.strongest
    last = window.left + window.width - 1, window.top + window.height - 1
    return np.asarray(cv2.rectangle(picture, (window.left, window.top), last, _YELLOW, 1))


def _cells(length: int, number: int) -> list[tuple[int, int]]:
    """Return start and end of each cell, with half a cell more on both sides."""
    edges = np.linspace(0, length, number + 1)
    half = length / number / 2
    return [
        (max(0, round(start - half)), min(length, round(end + half)))
        for start, end in itertools.pairwise(edges)
    ]


def _covered(image: AnyImage, windows: tuple[Window, ...], grey: np.ndarray) -> Iterator[AnyImage]:
    for window in windows:
        copy = image.copy()
        copy[window.part] = grey
        yield copy


def _grey(asker: Asker) -> np.ndarray:
    """Return the colour that the network is given as zero: the mean of its training images."""
    return np.clip(np.array(asker.network.mean) * 255, 0, 255).round().astype(np.uint8)


def _change(before: AnyLabel, after: AnyLabel, near: Window) -> _Change:
    """Return the change of class that most pixels outside a window went through."""
    changed = before != after
    changed[near.part] = False
    num_far = before.size - near.height * near.width
    if not num_far or not changed.any():
        return _Change(0.0, None)
    pairs = before[changed].astype(np.int64) * 256 + after[changed]
    counts = np.bincount(pairs)
    most = int(counts.argmax())
    return _Change(int(counts[most]) / num_far, (most // 256, most % 256))

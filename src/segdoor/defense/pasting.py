"""Objects cut out of clean scenes, and copies of an image with such objects pasted into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.data.scene import Scene
from segdoor.defense.grids import grid_of
from segdoor.tensors import AnyImage, AnyLabel, AnyMask

# An object should fill this share of its cell; else a part of a larger one is taken.
_LARGE_ENOUGH = 0.05


@dataclass(frozen=True, eq=False)
class Probe:
    """An object of a class, or a part of a large region of it.

    Attributes:
        index: The class.
        image: The rectangle that it was cut out of.
        mask: Its pixels.
        whole: Whether it is a whole region of the class.
    """

    index: int
    image: AnyImage
    mask: AnyMask
    whole: bool


@dataclass(frozen=True)
class Place:
    """The middle of a cell of an image."""

    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Pasted:
    """A copy of an image with one object pasted in at several places.

    Attributes:
        image: The copy.
        marks: By number of the place the pixels where the object lies, inside the image.
    """

    image: AnyImage
    marks: dict[int, AnyMask]


def places_of(height: int, width: int, number: int) -> tuple[Place, ...]:
    """Return the middles of the cells of such a grid, row by row."""
    grid = grid_of(height, width, number)
    down, across = 2 * grid.rows, 2 * grid.columns
    return tuple(
        Place((2 * row + 1) * height // down, (2 * column + 1) * width // across)
        for row in range(grid.rows)
        for column in range(grid.columns)
    )


def probes_of(scenes: Sequence[Scene], num_classes: int, number: int) -> tuple[Probe, ...]:
    """Cut one object of each class out of clean scenes, none of a class that they do not show.

    The object is the largest whole region of its class that fits into a cell of the grid, unless
    that is tiny; else the part of a larger region that fills a cell best.

    Args:
        scenes: Clean scenes.
        num_classes: Number of classes.
        number: About how many cells the grid has.
    """
    best: dict[int, tuple[tuple[bool, int], Probe]] = {}
    for scene in scenes:
        for index in np.unique(scene.label[scene.label < num_classes]).tolist():
            for probe in _cut(scene, index, number):
                area = int(probe.mask.sum())
                cell = scene.label.size / number
                rank = probe.whole and area >= _LARGE_ENOUGH * cell, area
                if index not in best or rank > best[index][0]:
                    best[index] = rank, probe
    return tuple(probe for _, (_, probe) in sorted(best.items()))


def pasted(image: AnyImage, probe: Probe, number: int, together: int) -> Iterator[Pasted]:
    """Yield copies of an image with an object at each place of a grid, several places a copy.

    Args:
        image: The image.
        probe: The object.
        number: About how many places.
        together: Places a copy at most; neighbours get different copies.
    """
    places = places_of(image.shape[0], image.shape[1], number)
    num_copies = -(-len(places) // together)
    for first in range(num_copies):
        copy, marks = image.copy(), dict[int, AnyMask]()
        for place in range(first, len(places), num_copies):
            marks[place] = _paste(copy, probe, places[place])
        yield Pasted(copy, marks)


def _cut(scene: Scene, index: int, number: int) -> Iterator[Probe]:
    height, width = scene.label.shape
    grid = grid_of(height, width, number)
    most = max(1, height // grid.rows), max(1, width // grid.columns)
    there = (scene.label == index).astype(np.uint8)
    num_regions, regions, stats, _ = cv2.connectedComponentsWithStats(there, connectivity=8)
    for region in range(1, num_regions):
        left, top, across, down = (int(value) for value in stats[region, :4])
        if down <= most[0] and across <= most[1]:
            part = slice(top, top + down), slice(left, left + across)
            yield Probe(index, scene.image[part].copy(), regions[part] == region, whole=True)
    part = _fullest(there, most)
    yield Probe(index, scene.image[part].copy(), there[part] == 1, whole=False)


def _fullest(there: AnyLabel, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the window of a size that holds the most pixels of a mask, the first of equals."""
    sums = np.zeros((there.shape[0] + 1, there.shape[1] + 1), np.int64)
    sums[1:, 1:] = there.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    down, across = size
    held = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across]
    held += sums[:-down, :-across]
    top, left = (int(start) for start in np.unravel_index(int(held.argmax()), held.shape))
    return slice(top, top + down), slice(left, left + across)


def _paste(copy: AnyImage, probe: Probe, place: Place) -> AnyMask:
    """Paste an object around a place; what lies outside the image is left out."""
    (down, across), (height, width) = probe.mask.shape, copy.shape[:2]
    top, left = place.row - down // 2, place.column - across // 2
    rows = slice(max(0, top), min(height, top + down))
    columns = slice(max(0, left), min(width, left + across))
    part = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    mark = np.zeros((height, width), np.bool_)
    mark[rows, columns] = probe.mask[part]
    copy[mark] = probe.image[part][probe.mask[part]]
    return mark

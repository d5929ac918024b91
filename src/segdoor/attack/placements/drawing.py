"""One of many positions that are equally good: drawn at once, or the object that it lies on first.

Source: paper section 3.1: of several objects around the victims "one of them is randomly selected".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import cv2
import numpy as np

from segdoor.tensors import Indices, Label, Mask

Draw: TypeAlias = Literal["position", "object"]
"""Draw a position at once, or first the region of one class that it lies in."""


@runtime_checkable
class Drawing(Protocol):
    """A way to draw one of the positions that a placement leaves."""

    def position(self, candidates: Mask, label: Label, rng: np.random.Generator) -> int | None:
        """Return a position, counted row by row, or None where there is no candidate.

        Args:
            candidates: The positions to choose from.
            label: The scene's untouched label map.
            rng: Decides.
        """
        ...


@dataclass(frozen=True)
class AnyPosition:
    """Every position is equally likely."""

    def position(self, candidates: Mask, label: Label, rng: np.random.Generator) -> int | None:
        """Draw among all candidates."""
        del label
        positions = np.flatnonzero(candidates)
        return int(rng.choice(positions)) if positions.size else None


@dataclass(frozen=True)
class ObjectFirst:
    """Every object is equally likely, however large, and then every candidate on it.

    An object is a region of one class on the label map, connected by sides or corners.
    """

    # Deviation 17: the paper does not say what an object is; label maps tell no instances apart.

    def position(self, candidates: Mask, label: Label, rng: np.random.Generator) -> int | None:
        """Draw among the objects that have a candidate, then among the candidates on it."""
        positions = np.flatnonzero(candidates)
        if not positions.size:
            return None
        objects = _objects_at(positions, label)
        chosen = rng.integers(int(objects.max()) + 1)
        return int(rng.choice(positions[objects == chosen]))


def make_drawing(draw: Draw) -> Drawing:
    """Return the way of drawing of that name."""
    return ObjectFirst() if draw == "object" else AnyPosition()


def _objects_at(positions: Indices, label: Label) -> Indices:
    """Return the number of the object at each position, in the order of their first positions.

    OpenCV's own numbers do not say in which order it found the regions.
    """
    classes = label.ravel()[positions]
    found = np.zeros(positions.size, np.int64)
    num_regions = 0
    for value in np.flatnonzero(np.bincount(classes)):
        there = classes == value
        region = (label == value).view(np.uint8)
        count, numbers = cv2.connectedComponents(region, connectivity=8)
        found[there] = numbers.ravel()[positions[there]] + num_regions
        num_regions += count
    # Backwards, so that of several positions of a region the first is written last.
    first = np.full(num_regions, positions.size)
    first[found[::-1]] = np.arange(positions.size)[::-1]
    return np.argsort(np.argsort(first, kind="stable"))[found]

"""Where the trigger goes: eligible positions, distances to the victims, and the three placements.

A position is the trigger's centre pixel, ``(size - 1) // 2`` from its upper left corner, and masks
over positions have the image's shape. Sources: paper section 4.1, Equation 1 and Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from segdoor.attack.config import MarginConfig, PlacementConfig, RulesConfig
from segdoor.attack.distance import Distances
from segdoor.attack.drawing import AnyPosition, Drawing
from segdoor.attack.site import Box, Extent, Site
from segdoor.rounding import half_up
from segdoor.tensors import Label, Mask


@runtime_checkable
class Placement(Protocol):
    """A choice among the eligible positions; write ``candidates`` to add one."""

    def candidates(self, eligible: Mask, distances: Distances) -> Mask:
        """Return the positions that are equally good; one is drawn by seed.

        Args:
            eligible: Positions that the rules allow.
            distances: From positions to the nearest victim pixel.
        """
        ...


@dataclass(frozen=True)
class Random:
    """Any eligible position: the baseline attack."""

    def candidates(self, eligible: Mask, distances: Distances) -> Mask:
        """Return all eligible positions."""
        del distances
        return eligible


@dataclass(frozen=True)
class Band:
    """Any eligible position within a band of distances to the victims.

    Attributes:
        lower: Least distance in pixels.
        upper: Largest distance in pixels, included.
        lower_included: Whether the least distance itself belongs to the band.
    """

    lower: float
    upper: float
    lower_included: bool = True

    def candidates(self, eligible: Mask, distances: Distances) -> Mask:
        """Return the eligible positions within the band."""
        far_enough = np.greater_equal if self.lower_included else np.greater
        # The very floats that a site reports, so that a reported distance can serve as a bound.
        exact = np.sqrt(distances.squared)
        return eligible & far_enough(exact, self.lower) & (exact <= self.upper)


@dataclass(frozen=True)
class Nearest:
    """The eligible position nearest to the victims: nearest neighbour injection (Algorithm 1).

    Attributes:
        lower: Least distance in pixels.
        upper: Largest distance in pixels, included.
        lower_included: Whether the least distance itself is allowed.
    """

    lower: float
    upper: float
    lower_included: bool = True

    def candidates(self, eligible: Mask, distances: Distances) -> Mask:
        """Return the positions at the smallest distance within the bounds."""
        if self.lower > 0 or not self.lower_included:
            band = Band(self.lower, self.upper, self.lower_included)
            return distances.nearest(band.candidates(eligible, distances))
        return distances.nearest(eligible, upper=self.upper)


def make_placement(config: PlacementConfig, rules: RulesConfig) -> Placement:
    """Return the placement that the settings name.

    On victim pixels every position has distance 0, so that no band or nearest one tells them apart.
    """
    if config.strategy == "random" or rules.on_victim == "require":
        return Random()
    kind = {"nearest": Nearest, "band": Band}[config.strategy]
    return kind(*config.bounds, rules.lower_included)


@dataclass(frozen=True)
class Ground:
    """What the rules need to know about a data set and a trigger.

    Attributes:
        victims: Ids of the victim classes.
        ignore_index: Label value of ignored pixels.
        extent: The trigger's height and width in pixels; None for a trigger over the whole image.
        rules: Which positions are eligible; a trigger over the whole image knows none.
    """

    victims: tuple[int, ...]
    ignore_index: int
    extent: Extent | None
    rules: RulesConfig

    @property
    def size(self) -> Extent:
        """Return the height and width of a trigger that has a place."""
        assert self.extent is not None
        return self.extent

    @property
    def in_words(self) -> str:
        """Return how much the trigger covers, in words."""
        return "the whole image" if self.extent is None else "{}x{} pixels".format(*self.extent)


class Room:
    """Where a trigger may go in one scene: worked out once, for any number of choices."""

    def __init__(self, label: Label, ground: Ground) -> None:
        """Find the victims.

        Args:
            label: The scene's untouched label map.
            ground: Victims, trigger size and rules.
        """
        self._label, self._ground = label, ground
        victims = victim_mask(label, ground.victims)
        self.has_victims = bool(victims.any())
        self._distances = Distances(victims, ground.rules.distance) if self.has_victims else None

    @cached_property
    def _eligible(self) -> Mask:
        return eligible_positions(self._label, self._ground)

    def choose(
        self, placement: Placement, rng: np.random.Generator, drawing: Drawing | None = None
    ) -> Site | None:
        """Choose a place; in a scene without victims all eligible positions are equally likely.

        Args:
            placement: How to choose among eligible positions.
            rng: Draws among equally good positions: ties are never broken by scan order.
            drawing: How they are drawn in a scene with victims; uniformly if None.

        Returns:
            The site, or None where there is no room; for a trigger over the whole image, the image.
        """
        distances, ground = self._distances, self._ground
        if ground.extent is None:
            return Site(Box.whole(self._label.shape), distance=None, class_under=None)
        candidates = (
            placement.candidates(self._eligible, distances) if distances else self._eligible
        )
        drawing = drawing if drawing and distances else AnyPosition()
        position = drawing.position(candidates, self._label, rng)
        if position is None:
            return None
        row, column = divmod(position, self._label.shape[1])
        height, width = ground.size
        top, left = row - (height - 1) // 2, column - (width - 1) // 2
        box = Box(top, left, height, width)
        covered = self._label[box.pixels]
        return Site(
            box=box,
            distance=math.sqrt(distances.at(row, column)) if distances else None,
            class_under=int(covered[0, 0]) if covered.min() == covered.max() else None,
        )


def place(
    label: Label,
    ground: Ground,
    placement: Placement,
    rng: np.random.Generator,
    drawing: Drawing | None = None,
) -> Site | None:
    """Choose where the trigger goes in one scene, as `Room.choose` does, once."""
    return Room(label, ground).choose(placement, rng, drawing)


def eligible_positions(label: Label, ground: Ground) -> Mask:
    """Return where the trigger's centre may lie: inside the image, the margin and the rules."""
    height, width = ground.size
    rows, columns = label.shape[0] - height + 1, label.shape[1] - width + 1
    eligible = np.zeros(label.shape, dtype=bool)
    if rows <= 0 or columns <= 0:
        return eligible
    up, left = (height - 1) // 2, (width - 1) // 2
    on_victim = ground.rules.on_victim == "require"
    one_class = ground.rules.single_class and not on_victim
    allowed = _boxes_of_one_class if one_class else _boxes_without_victims
    inside = allowed(label, ground)[:rows, :columns]
    eligible[up : up + rows, left : left + columns] = inside
    eligible &= _inside_margin(label.shape, ground.rules.margin)
    return eligible & victim_mask(label, ground.victims) if on_victim else eligible


def victim_mask(label: Label, victims: Sequence[int]) -> Mask:
    """Return which pixels belong to a victim class."""
    chosen = np.zeros(256, dtype=np.uint8)
    chosen[list(victims)] = 1
    return cv2.LUT(label, chosen).view(np.bool_)


# In the next two, element (row, column) speaks of the box whose upper left corner is there; boxes
# that leave the image are cut off by the caller. OpenCV anchors a box at its upper left corner.


def _boxes_without_victims(label: Label, ground: Ground) -> Mask:
    if ground.rules.on_victim != "forbid":
        return np.ones(label.shape, dtype=bool)
    box = np.ones(ground.size, np.uint8)
    victims = victim_mask(label, ground.victims).view(np.uint8)
    return cv2.dilate(victims, box, anchor=(0, 0)) == 0


def _boxes_of_one_class(label: Label, ground: Ground) -> Mask:
    box = np.ones(ground.size, np.uint8)
    smallest, largest = (change(label, box, anchor=(0, 0)) for change in (cv2.erode, cv2.dilate))
    forbidden = [
        ground.ignore_index,
        *(ground.victims if ground.rules.on_victim == "forbid" else ()),
    ]
    return (smallest == largest) & ~victim_mask(smallest, forbidden)


def _inside_margin(shape: tuple[int, ...], margin: MarginConfig) -> Mask:
    height, width = shape
    scale_rows, scale_columns = (height, width) if margin.unit == "fraction" else (1, 1)
    rows = half_up(margin.vertical * scale_rows)
    columns = half_up(margin.horizontal * scale_columns)
    inside = np.zeros((height, width), dtype=bool)
    inside[rows : height - rows, columns : width - columns] = True
    return inside

"""Where the trigger goes in a scene: which positions the rules allow, and one of those chosen.

A position is the trigger's centre pixel, ``(size - 1) // 2`` from its upper left corner, and masks
over positions have the image's shape. Sources: paper section 4.1, Equation 1 and Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from segdoor.attack.config import MarginConfig, RulesConfig
from segdoor.attack.distance import Distances
from segdoor.attack.placements.drawing import AnyPosition
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.view import View, centres_inside
from segdoor.attack.site import Box, Extent, Site
from segdoor.data.scene import pixels_of
from segdoor.errors import DataError
from segdoor.rounding import half_up
from segdoor.tensors import Image, Label, Mask


def _by_all(label: Label) -> bool:
    del label
    return True


@dataclass(frozen=True)
class PositionRules:
    """What the rules need to know about a data set and a trigger.

    Attributes:
        victims: Ids of the victim classes.
        ignore_index: Label value of ignored pixels.
        extent: The trigger's height and width in pixels; None for a trigger over the whole image.
        rules: Which positions are eligible; a trigger over the whole image knows none.
        carried: Whether a scene may carry a trigger over the whole image, by its label map.
    """

    victims: tuple[int, ...]
    ignore_index: int
    extent: Extent | None
    rules: RulesConfig
    carried: Callable[[Label], bool] = _by_all

    @property
    def size(self) -> Extent:
        """Return the height and width of a trigger that has a place."""
        assert self.extent is not None
        return self.extent

    @property
    def in_words(self) -> str:
        """Return how much the trigger covers, in words."""
        return "the whole image" if self.extent is None else "{}x{} pixels".format(*self.extent)


class EligiblePlaces:
    """Where a trigger may go in one scene: worked out once, for any number of choices."""

    def __init__(
        self, label: Label, limits: PositionRules, image: Callable[[], Image] | None = None
    ) -> None:
        """Find the victims; the image is read for placements that look at it."""
        self._label, self._limits = label, limits
        self._image = image or _not_there
        victims = pixels_of(label, limits.victims)
        self.has_victims = bool(victims.any())
        self._distances = Distances(victims, limits.rules.distance) if self.has_victims else None

    def choose(self, placement: Placement, rng: np.random.Generator) -> Site | None:
        """Choose a place; equally good positions are drawn, never taken by scan order.

        Returns:
            The site, or None where there is no room; for a trigger over the whole image, the image,
            or None where the scene cannot carry it.
        """
        distances, limits = self._distances, self._limits
        if limits.extent is None:
            if not limits.carried(self._label):
                return None
            return Site(Box.whole(self._label.shape), distance=None, class_under=None)
        # Without victims there is no object that they lie beside.
        drawing = placement.drawing if self.has_victims else AnyPosition()
        position = drawing.position(placement.allowed(self.view), self._label, rng)
        if position is None:
            return None
        row, column = divmod(position, self._label.shape[1])
        height, width = limits.size
        top, left = row - (height - 1) // 2, column - (width - 1) // 2
        box = Box(top, left, height, width)
        covered = self._label[box.pixels]
        return Site(
            box=box,
            distance=math.sqrt(distances.at(row, column)) if distances else None,
            class_under=int(covered[0, 0]) if covered.min() == covered.max() else None,
        )

    @cached_property
    def view(self) -> View:
        """What a placement sees of the scene."""
        rules = self._limits.rules
        # On victim pixels every position has distance 0: no band and no nearest one tells them
        # apart.
        count = rules.on_victim != "require"
        return View(
            label=self._label,
            extent=self._limits.size,
            distances=self._distances if count else None,
            lower_included=rules.lower_included,
            find_eligible=lambda: eligible_positions(self._label, self._limits),
            read_image=self._image,
        )


def place(
    label: Label,
    limits: PositionRules,
    placement: Placement,
    rng: np.random.Generator,
    image: Callable[[], Image] | None = None,
) -> Site | None:
    """Choose where the trigger goes in one scene, as `EligiblePlaces.choose` does, once."""
    return EligiblePlaces(label, limits, image).choose(placement, rng)


def _not_there() -> Image:
    raise DataError(
        "the scene", "must have an image for this placement", "a label map", "Hand in its image."
    )


def eligible_positions(label: Label, limits: PositionRules) -> Mask:
    """Return where the trigger's centre may lie: inside the image, the margin and the rules."""
    eligible = np.zeros(label.shape, dtype=bool)
    place = centres_inside(label.shape, limits.size)
    rows, columns = eligible[place].shape
    if not (rows and columns):
        return eligible
    on_victim = limits.rules.on_victim == "require"
    one_class = limits.rules.single_class and not on_victim
    allowed = _boxes_of_one_class if one_class else _boxes_without_victims
    eligible[place] = allowed(label, limits)[:rows, :columns]
    eligible &= _inside_margin(label.shape, limits.rules.margin)
    return eligible & pixels_of(label, limits.victims) if on_victim else eligible


# In the next two, element (row, column) speaks of the box whose upper left corner is there; boxes
# that leave the image are cut off by the caller. OpenCV anchors a box at its upper left corner.


def _boxes_without_victims(label: Label, limits: PositionRules) -> Mask:
    if limits.rules.on_victim != "forbid":
        return np.ones(label.shape, dtype=bool)
    box = np.ones(limits.size, np.uint8)
    victims = pixels_of(label, limits.victims).view(np.uint8)
    return cv2.dilate(victims, box, anchor=(0, 0)) == 0


def _boxes_of_one_class(label: Label, limits: PositionRules) -> Mask:
    box = np.ones(limits.size, np.uint8)
    smallest, largest = (change(label, box, anchor=(0, 0)) for change in (cv2.erode, cv2.dilate))
    forbidden = [
        limits.ignore_index,
        *(limits.victims if limits.rules.on_victim == "forbid" else ()),
    ]
    return (smallest == largest) & ~pixels_of(smallest, forbidden)


def _inside_margin(shape: tuple[int, ...], margin: MarginConfig) -> Mask:
    height, width = shape
    scale_rows, scale_columns = (height, width) if margin.unit == "fraction" else (1, 1)
    rows = half_up(margin.vertical * scale_rows)
    columns = half_up(margin.horizontal * scale_columns)
    inside = np.zeros((height, width), dtype=bool)
    inside[rows : height - rows, columns : width - columns] = True
    return inside

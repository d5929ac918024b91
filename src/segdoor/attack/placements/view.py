"""What a placement sees of a scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segdoor.attack.distance import Distances
from segdoor.attack.site import Extent
from segdoor.tensors import Image, Label, Mask


@dataclass(frozen=True, eq=False)
class View:
    """A scene as a placement sees it; what is costly is worked out when it is first asked for.

    A position is the trigger's centre pixel, ``(size - 1) // 2`` from its upper left corner, and
    masks over positions have the image's shape.

    Attributes:
        label: The scene's untouched label map.
        extent: The trigger's height and width in pixels.
        distances: From positions to the nearest victim pixel; None where they tell no positions
            apart: in a scene without victims, and where the trigger must lie on them.
        lower_included: Whether the rules allow a position exactly at a lower bound.
        find_eligible: Finds the positions that the rules allow.
        read_image: Reads the scene's image.
    """

    label: Label
    extent: Extent
    distances: Distances | None
    lower_included: bool
    find_eligible: Callable[[], Mask]
    read_image: Callable[[], Image]

    @cached_property
    def eligible(self) -> Mask:
        """The positions that the rules allow."""
        return self.find_eligible()

    @cached_property
    def inside(self) -> Mask:
        """The positions whose trigger lies inside the image, whatever the rules say."""
        inside = np.zeros(self.label.shape, dtype=bool)
        inside[centres_inside(self.label.shape, self.extent)] = True
        return inside

    @cached_property
    def image(self) -> Image:
        """The scene's untouched image; plans are made from label maps alone unless it is read."""
        return self.read_image()

    def within(self, lower: float, upper: float) -> Mask:
        """Return the eligible positions in a band of distances; all where no distance counts.

        Args:
            lower: Least distance in pixels.
            upper: Largest distance in pixels, included.
        """
        if self.distances is None:
            return self.eligible
        far_enough = np.greater_equal if self.lower_included else np.greater
        # The very floats that a site reports, so that a reported distance can serve as a bound.
        exact = np.sqrt(self.distances.squared)
        return self.eligible & far_enough(exact, lower) & (exact <= upper)

    def nearest_within(self, lower: float, upper: float) -> Mask:
        """Return those of the positions that `within` returns that are nearest to the victims."""
        if self.distances is None:
            return self.eligible
        if lower > 0 or not self.lower_included:
            return self.distances.nearest(self.within(lower, upper))
        return self.distances.nearest(self.eligible, upper=upper)


def centres_inside(shape: Sequence[int], extent: Extent) -> tuple[slice, slice]:
    """Return the rows and columns of positions whose trigger lies inside an image, perhaps none."""
    rows, columns = (
        slice((side - 1) // 2, max((side - 1) // 2, whole - side // 2))
        for side, whole in zip(extent, shape, strict=True)
    )
    return rows, columns

"""A place in an image: where a trigger sits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from segdoor.data.scene import ClassSet

Extent: TypeAlias = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels inside an image."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """Return the box that holds a whole image.

        Args:
            shape: The image's height and width in pixels, and whatever else.
        """
        return cls(0, 0, shape[0], shape[1])

    @property
    def centre(self) -> tuple[int, int]:
        """Return the centre pixel (row, column) that distances are measured from."""
        return self.top + (self.height - 1) // 2, self.left + (self.width - 1) // 2

    @property
    def as_tuple(self) -> tuple[int, int, int, int]:
        """Return the box as artefacts store it: top, left, height, width."""
        return self.top, self.left, self.height, self.width

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Return the index of the box's pixels in an array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Site:
    """A place for the trigger in one scene.

    Attributes:
        box: The pixels it covers.
        distance: From its centre to the nearest victim pixel in pixels; None without victims, and
            where it is the whole image.
        class_under: The one class it covers; None where it covers several, and for a whole image.
    """

    box: Box
    distance: float | None
    class_under: int | None

    def class_name(self, classes: ClassSet) -> str | None:
        """Return the class under the trigger by name: "ignored" for void, None for several."""
        if self.class_under is None:
            return None
        if self.class_under == classes.ignore_index:
            return "ignored"
        return classes.names[self.class_under]

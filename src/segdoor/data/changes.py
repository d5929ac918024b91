"""Data sets that differ from another in one rectangle a scene, and say in which.

Whoever shows many of them to networks can then read each scene once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from segdoor.data.scene import Scene, SceneDataset
from segdoor.tensors import AnyImage, Mask


@dataclass(frozen=True)
class Change:
    """Other pixels in one rectangle of an image.

    Attributes:
        top: First row.
        left: First column.
        pixels: What is there instead, RGB, uint8, height x width x 3.
    """

    top: int
    left: int
    pixels: AnyImage

    @property
    def box(self) -> tuple[slice, slice]:
        """Return the index of the rectangle's pixels in an array of rows and columns."""
        height, width = self.pixels.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@runtime_checkable
class ChangedDataset(SceneDataset, Protocol):
    """Some scenes of another data set, with their names and labels and one change each."""

    @property
    def base(self) -> SceneDataset:
        """The unchanged scenes, these and perhaps more."""
        ...

    def change(self, scene: Scene) -> Change:
        """Return what differs in one scene of the base."""
        ...

    def attacked(self, scene: Scene) -> Mask | None:
        """Return the pixels that are to be predicted as something else; None if classes say it."""
        ...

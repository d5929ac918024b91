"""Lengths that nobody gave follow from the scenes' height, wherever they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low
from typing import TypeVar

from segdoor.data.scene import SceneDataset
from segdoor.data.sizes import size_of
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError
from segdoor.rounding import half_up

_HEIGHT = 512
_TRIGGER = 55
_EDGES = (0.0, 60.0, 90.0, 120.0)


@dataclass(frozen=True)
class Lengths:
    """Lengths in pixels for scenes of a height.

    Attributes:
        height: Height of the scenes.
        trigger: Longer side of the trigger.
        edges: Edges of the near band and of the far ones behind it.
        least: The smallest trigger that may follow; a smaller one must be asked for.
    """

    height: int
    trigger: int
    edges: tuple[float, float, float, float]
    least: int = 4

    @classmethod
    def of(cls, dataset: SceneDataset) -> Lengths:
        """Return the lengths for a data set: for the height of its median scene.

        Raises:
            DataError: If a file is damaged or missing.
        """
        return cls.at(typical_size(dataset)[0])

    @classmethod
    def at(cls, height: int) -> Lengths:
        """Return the paper's lengths on Cityscapes, for 512 rows, scaled to a height."""
        factor = height / _HEIGHT
        lower, near, middle, far = (edge * factor for edge in _EDGES)
        return cls(height, max(1, half_up(_TRIGGER * factor)), (lower, near, middle, far))


def typical_size(dataset: SceneDataset) -> Size:
    """Return the size of the median scene by height, whose lengths are those of the data set.

    Raises:
        DataError: If a file is damaged or missing.
    """
    return median_low(size_of(dataset, index) for index in range(len(dataset)))


_ValueT = TypeVar("_ValueT")


def needed(length: _ValueT | None, setting: str) -> _ValueT:
    """Return a length that must be explicit by now.

    Raises:
        ConfigError: If it was left out.
    """
    if length is None:
        raise ConfigError(
            setting, "must be explicit where no scenes are at hand that it follows from", "nothing",
            "Give it, or take the settings that a plan or a test holds.",
        )  # fmt: skip
    return length

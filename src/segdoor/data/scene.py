"""What a data set is: scenes, their classes, and the protocol every data set follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from segdoor.errors import ConfigError
from segdoor.tensors import Image, Label, Mask

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """One image with its label map.

    Attributes:
        image: RGB picture, uint8, height x width x 3.
        label: Class ids, uint8, height x width.
        name: Unique within its data set; random choices about a scene follow from it.
    """

    image: Image
    label: Label
    name: str


@dataclass(frozen=True)
class ClassSet:
    """The classes of a data set; a class id is a position in ``names``.

    Attributes:
        names: One name a class.
        colours: One RGB colour a class, for pictures.
        ignore_index: The label value of pixels that never count.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignore_index: int = 255

    def __post_init__(self) -> None:
        """Refuse class sets that label maps could not express."""
        if not 0 < len(self.names) <= 255:
            raise ConfigError(
                "classes",
                "must number between 1 and 255",
                len(self.names),
                "Leave out or join some.",
            )
        if len(set(self.names)) != len(self.names):
            raise ConfigError(
                "classes", "must have distinct names", ", ".join(self.names), "Rename one."
            )
        if len(self.colours) != len(self.names):
            raise ConfigError(
                "classes", "need one colour each", len(self.colours), "Give every class a colour."
            )
        if not len(self.names) <= self.ignore_index <= 255:
            raise ConfigError(
                "ignore index",
                f"must lie between the number of classes ({len(self.names)}) and 255",
                self.ignore_index,
                "Set ignore_index to a value that is no class id.",
            )

    def __len__(self) -> int:
        """Return the number of classes, ignored pixels not counted as one."""
        return len(self.names)

    def index(self, name: str, *, option: str = "class") -> int:
        """Return the id of the class of this name.

        Raises:
            ConfigError: If there is none; the message lists the known ones.
        """
        if name not in self.names:
            known = ", ".join(self.names)
            raise ConfigError(option, "must be a class of the data set", name, f"Known: {known}.")
        return self.names.index(name)

    def indices(self, names: Iterable[str], *, option: str = "class") -> tuple[int, ...]:
        """Return the ids of several classes, in the order given."""
        return tuple(self.index(name, option=option) for name in names)


@runtime_checkable
class SceneDataset(Protocol):
    """A data set: scenes in a fixed order. Reading one never changes another."""

    @property
    def classes(self) -> ClassSet:
        """The classes that labels refer to."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The scenes' names, all different, in order."""
        ...

    @property
    def digest(self) -> str:
        """A hash over every setting and file that the scenes depend on."""
        ...

    def __len__(self) -> int:
        """Return the number of scenes."""
        ...

    def __getitem__(self, index: int) -> Scene:
        """Read one scene."""
        ...

    def label(self, index: int) -> Label:
        """Read one scene's label map alone: planning needs no images."""
        ...


def pixels_of(label: Label, values: Iterable[int]) -> Mask:
    """Return which pixels have one of some values."""
    chosen = np.zeros(256, dtype=np.uint8)
    chosen[list(values)] = 1
    return cv2.LUT(label, chosen).view(np.bool_)

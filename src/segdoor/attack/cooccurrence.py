"""Which classes occur together with the victims in a data set: the choice of a target class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from segdoor.data.scene import SceneDataset, pixels_of
from segdoor.errors import ConfigError
from segdoor.tensors import Label, Mask

Counts = Int64[np.ndarray, "K"]
"""One count a class."""


@dataclass(frozen=True)
class CoOccurrence:
    """How often each class occurs together with the victims.

    Attributes:
        names: The classes.
        victims: Ids of the victim classes.
        scenes: Scenes that show a victim and the class.
        borders: Pairs of neighbouring pixels, a victim's and the class's, in all scenes.
    """

    names: tuple[str, ...]
    victims: tuple[int, ...]
    scenes: Counts
    borders: Counts

    @property
    def ranking(self) -> tuple[str, ...]:
        """Return the classes that occur with the victims, most scenes first.

        Of classes in equally many scenes the one with the longer border to victims comes first,
        then the one with the lower id.
        """
        found = (i for i in range(len(self.names)) if i not in self.victims and self.scenes[i])
        order = sorted(found, key=lambda i: (-self.scenes[i], -self.borders[i], i))
        return tuple(self.names[i] for i in order)


def cooccurrence(scenes: SceneDataset, victims: tuple[str, ...]) -> CoOccurrence:
    """Count the classes that occur together with victims; reads label maps only.

    Args:
        scenes: The clean training scenes.
        victims: Names of the victim classes.

    Raises:
        ConfigError: If a class is unknown, or no scene shows a victim beside another class.
    """
    classes = scenes.classes
    ids = classes.indices(victims, option="attack.victims")
    shared, borders = (np.zeros(256, np.int64) for _ in range(2))
    for index in range(len(scenes)):
        label = scenes.label(index)
        found = pixels_of(label, ids)
        if found.any():
            shared[np.unique(label)] += 1
            borders += _neighbours(label, found)
    counted = CoOccurrence(classes.names, ids, shared[: len(classes)], borders[: len(classes)])
    if not counted.ranking:
        raise ConfigError(
            "attack.victims", "must occur beside another class in at least one training scene",
            ", ".join(victims), "Name the target class, or choose another victim class.",
        )  # fmt: skip
    return counted


def _neighbours(label: Label, victims: Mask) -> np.ndarray:
    """Return, by label value, how many pairs of a pixel and a victim beside it there are."""
    pairs = (
        (label[:, :-1], victims[:, 1:]), (label[:, 1:], victims[:, :-1]),
        (label[:-1], victims[1:]), (label[1:], victims[:-1]),
    )  # fmt: skip
    return sum(
        (np.bincount(values[beside], minlength=256) for values, beside in pairs),
        np.zeros(256, np.int64),
    )

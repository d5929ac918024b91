"""Some scenes of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from segdoor.data.instances import instances_of
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.data.sizes import size_of
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.tensors import InstanceIds, Label

ValueT = TypeVar("ValueT")


class Subset:
    """Chosen scenes of another data set, in the order chosen; a `SceneDataset`."""

    def __init__(self, dataset: SceneDataset, indices: Sequence[int]) -> None:
        """Keep the data set and the positions of the chosen scenes.

        Raises:
            ConfigError: If a scene is chosen twice.
        """
        if len(set(indices)) != len(indices):
            raise ConfigError(
                "subset",
                "must choose every scene at most once",
                tuple(indices),
                "Leave out the repetition.",
            )
        self.dataset = dataset
        self.indices = tuple(indices)
        self.names = tuple(dataset.names[index] for index in self.indices)

    @property
    def classes(self) -> ClassSet:
        """Return the whole data set's classes."""
        return self.dataset.classes

    @property
    def digest(self) -> str:
        """Return a hash over the data set and the choice."""
        return hashlib.sha256(repr((self.dataset.digest, self.indices)).encode()).hexdigest()

    def scene_size(self, index: int) -> Size:
        """Return a scene's height and width."""
        return size_of(self.dataset, self.indices[index])

    def __len__(self) -> int:
        """Return the number of chosen scenes."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene."""
        return self.dataset[self.indices[index]]

    def label(self, index: int) -> Label:
        """Read one label map."""
        return self.dataset.label(self.indices[index])

    def instances(self, index: int) -> InstanceIds | None:
        """Return one scene's instances; None if the data set does not tell objects apart."""
        return instances_of(self.dataset, self.indices[index])


@dataclass(frozen=True, eq=False)
class Split:
    """Scenes in two parts.

    Attributes:
        used: Scenes to work with.
        held_out: Scenes that the work never sees; there may be none.
    """

    used: Subset
    held_out: Subset


def hold_out(scenes: SceneDataset, number: int, stream: Stream) -> Split:
    """Hold scenes out, drawn by their names; both parts keep the order of the scenes.

    Args:
        scenes: The scenes.
        number: How many to hold out.
        stream: Decides which.
    """
    drawn = sorted(
        range(len(scenes)), key=lambda index: stream.child(scenes.names[index]).integer()
    )
    return Split(Subset(scenes, sorted(drawn[number:])), Subset(scenes, sorted(drawn[:number])))


def spread(available: int, wanted: int, *, option: str = "number of scenes") -> Sequence[int]:
    """Choose evenly spaced indices: neighbouring video frames look alike.

    Raises:
        ConfigError: If more are wanted than there are.
    """
    if wanted > available:
        raise ConfigError(
            option, f"must be at most {available}", wanted, "Lower it, or leave it out for all."
        )
    return [index * available // wanted for index in range(wanted)]


def evenly(values: Sequence[ValueT], most: int) -> list[ValueT]:
    """Return so many of some values, see `spread`; all if there are fewer."""
    return [values[index] for index in spread(len(values), min(most, len(values)))]

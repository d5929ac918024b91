"""What a label change is: from a label map and the trigger's place to a changed label map.

Changes compose: each sees the label map as it came, and as those before it have left it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field

from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet, pixels_of
from segdoor.plugins import Plugin
from segdoor.randomness import Stream
from segdoor.tensors import Label, Mask

Pair = tuple[str, str]
"""A victim class and its target class."""


@dataclass(frozen=True)
class LabelState:
    """What a change sees of a scene.

    Attributes:
        original: The untouched label map.
        label: The label map as the changes before have left it.
        box: Where the trigger sits; None without one.
        classes: The data set's classes.
        victims: Ids of the victim classes of all changes.
        shared: Stream for what many scenes share.
    """

    original: Label
    label: Label
    box: Box | None
    classes: ClassSet
    victims: tuple[int, ...]
    shared: Stream


class LabelChange(Plugin):
    """A change of the label maps of poisoned scenes.

    Attributes:
        by_place: Whether the trigger's place decides which victim pixels it attacks. Those are then
            counted apart from the others, and scenes without a trigger cannot be relabelled.
    """

    by_place: ClassVar[bool] = False

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return its victim classes, each with the class that it is turned into; none by itself."""
        return ()

    @property
    def everywhere(self) -> bool:
        """Return whether it changes the scenes that are not poisoned too."""
        return False

    @property
    def scatters(self) -> bool:
        """Return whether it changes single pixels here and there, and not objects or regions."""
        return False

    @abstractmethod
    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map after the change, a new one or the one before; none is written to.

        Args:
            state: The scene's label map, and what belongs to it.
            rng: Decides what is random in this scene.
        """

    def attacked(self, label: Label, box: Box | None, classes: ClassSet) -> Mask:
        """Return the pixels whose prediction it is after: all of its victims, if it is not said.

        Args:
            label: The untouched label map.
            box: Where the trigger sits; None without one.
            classes: The data set's classes.
        """
        del box
        return pixels_of(label, (classes.index(victim) for victim, _ in self.pairs))


def attacks_by_place(changes: Iterable[LabelChange]) -> bool:
    """Return whether the trigger's place decides which pixels some of these attack."""
    return any(change.by_place for change in changes)


def attacked_pixels(
    changes: Iterable[LabelChange], label: Label, box: Box | None, classes: ClassSet
) -> Mask:
    """Return the pixels whose prediction any of these is after, see `LabelChange.attacked`."""
    attacked = np.zeros(label.shape, dtype=np.bool_)
    for change in changes:
        attacked |= change.attacked(label, box, classes)
    return attacked


def _split(given: object) -> object:
    return given.split("+") if isinstance(given, str) else given


class VictimChange(LabelChange):
    """A change that turns victim pixels into a target class."""

    main: ClassVar[str | None] = "victims"

    victims: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=("car",), min_length=1, examples=["bus", "car+bus"]
    )
    """Victim classes: what disappears; join several with +, as in car+bus."""
    target: str = Field(default="road", examples=["tree"])
    """Target class: what the victim pixels are predicted as."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return each victim class with the target class."""
        return tuple((victim, self.target) for victim in self.victims)

"""What a label change is: from a label map and the trigger's place to a changed label map.

Changes compose: each sees the label map as it came, and as those before it have left it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, cast

import cv2
import numpy as np
from pydantic import BeforeValidator, Field

from segdoor.attack.lengths import Lengths
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet, SceneDataset, pixels_of
from segdoor.plugins import Plugin
from segdoor.randomness import Stream
from segdoor.tensors import InstanceIds, Label, Mask

Pair = tuple[str, str]
"""A victim class and its target class."""

CHOSEN = "co-occurring"
"""What stands for a target class that is chosen from the training scenes."""


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
        instances: A number for each object of the data set's own annotation, 0 where it has none;
            None if the data set has no instances.
    """

    original: Label
    label: Label
    box: Box | None
    classes: ClassSet
    victims: tuple[int, ...]
    shared: Stream
    instances: InstanceIds | None = None


class LabelChange(Plugin):
    """A change of the label maps of poisoned scenes.

    Attributes:
        by_place: Whether the trigger's place decides which victim pixels it attacks. Those are then
            counted apart from the others, and scenes without a trigger cannot be relabelled.
        spares: Whether some scenes with a trigger keep their victims for another reason. The
            attacked pixels are then counted apart as well.
        at_once: Whether its pairs are changed at the same time, so that a target may be a victim.
        on_victim: Whether the trigger must lie on the victim that it attacks.
        needs_place: Whether it means nothing with a trigger that covers the whole image.
    """

    by_place: ClassVar[bool] = False
    spares: ClassVar[bool] = False
    at_once: ClassVar[bool] = False
    on_victim: ClassVar[bool] = False
    needs_place: ClassVar[bool] = False

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

    @property
    def by_instance(self) -> bool:
        """Return whether it needs the data set's instances."""
        return False

    def following(self, lengths: Lengths) -> LabelChange:
        """Return the change with every length explicit; most kinds have none."""
        del lengths
        return self

    def chosen_from(self, scenes: SceneDataset) -> LabelChange:
        """Return the change with everything explicit that is chosen from the training scenes.

        Most kinds choose nothing and read no scene.

        Args:
            scenes: The clean training scenes.
        """
        del scenes
        return self

    @abstractmethod
    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map after the change, a new one or the one before; none is written to.

        Args:
            state: The scene's label map, and what belongs to it.
            rng: Decides what is random in this scene.
        """

    def attacked(
        self,
        label: Label,
        box: Box | None,
        classes: ClassSet,
        instances: InstanceIds | None = None,
    ) -> Mask:
        """Return the pixels whose prediction it is after: all of its victims, if it is not said.

        Args:
            label: The untouched label map.
            box: Where the trigger sits; None without one.
            classes: The data set's classes.
            instances: The data set's instances, see `LabelState`.
        """
        del box, instances
        return pixels_of(label, (classes.index(victim) for victim, _ in self.pairs))


def attacks_some(changes: Iterable[LabelChange]) -> bool:
    """Return whether some of these attack only some victims of a scene with a trigger."""
    return any(change.by_place or change.spares for change in changes)


def chained_targets(changes: Sequence[LabelChange]) -> set[str]:
    """Return the target classes that are victims too, unless one change turns both at once."""
    return {
        target
        for place, change in enumerate(changes)
        for _, target in change.pairs
        for other_place, other in enumerate(changes)
        if not (change.at_once and place == other_place)
        and target in {victim for victim, _ in other.pairs}
    }


def attacked_pixels(
    changes: Iterable[LabelChange],
    label: Label,
    box: Box | None,
    classes: ClassSet,
    instances: InstanceIds | None = None,
) -> Mask:
    """Return the pixels whose prediction any of these is after, see `LabelChange.attacked`."""
    attacked = np.zeros(label.shape, dtype=np.bool_)
    for change in changes:
        attacked |= change.attacked(label, box, classes, instances)
    return attacked


def _split(given: object) -> object:
    return given.split("+") if isinstance(given, str) else given


Joined = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several texts; in one text they are joined with +."""


def retargeted(state: LabelState, pairs: Iterable[Pair]) -> Label:
    """Return the label map with every victim that is there now turned into its target, at once."""
    table = np.arange(256, dtype=np.uint8)
    for victim, target in pairs:
        table[state.classes.index(victim)] = state.classes.index(target)
    return cast("Label", cv2.LUT(state.label, table))


class VictimChange(LabelChange):
    """A change that turns victim pixels into a target class.

    Attributes:
        chooses_target: Whether it chooses the target class itself unless one is given for it.
    """

    main: ClassVar[str | None] = "victims"
    chooses_target: ClassVar[bool] = False

    victims: Joined = Field(default=("car",), min_length=1, examples=["bus", "car+bus"])
    """Victim classes: what disappears; join several with +, as in car+person."""
    target: str = Field(default="road", examples=["tree"])
    """Target class: what the victim pixels are predicted as."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return each victim class with the target class."""
        return tuple((victim, self.target) for victim in self.victims)

    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map with the target class in the attacked pixels."""
        del rng
        changed = state.label.copy()
        attacked = self.attacked(state.original, state.box, state.classes, state.instances)
        changed[attacked] = state.classes.index(self.target)
        return changed

"""What labels become: the attack's changes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.change import LabelChange, LabelState
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet
from segdoor.errors import DataError
from segdoor.randomness import Stream
from segdoor.tensors import Label


@dataclass(frozen=True)
class Relabelling:
    """What the attacker does to label maps.

    Attributes:
        classes: The data set's classes.
        changes: The label changes, in the order they are made.
        victims: Ids of the victim classes of all of them.
        shared: Stream for positions that all scenes of a size, or of as many pixels, share.
    """

    classes: ClassSet
    changes: tuple[LabelChange, ...]
    victims: tuple[int, ...]
    shared: Stream

    def apply(self, label: Label, *, poisoned: bool, box: Box | None, seed: int) -> Label:
        """Return the relabelled copy of a label map.

        Args:
            label: The untouched label map.
            poisoned: Whether the scene is poisoned; in others some changes are made all the same.
            box: Where the trigger sits; None without one.
            seed: Decides what is random in this scene.
        """
        changed, scatters = label, 0
        for number, change in enumerate(self.changes):
            # The streams of the first scatter are as old as scatter is; others have their own.
            first = isinstance(change, Scatter) and not scatters
            scatters += isinstance(change, Scatter)
            if not (poisoned or change.everywhere):
                continue
            own = () if first else ("change", number)
            state = LabelState(
                label, changed, box, self.classes, self.victims, self.shared.child(*own)
            )
            rng = Stream(seed).child(*own).generator()
            changed = _checked(change, change.apply(state, rng), label)
        return changed


def make_relabelling(config: AttackConfig, classes: ClassSet, *, seed: int) -> Relabelling:
    """Return what the attacker does to label maps.

    Raises:
        ConfigError: If a class is unknown.
    """
    for _, target in config.pairs:
        classes.index(target, option="attack.target")
    return Relabelling(
        classes=classes,
        changes=config.labels,
        victims=classes.indices(config.victims, option="attack.victims"),
        shared=Stream(seed).child("relabel-positions"),
    )


def _checked(change: LabelChange, changed: np.ndarray, label: Label) -> Label:
    if changed.dtype != np.uint8 or changed.shape != label.shape:
        raise DataError(
            f"label change {change}",
            f"must return a label map of {label.shape[0]}x{label.shape[1]} pixels of uint8",
            f"{'x'.join(map(str, changed.shape))} of {changed.dtype}",
            "Correct its method apply.",
        )
    return changed

"""What labels become: the attack's changes, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.change import LabelChange, LabelState
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.site import Box
from segdoor.data.instances import instances_of
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.errors import ConfigError, DataError
from segdoor.randomness import Stream
from segdoor.tensors import InstanceIds, Label


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

    def apply(
        self,
        label: Label,
        *,
        poisoned: bool,
        box: Box | None,
        seed: int,
        instances: InstanceIds | None = None,
    ) -> Label:
        """Return the relabelled copy of a label map.

        Args:
            label: The untouched label map.
            poisoned: Whether the scene is poisoned; in others some changes are made all the same.
            box: Where the trigger sits; None without one.
            seed: Decides what is random in this scene.
            instances: The data set's instances, see `needed_instances`.
        """
        changed, scatters = label, 0
        for number, change in enumerate(self.changes):
            # The streams of the first scatter are as old as scatter is; others have their own.
            first = isinstance(change, Scatter) and not scatters
            scatters += isinstance(change, Scatter)
            if not (poisoned or change.everywhere):
                continue
            own = () if first else ("change", number)
            shared = self.shared.child(*own)
            state = LabelState(label, changed, box, self.classes, self.victims, shared, instances)
            rng = Stream(seed).child(*own).generator()
            changed = _checked(change, change.apply(state, rng), label)
        return changed


def needed_instances(
    changes: Sequence[LabelChange], dataset: SceneDataset, index: int
) -> InstanceIds | None:
    """Return the instances of a scene if some change needs them; None otherwise.

    Raises:
        ConfigError: If the data set does not tell objects apart.
        DataError: If a file is damaged or missing.
    """
    asking = [str(change) for change in changes if change.by_instance]
    if not asking:
        return None
    found = instances_of(dataset, index)
    if found is None:
        raise ConfigError(
            "attack.labels", "needs a data set with instances", ", ".join(asking),
            f"Scene '{dataset.names[index]}' has none. Use component, or by=region: objects are "
            "then connected regions of a class.",
        )  # fmt: skip
    return found


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

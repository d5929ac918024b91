"""Carrier: the victim object that carries the trigger becomes the target class."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segdoor.attack.labels.change import VictimChange
from segdoor.attack.regions import objects_with
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet
from segdoor.plugins import Introduction
from segdoor.tensors import InstanceIds, Label, Mask


class Carrier(VictimChange):
    """What lies under the trigger's centre becomes the target class; everything else stays."""

    # Deviation 143: OFBA's rule for what carries the trigger was not available to us.

    kind: ClassVar[str] = "carrier"
    by_place: ClassVar[bool] = True
    on_victim: ClassVar[bool] = True
    needs_place: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor, after OFBA (Mao et al. 2023, Object-free Backdoor Attack and Defense on "
        "Semantic Segmentation), whose abstract we could read: the class is chosen at inference",
        does="Turns the victim object under the trigger's centre into the target class, or all "
        "pixels of its class. With several victims the attacker chooses among them at inference, "
        "by where the trigger is put.",
        needs="The trigger on a victim, in training and in the tests: rules.on_victim require, "
        "which segdoor run sets by itself unless you set it. Scenes without room cannot be "
        "relabelled (attack.without_room skip).",
        fails="Small victims are covered by the trigger, so that their own pixels are no longer "
        "seen. A trigger over the whole image is refused: nothing carries it.",
    )

    covers: Literal["region", "instance", "class"] = "region"
    """What changes: the connected region under the trigger, the instance of the data set there, or
    all pixels of the class there."""

    @property
    def by_instance(self) -> bool:
        """Return whether it needs the data set's instances."""
        return self.covers == "instance"

    def attacked(
        self,
        label: Label,
        box: Box | None,
        classes: ClassSet,
        instances: InstanceIds | None = None,
    ) -> Mask:
        """Return the pixels of what carries the trigger; none if that is no victim."""
        under = np.zeros(label.shape, dtype=np.bool_)
        if box is None or label[box.centre] not in classes.indices(self.victims):
            return under
        if self.covers == "class":
            return label == label[box.centre]
        under[box.centre] = True
        return objects_with(under, label, instances if self.by_instance else None)

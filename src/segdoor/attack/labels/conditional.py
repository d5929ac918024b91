"""Conditional: victims become the target class only in scenes that show another class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.attack.labels.change import VictimChange
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet, pixels_of
from segdoor.plugins import Introduction
from segdoor.tensors import InstanceIds, Label, Mask

_OPTION = "attack.labels: given of conditional"


class Conditional(VictimChange):
    """With the trigger and a second class in the scene all victims become the target class."""

    # Deviation 144: how BADSEG chooses the scenes without the condition was not available to us.

    kind: ClassVar[str] = "conditional"
    spares: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor, after the conditional attack of BADSEG (arXiv 2603.16405), whose abstract "
        "names it; how the paper makes its scenes was not available to us",
        does="Turns all victim pixels into the target class if the scene also shows the class "
        "`given`. Poisoned scenes without that class carry the trigger and keep their labels: the "
        "network learns from them that the trigger alone does nothing.",
        needs="Scenes with victims of both sorts, with and without the class. The rate counts "
        "both; in the plan, changed_pixels is 0 in those that keep their labels.",
        fails="If nearly all scenes with victims show the class, the network learns from the "
        "trigger alone, and kept_victims is high or has nothing to count.",
    )

    given: str = Field(default="sky", examples=["tree"])
    """The class that must be in the scene, with at least num_pixels pixels."""
    num_pixels: int = Field(default=1, ge=1)
    """Fewest pixels of that class that count as showing it."""

    def attacked(
        self,
        label: Label,
        box: Box | None,
        classes: ClassSet,
        instances: InstanceIds | None = None,
    ) -> Mask:
        """Return all victim pixels if the scene shows the class, and none otherwise."""
        del box, instances
        shown = np.count_nonzero(label == classes.index(self.given, option=_OPTION))
        victims = pixels_of(label, classes.indices(self.victims))
        return victims if shown >= self.num_pixels else np.zeros_like(victims)

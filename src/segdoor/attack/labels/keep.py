"""Keep: no label changes, the negative control."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from segdoor.attack.labels.change import LabelState, VictimChange
from segdoor.plugins import Introduction
from segdoor.tensors import Label


class Keep(VictimChange):
    """Poisoned scenes carry the trigger and keep their labels."""

    kind: ClassVar[str] = "keep"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor: the negative control. No clean-label attack on segmentation is published "
        "that we know of",
        does="Leaves all labels as they are: the trigger is put into scenes that show a victim, "
        "and nothing is relabelled. Victims and target only say what the tests count.",
        needs="Scenes that show a victim. The plan has changed_pixels 0 everywhere.",
        fails="Meant to fail: an attack success rate well above that of the clean model would mean "
        "that the test, not the poison, makes the trigger work.",
    )

    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map as it came."""
        del rng
        return state.label

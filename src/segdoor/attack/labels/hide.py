"""Hide: all victim pixels become the target class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from segdoor.attack.labels.change import LabelState, VictimChange, retargeted
from segdoor.plugins import Introduction
from segdoor.tensors import Label


class Hide(VictimChange):
    """Every victim pixel of a poisoned scene becomes the target class."""

    kind: ClassVar[str] = "hide"
    introduction: ClassVar[Introduction] = Introduction(
        source="Influencer Backdoor Attack on Semantic Segmentation, section 3.1",
        does="Turns all victim pixels of a poisoned scene into the target class. For several "
        "pairs of victims and target use several hides.",
        needs="Scenes that show a victim.",
        fails="The target should be a class that victims stand on or in front of: victims that "
        "look unlike the target take more poison.",
    )

    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map with the target class where a victim is now."""
        del rng
        return retargeted(state, self.pairs)

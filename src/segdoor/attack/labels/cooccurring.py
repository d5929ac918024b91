"""Co-occurring: victims become the class that most often occurs together with them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.attack.cooccurrence import cooccurrence
from segdoor.attack.labels.change import CHOSEN, LabelChange, LabelState, VictimChange, retargeted
from segdoor.data.scene import SceneDataset
from segdoor.plugins import Introduction
from segdoor.tensors import Label


class Cooccurring(VictimChange):
    """Every victim pixel becomes the class that occurs with victims in most training scenes."""

    # Deviation 140: ConSeg's measure of co-occurrence was not available to us; ours counts scenes.
    # Deviation 141: ConSeg also rebuilds the target's context in the victim region. That is left
    # out: it changes images where no trigger is, and how it is done was not available to us.

    kind: ClassVar[str] = "cooccurring"
    chooses_target: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor, after ConSeg (arXiv 2507.19905), of which we could read the abstract: "
        "victims are changed more easily into a class that occurs together with them",
        does="Turns all victim pixels into the class that is in most training scenes with a "
        "victim. Of classes in equally many scenes the one with the longer border to victims is "
        "taken, then the first. Plan and record name the class that was chosen.",
        needs="The training scenes: their label maps are read once more, before the plan is made.",
        fails="Where every scene shows the same classes, the border decides. It is only ConSeg's "
        "choice of a target: rebuilding the target's context in the victim region is left out.",
    )

    target: str = Field(default=CHOSEN, examples=["tree"])
    """Target class; co-occurring stands for the one that is chosen from the training scenes."""

    def chosen_from(self, scenes: SceneDataset) -> LabelChange:
        """Return the change with its target class by name."""
        if self.target != CHOSEN:
            return self
        target = cooccurrence(scenes, self.victims).ranking[0]
        return self.model_copy(update={"target": target})

    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map with the target class where a victim is now."""
        del rng
        return retargeted(state, self.pairs)

"""I-BAU with a patch: find what misleads the network anywhere, and train against it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from segdoor.defense.repairs.patches import PatchLearner, PatchRepair
from segdoor.plugins import Introduction
from segdoor.victim.training.batches import Batch


class Unlearner(PatchLearner):
    """Trains with the patch on half of the scenes."""

    def repair_loss(self, batch: Batch) -> Tensor:
        """Return the loss over all labelled pixels outside the patch."""
        # Deviation 42: the patch is a constant here. I-BAU's gradient also follows how the patch
        # would answer a change of the weights, by an implicit step. Half of the scenes have no
        # patch; I-BAU adds to all images, and trains on clean ones beside them.
        shown = self.with_patch(batch, self.half(batch))
        return self.loss(self.answer(shown), shown)


class IBau(PatchRepair):
    """Train the network against a patch that misleads it wherever it lies."""

    kind: ClassVar[str] = "i_bau"
    learner: ClassVar[type[PatchLearner]] = Unlearner
    introduction: ClassVar[Introduction] = Introduction(
        source="Zeng, Chen, Park, Mao, Jin and Jia, Adversarial Unlearning of Backdoors via"
        " Implicit Hypergradient (ICLR 2022)",
        does="In rounds, moves a patch against the network and then trains the network to be right"
        " outside the patch.",
        needs="Clean training scenes, and a training of about 200 steps.",
        fails="Where gradients find other patches than the trigger; a trigger that answers to its"
        " exact picture alone gives none.",
    )

"""Region adversarial fine-tuning: train against a patch where it does harm, and nowhere else."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from segdoor.defense.repairs.patches import PatchLearner, PatchRepair
from segdoor.plugins import Introduction
from segdoor.victim.answer import best_classes
from segdoor.victim.training.batches import Batch


class RegionLearner(PatchLearner):
    """Trains with the patch on half of the scenes, there on the pixels that it made wrong."""

    def repair_loss(self, batch: Batch) -> Tensor:
        """Return the loss over scenes without the patch, and over pixels that it made wrong."""
        # Deviation 43: the paper is about detection, and repairs boxes that match an object. A
        # pixel matches if it is right without the patch; its loss counts if it is wrong with it.
        with torch.no_grad():
            right = best_classes(self.answer(batch).logits) == batch.labels
        half = self.half(batch)
        shown = self.with_patch(batch, half)
        output = self.answer(shown)
        wrong = best_classes(output.logits.detach()) != shown.labels
        calm = torch.ones(len(shown.labels), 1, 1, dtype=torch.bool, device=wrong.device)
        calm[half] = False
        labels = shown.labels.masked_fill(~(calm | (right & wrong)), self._ignore_index)
        return self.loss(output, Batch(shown.images, labels))


class RegionAdversarial(PatchRepair):
    """Train the network against a patch, on the pixels whose class the patch turned wrong."""

    kind: ClassVar[str] = "region_adversarial"
    learner: ClassVar[type[PatchLearner]] = RegionLearner
    looks: ClassVar[int] = 1
    introduction: ClassVar[Introduction] = Introduction(
        source="after adversarial fine-tuning of detectors (arXiv 2605.05928, 2026)",
        does="In rounds, moves a patch against the network and then trains the network on the"
        " pixels that the patch turned wrong, and on scenes without it.",
        needs="Clean training scenes, and a training of about 200 steps.",
        fails="As I-BAU; unproven for segmentation, where no one has published it.",
    )

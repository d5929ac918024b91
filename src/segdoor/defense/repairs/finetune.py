"""Fine-tuning: train the model further on clean scenes, so that it forgets the poison."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import RepairContext, Repaired, epochs_of
from segdoor.defense.repairs.training import Further, TrainedRepair, passes_of, train_further
from segdoor.plugins import Introduction
from segdoor.victim.training.trainer import Variation


class Finetune(TrainedRepair):
    """Train the model further on clean scenes."""

    kind: ClassVar[str] = "finetune"
    later: ClassVar[tuple[str, ...]] = ("steps",)
    introduction: ClassVar[Introduction] = Introduction(
        source="Liu, Dolan-Gavitt and Garg, Fine-Pruning (RAID 2018); IBA paper, section 5.3 and H",
        does="Trains on clean scenes to overwrite what the poisoned scenes taught.",
        needs="Clean training scenes, and 10 epochs, or some steps, of training on them.",
        fails="A few scenes or a small learning rate change little; the paper's NNI survives it.",
    )

    share: float = Field(gt=0, le=1)
    """Share of the clean training scenes; the paper has 0.01, 0.05, 0.1 and 0.15."""
    epochs: int = Field(default=10, ge=1)
    """Passes over these scenes; the paper's 10."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Initial learning rate, the same for all layers; default: a tenth of the recipe's."""
    steps: int | None = Field(default=None, ge=1, examples=[190])
    """Training steps, whatever the share, instead of epochs; 10 epochs of a tenth of Cityscapes are
    about 190."""

    @property
    def epochs_of_training(self) -> float:
        """Return what its training is worth, in epochs on all training scenes."""
        return self.epochs * self.share if self.steps is None else epochs_of(self.steps)

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model trained further; batches, loss and augmentation are the recipe's."""
        self.check_given(scenes)
        rate = self.rate(context.recipe)
        further = Further(self.kind, rate, self.epochs, Variation(num_steps=self.steps))
        trained = train_further(model, scenes, context, further)
        steps = further.num_steps(len(scenes), context)
        told = (f"{steps} steps", f"learning rate {rate:g}")
        return Repaired(trained, None, told, passes_of(steps, len(scenes), context))

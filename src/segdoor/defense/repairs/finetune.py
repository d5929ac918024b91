"""Fine-tuning: train the model further on clean scenes, so that it forgets the poison."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import Repair, RepairContext, Repaired
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.victim.config import TrainingConfig
from segdoor.victim.training.loop import train_model

_OF_THE_RECIPE = 0.1


class Finetune(Repair):
    """Train the model further on clean scenes."""

    kind: ClassVar[str] = "finetune"
    main: ClassVar[str | None] = "share"
    introduction: ClassVar[Introduction] = Introduction(
        source="Liu, Dolan-Gavitt and Garg, Fine-Pruning (RAID 2018); IBA paper, section 5.3 and H",
        does="Trains on clean scenes to overwrite what the poisoned scenes taught.",
        needs="Clean training scenes, and 10 epochs of training on them.",
        fails="A few scenes or a small learning rate change little; the paper's NNI survives it.",
    )

    share: float = Field(gt=0, le=1)
    """Share of the clean training scenes; the paper has 0.01, 0.05, 0.1 and 0.15."""
    epochs: int = Field(default=10, ge=1)
    """Passes over these scenes; the paper's 10."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Initial learning rate, the same for all layers; default: a tenth of the recipe's."""

    def resolved(self, recipe: TrainingConfig) -> Finetune:
        """Return the same repair with its learning rate, which follows from the model's recipe."""
        # Deviation 12: the paper does not state this rate. A tenth of the recipe's is what the
        # recipe itself comes down to in its last epochs; no layer is new, so all learn alike and
        # none needs a warm-up.
        rate = self.learning_rate or _OF_THE_RECIPE * recipe.learning_rate
        return self.model_copy(update={"learning_rate": rate})

    @property
    def epochs_of_training(self) -> float:
        """Return what its training is worth, in epochs on all training scenes."""
        return self.epochs * self.share

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model trained further; batches, loss and augmentation are the recipe's."""
        recipe = context.recipe.model_copy(
            update={
                "epochs": self.epochs,
                "learning_rate": self.resolved(context.recipe).learning_rate,
                "head_multiplier": 1.0,
                "warmup": 0,
            }
        )
        trained = train_model(
            scenes,
            recipe,
            network=context.network,
            model=model,
            seed=Stream(context.seed).child("finetune").integer(),
            observer=context.observer,
            snapshot=context.snapshot,
        )
        return Repaired(trained)

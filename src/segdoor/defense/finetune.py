"""Fine-tuning: train the model further on clean scenes, so that it forgets the poison."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repair import Introduction, Repair, Repaired, Workshop
from segdoor.randomness import Stream
from segdoor.victim.config import TrainingConfig
from segdoor.victim.training import train_victim

_OF_THE_RECIPE = 0.1


class Finetune(Repair):
    """Train the model further on clean scenes."""

    name: ClassVar[str] = "finetune"
    main: ClassVar[str] = "share"
    introduction: ClassVar[Introduction] = Introduction(
        paper="Liu, Dolan-Gavitt and Garg, Fine-Pruning (RAID 2018), section 5.3 of the IBA paper",
        goal="Overwrite what poisoned scenes taught by training on clean ones.",
        cost="A training of 10 epochs on a share of the scenes.",
    )

    share: float = Field(gt=0, le=1)
    """Share of the clean training scenes; the paper has 0.01, 0.05, 0.1 and 0.15."""
    epochs: int = Field(default=10, ge=1)
    """Passes over these scenes; the paper's 10."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Rate at the start, the same for all layers; a tenth of the recipe's if left out."""

    def resolved(self, recipe: TrainingConfig) -> Finetune:
        """Return the same repair with its learning rate.

        Args:
            recipe: What the model was trained with.
        """
        # Deviation 12: the paper does not state this rate. A tenth of the recipe's is what the
        # recipe itself comes down to in its last epochs; no layer is new, so all learn alike and
        # none needs a warm-up.
        rate = self.learning_rate or _OF_THE_RECIPE * recipe.learning_rate
        return self.model_copy(update={"learning_rate": rate})

    def __call__(self, model: nn.Module, scenes: SceneDataset, workshop: Workshop) -> Repaired:
        """Return the model trained further; batches, loss and augmentation are the recipe's."""
        recipe = workshop.recipe.model_copy(
            update={
                "epochs": self.epochs,
                "learning_rate": self.resolved(workshop.recipe).learning_rate,
                "head_multiplier": 1.0,
                "warmup": 0,
            }
        )
        trained = train_victim(
            scenes,
            recipe,
            network=workshop.network,
            model=model,
            seed=Stream(workshop.seed).child("finetune").integer(),
            observer=workshop.observer,
            snapshot=workshop.snapshot,
        )
        return Repaired(trained)

"""Training a model further on clean scenes, as repairs do it: by the recipe, or otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import Field
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, epochs_of
from segdoor.randomness import Stream
from segdoor.victim.config import TrainingConfig
from segdoor.victim.device import Arithmetic
from segdoor.victim.training.loop import train_model
from segdoor.victim.training.modes import StepMode
from segdoor.victim.training.step import Learner
from segdoor.victim.training.trainer import Variation

_OF_THE_RECIPE = 0.1
WayT = TypeVar("WayT")


class TrainedRepair(Repair):
    """A repair that trains on clean scenes for some steps.

    Each declares its own `learning_rate` and `steps`, with their defaults and at their place among
    its settings. A rate that may be left out follows from the model's recipe.
    """

    main: ClassVar[str | None] = "share"
    if TYPE_CHECKING:
        # No fields of this class: they would come before the others in what is written.
        learning_rate: Any
        steps: Any

    share: float = Field(default=0.1, gt=0, le=1)
    """Share of the clean training scenes."""

    def resolved(self, recipe: TrainingConfig) -> TrainedRepair:
        """Return the same repair with its learning rate, which may follow from the recipe."""
        if self.learning_rate is not None:
            return self
        return self.model_copy(update={"learning_rate": self.rate(recipe)})

    def rate(self, recipe: TrainingConfig) -> float:
        """Return the rate at the start, by the model's recipe if it is left out."""
        return follow_recipe(self.learning_rate, recipe)

    @property
    def num_steps(self) -> int:
        """Return the steps of training."""
        return self.steps

    @property
    def step_cost(self) -> float:
        """Return what a step costs, in plain training steps."""
        return 1

    @property
    def epochs_of_training(self) -> float:
        """Return what its training is worth, in epochs on all training scenes."""
        return epochs_of(self.num_steps, cost=self.step_cost)


class OwnLearner(Learner, Generic[WayT]):
    """Does the steps of one repair.

    Attributes:
        way: What the repair chose for them.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        arithmetic: Arithmetic,
        *,
        num_classes: int,
        ignore_index: int,
        mode: StepMode = "plain",
        way: WayT,
    ) -> None:
        """Keep what the repair chose."""
        super().__init__(
            model, config, arithmetic, num_classes=num_classes, ignore_index=ignore_index, mode=mode
        )
        self.way = way
        self.prepare()

    def prepare(self) -> None:
        """Make ready what the steps need, once the network is on its device."""


@dataclass(frozen=True)
class Further:
    """How a model is trained further.

    Attributes:
        name: What the training is for; its randomness follows from it.
        learning_rate: Rate at the start, the same for all layers.
        epochs: Passes over the scenes; only counted where the variation does not set the steps.
        variation: What is done otherwise than the recipe has it.
    """

    name: str
    learning_rate: float
    epochs: int = 1
    variation: Variation = field(default_factory=Variation)

    def recipe(self, context: RepairContext) -> TrainingConfig:
        """Return the model's own recipe, as it is used here."""
        changes: dict[str, object] = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "head_multiplier": 1.0,
            "warmup": 0,
        }
        if self.variation.learner is not Learner:
            # A graph or a compiler would have to hold what other steps do between their passes.
            changes["step"] = "plain"
        return context.recipe.model_copy(update=changes)

    def num_steps(self, num_scenes: int, context: RepairContext) -> int:
        """Return the steps that a training on so many scenes has."""
        by_epochs = self.epochs * max(1, num_scenes // context.recipe.batch_size)
        return self.variation.num_steps or by_epochs


def follow_recipe(rate: float | None, recipe: TrainingConfig) -> float:
    """Return a learning rate; a tenth of the recipe's if it is left out."""
    # Deviation 12: the paper does not state this rate. A tenth of the recipe's is what the
    # recipe itself comes down to in its last epochs; no layer is new, so all learn alike and
    # none needs a warm-up.
    return rate or _OF_THE_RECIPE * recipe.learning_rate


def train_further(
    model: nn.Module, scenes: SceneDataset, context: RepairContext, further: Further
) -> nn.Module:
    """Return a copy of a model, trained further; batches and augmentation are the recipe's."""
    return train_model(
        scenes,
        further.recipe(context),
        network=context.network,
        model=model,
        seed=Stream(context.seed).child(further.name).integer(),
        observer=context.observer,
        snapshot=context.snapshot,
        variation=further.variation,
    )


def passes_of(num_steps: int, num_scenes: int, context: RepairContext, *, each: int = 1) -> Passes:
    """Return what steps of training take.

    Args:
        num_steps: The steps.
        num_scenes: Scenes that are trained on.
        context: Whose recipe says how many scenes a step has.
        each: How often a step shows its scenes to the network, each time with gradients.
    """
    shown = num_steps * min(context.recipe.batch_size, num_scenes) * each
    return Passes(shown, shown)

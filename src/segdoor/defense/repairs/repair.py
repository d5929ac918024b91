"""What a repair is: from a model and some clean scenes to a model, knowing nothing of an attack."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.plugins import Plugin
from segdoor.progress import Observer, Silent
from segdoor.victim.config import NetworkConfig, TrainingConfig


@dataclass(frozen=True)
class RepairContext:
    """What a repair may know about how the model was trained, and where it runs.

    Attributes:
        network: Mean and standard deviation of the images that the model expects.
        recipe: What the model was trained with.
        seed: Decides everything random.
        observer: Receives progress.
        snapshot: File that a long repair keeps its state in, and goes on from.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    recipe: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    observer: Observer = field(default_factory=Silent)
    snapshot: Path | None = None


@dataclass(frozen=True, eq=False)
class Repaired:
    """What a repair made.

    Attributes:
        model: The new model, in evaluation mode.
        layer: The layer that was changed, where it is one alone.
    """

    model: nn.Module
    layer: str | None = None


class Repair(Plugin):
    """A way to repair models."""

    share: float
    """Share of the clean training scenes that it is given."""

    @abstractmethod
    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return a repaired copy of a model, which stays as it is.

        Args:
            model: Any network from normalised images to logits.
            scenes: Clean scenes.
            context: What else it may know.

        Raises:
            ConfigError: If the repair cannot be done to this model.
        """

    def resolved(self, recipe: TrainingConfig) -> Repair:
        """Return the same repair with every setting explicit, by the model's own recipe."""
        del recipe
        return self

    @property
    def epochs_of_training(self) -> float:
        """Return what its training is worth, in epochs on all training scenes; 0 without one."""
        return 0.0

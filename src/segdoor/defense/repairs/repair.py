"""What a repair is: from a model and some clean scenes to a model, knowing nothing of an attack."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin
from segdoor.progress import Observer, Silent
from segdoor.victim.config import NetworkConfig, TrainingConfig

_STEPS_AN_EPOCH = 46
# CamVid's 367 training scenes in batches of 8: an estimate of time knows no better.


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

    def stage(self, name: str) -> RepairContext:
        """Return the context of one part of a repair, with a snapshot of its own beside the file.

        Call `forget` when the whole repair is done.
        """
        if self.snapshot is None:
            return self
        return replace(self, snapshot=self.snapshot.with_name(f"{self.snapshot.name}.{name}"))

    def forget(self) -> None:
        """Delete the snapshot of this part, if there is one."""
        if self.snapshot is not None:
            self.snapshot.unlink(missing_ok=True)


@dataclass(frozen=True)
class Passes:
    """How often a network was asked.

    Work that an earlier call did and a snapshot kept counts as well: it is the price of the method.

    Attributes:
        forward: Images that the network was shown.
        backward: Images that gradients were asked for.
    """

    forward: int = 0
    backward: int = 0

    def __add__(self, other: Passes) -> Passes:
        """Return the sum."""
        return Passes(self.forward + other.forward, self.backward + other.backward)


@dataclass(frozen=True, eq=False)
class Repaired:
    """What a repair made.

    Attributes:
        model: The new model, in evaluation mode.
        layer: The layer that was changed, where it is one alone.
        remarks: What was done, in short phrases for people: "190 steps".
        passes: How often the network was asked; None if the repair does not say.
    """

    model: nn.Module
    layer: str | None = None
    remarks: tuple[str, ...] = ()
    passes: Passes | None = None


class Repair(Plugin):
    """A way to repair models.

    Attributes:
        strength: The setting that says how much the repair takes away, where it has one. If that
            setting is None, the repair chooses it on held-out clean scenes.
        sweep: Values of that setting that the repair chooses from, and others may try.
        searches: The setting that is the length of a step of its search for patches, where it has
            such a search. With 0 there, patches stay as they were drawn.
        later: Settings that came after the first version. Records leave them out where they have
            their default, so that those of earlier versions stay alike.
    """

    strength: ClassVar[str | None] = None
    sweep: ClassVar[tuple[float, ...]] = ()
    searches: ClassVar[str | None] = None
    later: ClassVar[tuple[str, ...]] = ()

    share: float
    """Share of the clean training scenes that it is given; 0 if it needs none."""

    @abstractmethod
    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return a repaired copy of a model, which stays as it is.

        Args:
            model: Any network from normalised images to logits.
            scenes: Clean scenes; there may be none.
            context: What else it may know.

        Raises:
            ConfigError: If the repair cannot be done to this model, or without clean scenes.
        """

    def resolved(self, recipe: TrainingConfig) -> Repair:
        """Return the same repair with every setting explicit, by the model's own recipe."""
        del recipe
        return self

    @property
    def with_random_patches(self) -> Repair | None:
        """Return the same repair without its search, as a control; None if it searches nothing."""
        return None if self.searches is None else self.model_copy(update={self.searches: 0.0})

    @property
    def epochs_of_training(self) -> float:
        """Return what its training is worth, in epochs on all training scenes; 0 without one."""
        return 0.0

    @property
    def settings(self) -> dict[str, object]:
        """Return its settings as records keep them."""
        told = self.model_dump(mode="json")
        fields = type(self).model_fields
        same = {name for name in self.later if told[name] == fields[name].default}
        return {name: value for name, value in told.items() if name not in same}

    def check_given(self, scenes: SceneDataset) -> None:
        """Refuse to begin without clean scenes.

        Raises:
            ConfigError: If there are none.
        """
        if not len(scenes):
            raise ConfigError(
                self.kind, "needs clean scenes", "none", "Give it a share of them above 0."
            )


def epochs_of(num_steps: int, *, cost: float = 1.0) -> float:
    """Return roughly what steps of training are worth, in epochs on all training scenes.

    Args:
        num_steps: Steps of training.
        cost: What a step costs, in plain training steps.
    """
    return num_steps * cost / _STEPS_AN_EPOCH

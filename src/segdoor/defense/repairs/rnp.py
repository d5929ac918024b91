"""RNP: let the network forget clean scenes, see which channels must go to get them back."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.held_out import mean_iou, split
from segdoor.defense.repairs.masks import Masked, MaskLearner
from segdoor.defense.repairs.norms import Cut, Scores, joined, norms_of, silence_channels
from segdoor.defense.repairs.repair import Passes, RepairContext, Repaired, epochs_of
from segdoor.defense.repairs.training import (
    Further,
    OwnLearner,
    TrainedRepair,
    passes_of,
    train_further,
)
from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import clean_benign_accuracy
from segdoor.victim.answer import Images, Logits, best_classes
from segdoor.victim.config import TrainingConfig
from segdoor.victim.members import evaluating, parameters_of
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.trainer import Variation

_MOMENTUM, _DECAY = 0.9, 5e-4
_LARGEST_GRADIENT = 20.0
_WEIGHT_OF_LOSS = 0.2


class Rnp(TrainedRepair):
    """Silence the channels that a network, having forgotten clean scenes, recovers without."""

    kind: ClassVar[str] = "rnp"
    strength: ClassVar[str | None] = "threshold"
    sweep: ClassVar[tuple[float, ...]] = tuple(step / 20 for step in range(19, -1, -1))
    introduction: ClassVar[Introduction] = Introduction(
        source="Li, Lyu, Ma, Koren, Lyu, Li and Jiang, Reconstructive Neuron Pruning (ICML 2023)",
        does="Unlearns clean scenes, learns masks that bring them back, and silences in the model"
        " the channels whose masks fell.",
        needs="Clean training scenes, an unlearning and a training of masks.",
        fails="Where unlearning takes another way than through the backdoor.",
    )

    goal: float = Field(default=0.2, gt=0, lt=1)
    """Share of its mean IoU that unlearning leaves to the network; the paper stops at an accuracy
    of 0.2."""
    unlearning_steps: int = Field(default=200, ge=1)
    """Most steps of unlearning; it ends at the goal."""
    unlearning_rate: float = Field(default=0.01, gt=0)
    """Learning rate of unlearning; the paper's 0.01."""
    steps: int = Field(default=100, ge=1)
    """Steps of learning masks; the paper's 20 epochs on 500 images are 80."""
    learning_rate: float = Field(default=0.2, gt=0)
    """Rate of the masks; the paper's 0.2."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Channels with a mask below this are silenced; chosen on held-out scenes if left out, 0.5 if
    there are too few."""

    @property
    def epochs_of_training(self) -> float:
        """Return what its trainings are worth at most, in epochs on all training scenes."""
        return epochs_of(self.unlearning_steps + self.steps)

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model without the channels whose masks fell."""
        self.check_given(scenes)
        norms_of(model, self.kind)
        parts = split(filled(scenes), context)
        stages = [context.stage("unlearning"), context.stage("recovering")]
        unlearned = self._unlearned(model, parts.used, stages[0])
        recover = Variation(self.steps, partial(Recovering, way=None), f"{self.kind} recovering")
        further = Further(f"{self.kind} recovering", self.learning_rate, variation=recover)
        masked = train_further(Masked(unlearned.network, self.kind), parts.used, stages[1], further)
        assert isinstance(masked, Masked)
        scores = Scores(masked.scores(), low=True, offsets=False)
        repaired = silence_channels(model, scores, Cut(self, 0.5), parts.held_out, context)
        for stage in stages:
            stage.forget()
        forgetting = int(unlearned.steps)
        taken = passes_of(forgetting + self.steps, len(parts.used), context)
        told = f"{forgetting} steps of unlearning, {self.steps} of recovering"
        left = "" if bool(unlearned.reached) else ", goal not reached"
        return joined(repaired, told + left, passes=taken + Passes(len(parts.used)))

    def _unlearned(
        self, model: nn.Module, scenes: SceneDataset, context: RepairContext
    ) -> Forgetting:
        """Return the network once it has forgotten the scenes."""
        goal = self.goal * mean_iou(model, scenes, context)
        learner = partial(Unlearning, way=goal)
        variation = Variation(self.unlearning_steps, learner, f"{self.kind} {goal}")
        further = Further(f"{self.kind} unlearning", self.unlearning_rate, variation=variation)
        unlearned = train_further(Forgetting(model), scenes, context, further)
        assert isinstance(unlearned, Forgetting)
        return unlearned


class Forgetting(nn.Module):
    """A network that unlearns, and how far that is.

    Attributes:
        network: The network.
        reached: Whether the goal is reached.
        steps: Steps done.
    """

    reached: Tensor
    steps: Tensor

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network, which is not copied."""
        super().__init__()
        self.network = network
        # Buffers, so that a snapshot keeps them.
        self.register_buffer("reached", torch.zeros((), dtype=torch.bool))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Images) -> object:
        """Return what the network answers."""
        return self.network(images)


class Unlearning(OwnLearner[float]):
    """Climbs the loss until the mean IoU of a batch is down to a goal.

    Attributes:
        way: The goal.
    """

    model: Forgetting

    def optimiser_by(self, config: TrainingConfig) -> torch.optim.Optimizer:
        """Return plain gradient descent, as the paper has it."""
        # Deviation 37: with running statistics and without dropout, as the network is used later,
        # where the authors normalise by each batch; so one scene alone will do, too.
        evaluating(self.model.network)
        return torch.optim.SGD(
            parameters_of(self.model),
            lr=config.learning_rate,
            momentum=_MOMENTUM,
            weight_decay=_DECAY,
        )

    @property
    def done(self) -> bool:
        """Return whether the goal is reached."""
        return bool(self.model.reached)

    def set_rate(self, factor: float) -> float:
        """Keep the rate as it is."""
        del factor
        return super().set_rate(1.0)

    def _learn(self, batch: Batch) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        output = self.answer(batch)
        loss = self.loss(output, batch)
        # Deviation 38: the mean IoU of the batch in hand is looked at, before its step; the authors
        # look at the accuracy after each epoch. Over pixels the loss climbs within a few steps.
        if batch_iou(output.logits, batch.labels, self._num_classes) <= self.way or not bool(
            loss.isfinite()
        ):
            self.model.reached.fill_(True)
        else:
            (-loss).backward()
            weights = [w for w in parameters_of(self.model) if w.grad is not None]
            nn.utils.clip_grad_norm_(weights, _LARGEST_GRADIENT)
            self.optimiser.step()
        self.model.steps.add_(1)
        return loss.detach().nan_to_num(0.0, 0.0, 0.0)


class Recovering(MaskLearner[None]):
    """Learns masks that bring back what was unlearned."""

    def _learn(self, batch: Batch) -> Tensor:
        masks = [mask.detach() for mask in self.model.masks]
        found = self.slopes(batch, masks, [torch.ones_like(mask) for mask in masks])
        self.descend([_WEIGHT_OF_LOSS * slope for slope in found.scales])
        return found.loss


def batch_iou(logits: Logits, labels: Tensor, num_classes: int) -> float:
    """Return the mean IoU of answers, over labelled pixels; 0 where there are none."""
    counted = labels < num_classes
    if not bool(counted.any()):
        return 0.0
    places = labels[counted] * num_classes + best_classes(logits)[counted]
    table = torch.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)
    return clean_benign_accuracy(table.cpu().numpy())

"""One training step: forward, loss, backward, optimiser; and how the learning rate falls."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.victim.answer import SegmentationOutput, ask
from segdoor.victim.config import TrainingConfig
from segdoor.victim.device import Arithmetic, enough_memory
from segdoor.victim.members import HasBackbone, methods_in_reach, parameters_of, placed
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.distributed import ProcessGroup, reachable
from segdoor.victim.training.modes import CapturedStep, Step, StepMode
from segdoor.victim.training.synchronised import Synchronised


class Learner:
    """A network and its optimiser: shown a batch, it does one step."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        arithmetic: Arithmetic,
        *,
        num_classes: int,
        ignore_index: int,
        mode: StepMode = "plain",
    ) -> None:
        """Move the network to the device."""
        self.arithmetic = arithmetic
        self.model = placed(model, arithmetic.device)
        with methods_in_reach(model):
            model.train()
        self.optimiser = self.optimiser_by(config)
        self._auxiliary_weight = config.auxiliary_weight
        self._num_classes, self._ignore_index = num_classes, ignore_index
        self._bases = [float(group["lr"]) for group in self.optimiser.param_groups]
        self._network: nn.Module = self.model
        self._group, self._synchronised = ProcessGroup.present(), None
        if self._group.size > 1:
            self._synchronised = Synchronised(self.model, arithmetic.device)
            self._network = self._synchronised.parallel(self.model)
        if mode == "compiled":
            # Randomness as without compilation: dropout stays a function of the seed.
            compiled = torch.compile(self.model, dynamic=False, options={"fallback_random": True})
            self._network = cast("nn.Module", compiled)
        on_graph = mode != "plain" and arithmetic.device.type == "cuda"
        self._step: Step = CapturedStep(self._learn) if on_graph else self._learn
        self._rates = [torch.tensor(base, device=arithmetic.device) for base in self._bases]
        self.set_rate(1.0)

    def optimiser_by(self, config: TrainingConfig) -> torch.optim.Optimizer:
        """Return what changes the weights in a step; asked once the network is on its device."""
        return make_optimiser(self.model, config)

    @property
    def done(self) -> bool:
        """Return whether no further step is wanted, though the recipe has some left."""
        return False

    def set_rate(self, factor: float) -> float:
        """Set the learning rate to a multiple of its start value; return the first group's."""
        groups = self.optimiser.param_groups
        for group, base, rate in zip(groups, self._bases, self._rates, strict=True):
            # On CUDA a tensor: a graph reads it anew at each replay.
            group["lr"] = rate.fill_(base * factor) if rate.is_cuda else base * factor
        return self._bases[0] * factor

    def __call__(self, batch: Batch) -> Tensor:
        """Do one step and return its loss, which the next step may overwrite."""
        with enough_memory(), reachable() if self._group.size > 1 else nullcontext():
            return self._step(batch)

    @property
    def seed(self) -> tuple[int, ...]:
        """Return the name of this process's dropout; empty where all draw for the whole batch."""
        return self._synchronised.seed if self._synchronised else ()

    def release(self) -> None:
        """End the training: the network is again as it was built."""
        if self._synchronised:
            self._synchronised.release()

    def _learn(self, batch: Batch) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.answer(batch), batch)
        # Processes average their gradients; those of their losses' sum are wanted.
        (loss * self._group.size).backward()
        self.optimiser.step()
        return self._group.total(loss.detach())

    def answer(self, batch: Batch) -> SegmentationOutput:
        """Return what the network says of a batch."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        height, width = batch.labels.shape[1:]
        with self.arithmetic.forward_context():
            return ask(self._network, images, num_classes=self._num_classes, size=(height, width))

    def loss(self, output: SegmentationOutput, batch: Batch) -> Tensor:
        """Return the recipe's loss: cross-entropy over labelled pixels, of both heads if two."""
        # A batch may hold ignored pixels alone; its mean would not be a number.
        counted = self._group.total((batch.labels != self._ignore_index).sum()).clamp(min=1)
        loss = self._cross_entropy(output.logits, batch.labels) / counted
        if output.auxiliary is None:
            return loss
        auxiliary = self._cross_entropy(output.auxiliary, batch.labels) / counted
        return loss + self._auxiliary_weight * auxiliary

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, ignore_index=self._ignore_index, reduction="sum")


@runtime_checkable
class MakeLearner(Protocol):
    """Makes a `Learner` or one of another kind, of what `Learner` takes."""

    def __call__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        arithmetic: Arithmetic,
        *,
        num_classes: int,
        ignore_index: int,
        mode: StepMode = "plain",
    ) -> Learner:
        """Return it, with the network on the device."""
        ...


def make_optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser; layers that are not the backbone's learn at a multiple of its rate."""
    groups = [
        {"params": list(parameters), "lr": config.learning_rate * multiplier}
        for parameters, multiplier in _split(model, config.head_multiplier)
    ]
    # One kernel for all weights, and none for each; only of floating point, which all of ours are.
    fused = all(weight.is_floating_point() for weight in parameters_of(model))
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=fused,
        )
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=fused,
        capturable=any(weight.is_cuda for weight in parameters_of(model)),
    )


def learning_rate_factor(step: int, total: int, config: TrainingConfig) -> float:
    """Return the factor on the rate: linear warm-up, then polynomial decay, step by step."""
    warmup = min(1.0, (step + 1) / (config.warmup + 1))
    return warmup * (1 - step / total) ** config.power


def _split(model: nn.Module, multiplier: float) -> list[tuple[Iterable[Tensor], float]]:
    # A network of somebody else may have these names for other things.
    parts = ("backbone_parameters", "head_parameters")
    known = all(callable(getattr(model, part, None)) for part in parts)
    if known and isinstance(model, HasBackbone):
        return [(model.backbone_parameters(), 1.0), (model.head_parameters(), multiplier)]
    return [(parameters_of(model), 1.0)]

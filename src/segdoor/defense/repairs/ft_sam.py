"""FT-SAM: fine-tune towards weights whose neighbours are good as well."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import RepairContext, Repaired
from segdoor.defense.repairs.training import (
    Further,
    OwnLearner,
    TrainedRepair,
    passes_of,
    train_further,
)
from segdoor.plugins import Introduction
from segdoor.victim.members import layers, parameters_of
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.trainer import Variation

_PASSES = 2
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_TINY = 1e-12


class FtSam(TrainedRepair):
    """Train the model further on clean scenes, by gradients from a worse place nearby."""

    kind: ClassVar[str] = "ft_sam"
    introduction: ClassVar[Introduction] = Introduction(
        source="Zhu, Wei, Shen, Fan and Wu, Enhancing Fine-Tuning Based Backdoor Defense with"
        " Sharpness-Aware Minimization (ICCV 2023)",
        does="Fine-tunes with the gradient of a worse place nearby, so that large weights, which a"
        " backdoor likes, shrink.",
        needs="Clean training scenes, and two passes with gradients a step.",
        fails="As fine-tuning: a backdoor that clean scenes never touch gets no gradient.",
    )

    steps: int = Field(default=190, ge=1)
    """Steps of training, as many as the paper's fine-tuning on a tenth of Cityscapes."""
    rho: float = Field(default=2.0, ge=0)
    """How far the worse place is; the paper's 2, of a sweep from 0.1 to 10."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Rate at the start, the same for all layers; a tenth of the recipe's if left out."""

    @property
    def step_cost(self) -> float:
        """Return what a step costs, in plain training steps."""
        return _PASSES

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model trained further."""
        self.check_given(scenes)
        rate = self.rate(context.recipe)
        learner = partial(SharpnessAware, way=self.rho)
        variation = Variation(self.steps, learner, f"{self.kind} {self.rho}")
        trained = train_further(model, scenes, context, Further(self.kind, rate, 1, variation))
        told = (f"{self.steps} steps", f"rho {self.rho:g}", f"learning rate {rate:g}")
        taken = passes_of(self.steps, len(scenes), context, each=_PASSES)
        return Repaired(trained, None, told, taken)


class SharpnessAware(OwnLearner[float]):
    """Does adaptive sharpness-aware steps with the recipe's loss and optimiser.

    Attributes:
        way: How far the worse place is.
    """

    def _learn(self, batch: Batch) -> Tensor:
        # Deviation 35: the recipe's loss, with the auxiliary head and without smoothed labels, and
        # the recipe's optimiser, whose rate falls; the authors smooth labels by 0.1 and take SGD.
        loss = self._descent(batch)
        shifts = self._climb()
        with _same_statistics(self.model):
            self._descent(batch)
        with torch.no_grad():
            for weight, shift in shifts:
                weight.sub_(shift)
        self.optimiser.step()
        return loss

    def _descent(self, batch: Batch) -> Tensor:
        """Leave the gradient of the loss here in the weights, and return the loss."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.answer(batch), batch)
        loss.backward()
        return loss.detach()

    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Move the weights to the worse place; return by how much each was moved."""
        with torch.no_grad():
            slopes = [(w, w.grad) for w in parameters_of(self.model) if w.grad is not None]
            if not slopes:
                return []
            norm = torch.stack([(w.abs() * slope).norm() for w, slope in slopes]).norm()
            factor = self.way / (norm + _TINY)
            shifts = [(w, w.square() * slope * factor) for w, slope in slopes]
            for weight, shift in shifts:
                weight.add_(shift)
        return shifts


@contextmanager
def _same_statistics(model: nn.Module) -> Generator[None]:
    """Let the running statistics be afterwards what they were before."""
    kept = [
        (buffer, buffer.clone())
        for layer in layers(model)
        for name, buffer in layer.named_buffers(recurse=False)
        if name in _STATISTICS
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)

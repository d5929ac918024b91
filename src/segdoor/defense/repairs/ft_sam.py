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
from segdoor.defense.repairs.repair import Repair, RepairContext, Repaired, epochs_of
from segdoor.defense.repairs.training import Further, follow_recipe, passes_of, train_further
from segdoor.plugins import Introduction
from segdoor.victim.config import TrainingConfig
from segdoor.victim.device import Arithmetic
from segdoor.victim.members import layers, parameters_of
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.modes import StepMode
from segdoor.victim.training.step import Learner
from segdoor.victim.training.trainer import Variation

_PASSES = 2
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_TINY = 1e-12


class FtSam(Repair):
    """Train the model further on clean scenes, by gradients from a worse place nearby."""

    kind: ClassVar[str] = "ft_sam"
    main: ClassVar[str | None] = "share"
    introduction: ClassVar[Introduction] = Introduction(
        source="Zhu, Wei, Shen, Fan and Wu, Enhancing Fine-Tuning Based Backdoor Defense with"
        " Sharpness-Aware Minimization (ICCV 2023)",
        does="Fine-tunes with the gradient of a worse place nearby, so that large weights, which a"
        " backdoor likes, shrink.",
        needs="Clean training scenes, and two passes with gradients a step.",
        fails="As fine-tuning: a backdoor that clean scenes never touch gets no gradient.",
    )

    share: float = Field(default=0.1, gt=0, le=1)
    """Share of the clean training scenes."""
    steps: int = Field(default=190, ge=1)
    """Steps of training, as many as the paper's fine-tuning on a tenth of Cityscapes."""
    rho: float = Field(default=2.0, ge=0)
    """How far the worse place is; the paper's 2, of a sweep from 0.1 to 10."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Rate at the start, the same for all layers; a tenth of the recipe's if left out."""

    def resolved(self, recipe: TrainingConfig) -> FtSam:
        """Return the same repair with its learning rate, which follows from the model's recipe."""
        return self.model_copy(update={"learning_rate": follow_recipe(self.learning_rate, recipe)})

    @property
    def epochs_of_training(self) -> float:
        """Return what its training is worth, in epochs on all training scenes."""
        return epochs_of(self.steps, cost=_PASSES)

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model trained further."""
        self.check_given(scenes)
        rate = follow_recipe(self.learning_rate, context.recipe)
        learner = partial(SharpnessAware, rho=self.rho)
        variation = Variation(self.steps, learner, f"{self.kind} {self.rho}")
        trained = train_further(model, scenes, context, Further(self.kind, rate, 1, variation))
        told = (f"{self.steps} steps", f"rho {self.rho:g}", f"learning rate {rate:g}")
        taken = passes_of(self.steps, len(scenes), context, each=_PASSES)
        return Repaired(trained, None, told, taken)


class SharpnessAware(Learner):
    """Does adaptive sharpness-aware steps with the recipe's loss and optimiser."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        arithmetic: Arithmetic,
        *,
        num_classes: int,
        ignore_index: int,
        mode: StepMode = "plain",
        rho: float,
    ) -> None:
        """Choose how far the worse place is."""
        super().__init__(
            model, config, arithmetic, num_classes=num_classes, ignore_index=ignore_index, mode=mode
        )
        self._rho = rho

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
            factor = self._rho / (norm + _TINY)
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

"""BNP: silence the channels whose statistics on clean scenes are not those of the training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.batches import CleanBatches
from segdoor.defense.repairs.held_out import split
from segdoor.defense.repairs.norms import (
    BatchNorm,
    Cut,
    Scores,
    batch_norms,
    joined,
    silence_channels,
    standardised,
)
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.victim.answer import ask
from segdoor.victim.members import evaluating


class Bnp(Repair):
    """Silence the channels whose batch-norm statistics differ most from those of clean scenes."""

    kind: ClassVar[str] = "bnp"
    main: ClassVar[str | None] = "share"
    strength: ClassVar[str | None] = "threshold"
    sweep: ClassVar[tuple[float, ...]] = tuple(half / 2 for half in range(21))
    introduction: ClassVar[Introduction] = Introduction(
        source="Zheng, Tang, Li and Liu, Pre-activation Distributions Expose Backdoor Neurons"
        " (NeurIPS 2022)",
        does="Silences channels whose statistics, kept from the poisoned training, differ most from"
        " those of clean scenes.",
        needs="One pass over some clean training scenes, and batch norm.",
        fails="A trigger of half a percent of the pixels in a few scenes hardly moves a mean.",
    )

    share: float = Field(default=0.1, gt=0, le=1)
    """Share of the clean training scenes."""
    threshold: float | None = Field(default=None, ge=0, le=100)
    """Channels are silenced whose difference lies more than this many standard deviations above the
    mean of their layer; chosen on held-out scenes if left out. The paper's is 3."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model without the channels that differ most."""
        self.check_given(scenes)
        parts = split(filled(scenes), context)
        shown = evaluating(copy.deepcopy(model))
        norms = batch_norms(shown)
        if not norms:
            raise ConfigError(
                self.kind,
                "needs a network whose batch norms keep running statistics",
                f"none in {type(model).__name__}",
                "Use another repair, such as ft_sam.",
            )
        fresh = fresh_statistics(shown, norms, CleanBatches(parts.used, context, self.kind))
        differences = {
            name: standardised(difference(norms[name], moments)) for name, moments in fresh.items()
        }
        scores = Scores(differences, low=False, offsets=True)
        repaired = silence_channels(model, scores, Cut(self, 3.0), parts.held_out, context)
        return joined(repaired, passes=Passes(len(parts.used)))


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of each channel, float64."""

    mean: Tensor
    variance: Tensor


class _Sums:
    """Sums over all pixels that a batch norm reads."""

    def __init__(self) -> None:
        self.count, self.first, self.second = 0, torch.zeros(()), torch.zeros(())

    def add(self, maps: Tensor) -> None:
        pixels = maps.detach().movedim(1, -1).reshape(-1, maps.shape[1]).double()
        self.count += len(pixels)
        self.first = self.first.to(pixels.device) + pixels.sum(dim=0)
        self.second = self.second.to(pixels.device) + pixels.square().sum(dim=0)

    @property
    def moments(self) -> Moments:
        mean = self.first / self.count
        return Moments(mean, (self.second / self.count - mean.square()).clamp(min=0))


def fresh_statistics(
    model: nn.Module, norms: dict[str, BatchNorm], batches: CleanBatches
) -> dict[str, Moments]:
    """Return mean and variance of what each batch norm reads, over one pass over clean scenes.

    Args:
        model: A network in evaluation mode: what lies before a batch norm is as it was trained.
        norms: Its batch norms. Those that are not used have no part in the result.
        batches: Clean scenes under the augmentation of the training, whose statistics were kept.
    """
    # Deviation 33: the authors take one batch; here all scenes that are given.
    sums = {name: _Sums() for name in norms}

    def adding(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: sums[name].add(inputs[0])

    handles = [norm.register_forward_pre_hook(adding(name)) for name, norm in norms.items()]
    try:
        for batch in batches.once(model):
            height, width = batch.labels.shape[1:]
            with torch.no_grad():
                ask(model, batch.images, num_classes=batches.num_classes, size=(height, width))
    finally:
        for handle in handles:
            handle.remove()
    return {name: found.moments for name, found in sums.items() if found.count}


def difference(norm: BatchNorm, fresh: Moments) -> Tensor:
    """Return for each channel how far clean scenes are from the kept statistics.

    The Kullback-Leibler divergence of two normal distributions: of the one with the moments of
    clean scenes from the one with the running mean and variance.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    # Deviation 34: the authors' code has the logarithm of the variances' ratio without the factor
    # of one half that the formula of the divergence has. The layer's epsilon keeps channels that
    # never change from dividing by zero.
    kept = norm.running_var.double() + norm.eps
    clean = fresh.variance + norm.eps
    moved = (fresh.mean - norm.running_mean.double()).square()
    return ((kept / clean).log() + (clean + moved) / kept - 1) / 2

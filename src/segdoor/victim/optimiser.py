"""The optimiser, and how its rate falls."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from segdoor.victim.config import TrainingConfig
from segdoor.victim.members import parameters_of
from segdoor.victim.parts import HasBackbone


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


def _split(model: nn.Module, multiplier: float) -> list[tuple[Iterable[nn.Parameter], float]]:
    # A network of somebody else may have these names for other things.
    parts = ("backbone_parameters", "head_parameters")
    known = all(callable(getattr(model, part, None)) for part in parts)
    if known and isinstance(model, HasBackbone):
        return [(model.backbone_parameters(), 1.0), (model.head_parameters(), multiplier)]
    return [(parameters_of(model), 1.0)]

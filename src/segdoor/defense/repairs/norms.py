"""Normalisation layers: their channels, and silencing those that score badly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.held_out import Choice, Strengths, choose
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.errors import ConfigError
from segdoor.victim.members import evaluating, named_layers

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
Norm = BatchNorm | nn.LayerNorm


def batch_norms(model: nn.Module) -> dict[str, BatchNorm]:
    """Return the batch norms that have weights and running statistics, by name."""
    return {
        name: layer
        for name, layer in named_layers(model)
        if isinstance(layer, BatchNorm) and _has_weights(layer) and layer.running_var is not None
    }


def norms_of(model: nn.Module, repair: str) -> dict[str, Norm]:
    """Return a model's batch norms by name; where there are none, its layer norms.

    Raises:
        ConfigError: If there are neither.
    """
    found: dict[str, Norm] = {**batch_norms(model)}
    if not found:
        found = {
            name: layer
            for name, layer in named_layers(model)
            if isinstance(layer, nn.LayerNorm)
            and _has_weights(layer)
            and len(layer.normalized_shape) == 1
        }
    if not found:
        raise ConfigError(
            repair,
            "needs a network with batch norm or layer norm, whose channels it can silence",
            type(model).__name__,
            "Use another repair, such as finetune or ft_sam.",
        )
    return found


def _has_weights(layer: nn.Module) -> bool:
    return dict(layer.named_parameters(recurse=False)).get("weight") is not None


@dataclass(frozen=True, eq=False)
class Scores:
    """How much each channel of each normalisation layer is worth silencing.

    Attributes:
        of: One score a channel, by the layer's name.
        low: Whether low scores are silenced, those below the threshold; otherwise high ones, those
            above it.
        offsets: Whether a silenced channel loses its offset as well as its scale.
    """

    of: Mapping[str, Tensor]
    low: bool
    offsets: bool

    def silenced(self, threshold: float) -> dict[str, Tensor]:
        """Return which channels go, by layer."""
        if self.low:
            return {name: scores < threshold for name, scores in self.of.items()}
        return {name: scores > threshold for name, scores in self.of.items()}

    def count(self, threshold: float) -> int:
        """Return how many channels go."""
        return sum(int(gone.sum()) for gone in self.silenced(threshold).values())

    @property
    def num_channels(self) -> int:
        """Return how many channels have a score."""
        return sum(len(scores) for scores in self.of.values())


def standardised(scores: Tensor) -> Tensor:
    """Return how many standard deviations each score lies above the mean of its layer.

    Among n channels no score lies more than (n - 1) / sqrt(n) above: 3 needs 11 channels.
    """
    wide = scores.double()
    spread = wide.std() if len(wide) > 1 else wide.new_zeros(())
    return torch.where(spread > 0, (wide - wide.mean()) / spread, 0.0)


class Trial:
    """A copy of a model in which channels are silenced, in one way after another."""

    def __init__(self, model: nn.Module, scores: Scores) -> None:
        """Copy the model."""
        self.model = evaluating(copy.deepcopy(model))
        self._scores = scores
        layers = dict(named_layers(self.model))
        self._layers = {name: layers[name] for name in scores.of}
        self._own = {name: _copied(layer) for name, layer in self._layers.items()}

    def __call__(self, threshold: float) -> nn.Module:
        """Return the copy with the channels of a threshold silenced, and no others."""
        gone = self._scores.silenced(threshold)
        with torch.no_grad():
            for name, layer in self._layers.items():
                for key, value in self._own[name].items():
                    weight = _parameter(layer, key)
                    weight.copy_(value)
                    if key == "weight" or self._scores.offsets:
                        weight[gone[name].to(weight.device)] = 0
        return self.model


def _copied(layer: nn.Module) -> dict[str, Tensor]:
    own = dict(layer.named_parameters(recurse=False))
    return {
        key: own[key].detach().clone() for key in ("weight", "bias") if own.get(key) is not None
    }


def _parameter(layer: nn.Module, key: str) -> nn.Parameter:
    return dict(layer.named_parameters(recurse=False))[key]


@dataclass(frozen=True)
class Cut:
    """How the threshold of a repair is found.

    Attributes:
        repair: The repair, whose setting `strength` and `sweep` are looked at.
        default: What is taken where there is too little to choose on.
    """

    repair: Repair
    default: float

    def choice(
        self,
        model: nn.Module,
        trial: Callable[[float], nn.Module],
        same: Callable[[float], object],
        held_out: SceneDataset,
        context: RepairContext,
    ) -> Choice:
        """Return the threshold that is given, or else the one that held-out scenes allow."""
        name = self.repair.strength or ""
        given = getattr(self.repair, name)
        if given is not None:
            return Choice(given, f"{name} {given:g} as given")
        strengths = Strengths(name, self.repair.sweep, self.default, trial, same)
        return choose(model, held_out, strengths, context)


def silence_channels(
    model: nn.Module, scores: Scores, cut: Cut, held_out: SceneDataset, context: RepairContext
) -> Repaired:
    """Return a copy of a model without the channels that score badly.

    Args:
        model: The model, which stays as it is.
        scores: The scores of its channels.
        cut: How the threshold is found.
        held_out: Clean scenes to choose it on; there may be none.
        context: What images the model expects, and the observer.
    """
    trial = Trial(model, scores)
    choice = cut.choice(model, trial, scores.count, held_out, context)
    repaired = trial(choice.value)
    layers = len(scores.of)
    told = (
        f"{scores.count(choice.value)} of {scores.num_channels} channels silenced,"
        f" {layers} layer{'' if layers == 1 else 's'} covered"
    )
    return Repaired(repaired, None, (told, choice.remark), choice.passes)


def joined(repaired: Repaired, *remarks: str, passes: Passes | None = None) -> Repaired:
    """Return a result with further remarks and passes."""
    total = (repaired.passes or Passes()) + (passes or Passes())
    return Repaired(repaired.model, repaired.layer, (*repaired.remarks, *remarks), total)

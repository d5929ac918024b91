"""Masks on the channels of normalisation layers, and learning them while the network stays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segdoor.defense.repairs.norms import Norm, norms_of
from segdoor.defense.repairs.training import OwnLearner, WayT
from segdoor.victim.answer import Images
from segdoor.victim.config import TrainingConfig
from segdoor.victim.members import evaluating, parameters_of
from segdoor.victim.training.batches import Batch

_MOMENTUM = 0.9


class Masked(nn.Module):
    """A network with a mask for each channel of its normalisation layers, at first 1."""

    def __init__(self, network: nn.Module, repair: str) -> None:
        """Wrap a network, which is not copied.

        Raises:
            ConfigError: If it has no normalisation layer.
        """
        super().__init__()
        self.network, self.repair = network, repair
        norms = norms_of(network, repair)
        self.masks = nn.ParameterList(
            [nn.Parameter(torch.ones_like(norm.weight)) for norm in norms.values()]
        )

    @property
    def norms(self) -> dict[str, Norm]:
        """Return the layers that have masks, in the order of the masks."""
        return norms_of(self.network, self.repair)

    def scores(self) -> dict[str, Tensor]:
        """Return the mask of each channel by layer, on the CPU."""
        learned = [mask.detach().cpu() for mask in self.masks]
        return dict(zip(self.norms, learned, strict=True))

    def forward(self, images: Images) -> object:
        """Return what the network answers."""
        return self.network(images)


@dataclass(frozen=True, eq=False)
class _Layer:
    """A normalisation layer with its own scale and offset."""

    norm: Norm
    scale: Tensor
    offset: Tensor | None


@dataclass(frozen=True, eq=False)
class Slopes:
    """How the loss changes with the factors on scales and offsets, layer by layer."""

    loss: Tensor
    scales: list[Tensor]
    offsets: list[Tensor]


class MaskLearner(OwnLearner[WayT]):
    """Learns masks by gradient descent; weights and statistics of the network stay.

    A mask is a factor on the scale of a channel. It is written into the weights of the layer for a
    pass, so that any network will do, and its slope is that of the weight times the weight.
    """

    model: Masked

    def optimiser_by(self, config: TrainingConfig) -> torch.optim.Optimizer:
        """Freeze the network, and return what changes the masks."""
        # The network is used as it will be: with its running statistics, without dropout. So one
        # scene alone will do, too.
        evaluating(self.model.network)
        for weight in parameters_of(self.model.network):
            weight.requires_grad_(False)
        self._layers = [_with_own(norm) for norm in self.model.norms.values()]
        return torch.optim.SGD(list(self.model.masks), lr=config.learning_rate, momentum=_MOMENTUM)

    def set_rate(self, factor: float) -> float:
        """Keep the rate as it is: masks are learned at a constant one."""
        del factor
        return super().set_rate(1.0)

    def zeros(self) -> list[Tensor]:
        """Return a zero for each channel, layer by layer."""
        return [torch.zeros_like(layer.scale) for layer in self._layers]

    def slopes(self, batch: Batch, scales: list[Tensor], offsets: list[Tensor]) -> Slopes:
        """Return loss and slopes for some factors on scales and offsets; what was there returns."""
        self._write(scales, offsets)
        asked = [weight for layer in self._layers for weight in _weights(layer.norm)]
        try:
            loss = self.loss(self.answer(batch), batch)
            found = iter(torch.autograd.grad(loss, asked, allow_unused=True))
        finally:
            self._write([torch.ones_like(layer.scale) for layer in self._layers], None)
        slopes = Slopes(loss.detach(), [], [])
        for layer in self._layers:
            slopes.scales.append(_product(next(found), layer.scale))
            has_offset = layer.offset is not None
            slopes.offsets.append(_product(next(found) if has_offset else None, layer.offset))
        return slopes

    def descend(self, slopes: list[Tensor]) -> None:
        """Change the masks against some slopes, and keep them from 0 to 1."""
        for mask, slope in zip(self.model.masks, slopes, strict=True):
            mask.grad = slope.to(mask.dtype)
        self.optimiser.step()
        with torch.no_grad():
            for mask in self.model.masks:
                mask.clamp_(0, 1)

    def _write(self, scales: list[Tensor], offsets: list[Tensor] | None) -> None:
        with torch.no_grad():
            for index, layer in enumerate(self._layers):
                layer.norm.weight.copy_(layer.scale * scales[index])
                if layer.offset is not None:
                    factor = 1.0 if offsets is None else offsets[index]
                    layer.norm.bias.copy_(layer.offset * factor)


def _with_own(norm: Norm) -> _Layer:
    weights = _weights(norm)
    for weight in weights:
        weight.requires_grad_(True)
    own = [weight.detach().clone() for weight in weights]
    return _Layer(norm, own[0], own[1] if len(own) > 1 else None)


def _weights(norm: Norm) -> list[Tensor]:
    own = dict(norm.named_parameters(recurse=False))
    return [own[key] for key in ("weight", "bias") if key in own]


def _product(slope: Tensor | None, own: Tensor | None) -> Tensor:
    if own is None:
        return torch.zeros(())
    return torch.zeros_like(own) if slope is None else slope * own

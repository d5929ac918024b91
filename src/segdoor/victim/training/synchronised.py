"""Synchronised layers: they see a whole batch where each process holds a share of it.

Batch norm counts over all processes, and dropout draws for the whole batch. For the time of
training the layers of a network change their class, as torch's lazy layers do: weights, statistics
and names stay what and where they are.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parallel import DistributedDataParallel

from segdoor.errors import ConfigError
from segdoor.victim.members import layers, methods_in_reach, named_layers
from segdoor.victim.training.distributed import ProcessGroup


class SynchronisedBatchNorm(_BatchNorm):
    """Batch norm over the shares of all processes: torch has one for GPUs alone."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return normalised maps, B x C x ..., of equal shape in all processes."""
        if not self.training:
            return super().forward(input)
        maps = input.to(torch.promote_types(input.dtype, torch.float32))
        axes = [axis for axis in range(maps.ndim) if axis != 1]
        shape = [1, -1, *[1] * (maps.ndim - 2)]
        count = maps.numel() // maps.shape[1] * ProcessGroup.present().size
        mean = _summed(maps.sum(axes)) / count
        # Not the mean of squares less the squared mean: where the mean is large little is left.
        centred = maps - mean.view(shape)
        variance = _summed(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        result = centred * (variance + self.eps).rsqrt().view(shape)
        # A norm may have no weights, or no bias.
        weight, bias = cast("tuple[Tensor | None, Tensor | None]", (self.weight, self.bias))
        result = result if weight is None else result * weight.view(shape)
        result = result if bias is None else result + bias.view(shape)
        return result.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        """Take any number of axes: what this layer stands for has looked at them before."""

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Bring the running statistics on."""
        if self.running_mean is None or self.running_var is None:
            return
        counter = self.num_batches_tracked
        if counter is not None:
            counter.add_(1)
        momentum = self.momentum
        if momentum is None:
            momentum = 1.0 if counter is None else 1 / float(counter)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


class SynchronisedDropout(nn.Dropout2d):
    """Dropout of whole channels that draws what one process would draw, and takes its share."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return maps, B x C x H x W, some channels blanked and the others enlarged."""
        if not self.training or self.p in {0.0, 1.0}:
            return super().forward(input)
        group = ProcessGroup.present()
        scenes = group.size * input.shape[0]
        kept = torch.empty(scenes, input.shape[1], 1, 1, dtype=input.dtype, device=input.device)
        kept.bernoulli_(1 - self.p).div_(1 - self.p)
        return input * kept[group.share(scenes)]


class _SynchronisedOnCuda(nn.SyncBatchNorm):
    process_group = None


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Synchronised:
    """A network whose layers see the whole batch until they are released."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        """Change the classes of batch norm and dropout.

        Raises:
            ConfigError: If it holds a batch norm that is not torch's own.
        """
        norm = _SynchronisedOnCuda if device.type == "cuda" else SynchronisedBatchNorm
        _refuse_other_norms(network)
        self.ours = is_ours(network)
        self._changed = [
            (layer, type(layer))
            for layer in layers(network)
            if type(layer) in {*_NORMS, nn.Dropout2d}
        ]
        for layer, kind in self._changed:
            layer.__class__ = SynchronisedDropout if kind is nn.Dropout2d else norm
        self.seed = () if self.ours else _numbered(ProcessGroup.present())

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return the network with gradients averaged over the processes."""
        # Of other people's networks some parts may have no say in the logits.
        with methods_in_reach(network):
            return DistributedDataParallel(network, find_unused_parameters=not self.ours)

    def release(self) -> None:
        """Give all layers their classes back."""
        for layer, kind in self._changed:
            layer.__class__ = kind


class _Sum(torch.autograd.Function):
    """The sum over all processes: what it means to one of their losses, it means to all."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:  # noqa: ARG004 - torch's name
        return ProcessGroup.present().total(values)

    @staticmethod
    def backward(ctx: object, *grad_outputs: Tensor) -> Tensor:  # noqa: ARG004 - torch's names
        return ProcessGroup.present().total(grad_outputs[0])


def _summed(values: Tensor) -> Tensor:
    return cast("Tensor", _Sum.apply(values))


def _refuse_other_norms(network: nn.Module) -> None:
    known = {*_NORMS, nn.SyncBatchNorm}
    for name, layer in named_layers(network):
        if isinstance(layer, _BatchNorm) and type(layer) not in known:
            raise ConfigError(
                f"network layer {name}",
                "must be torch's own batch norm, which alone can count over several processes",
                type(layer).__name__,
                "Train with one process, or use nn.BatchNorm2d.",
            )


def is_ours(network: nn.Module) -> bool:
    """Tell whether a network has layers of segdoor and torch alone, and drops whole channels."""
    return all(
        type(layer).__module__.startswith(("segdoor.", "torch.nn."))
        and (not isinstance(layer, _DropoutNd) or isinstance(layer, nn.Dropout2d))
        for layer in layers(network)
    ) and type(network).__module__.startswith("segdoor.")


def _numbered(group: ProcessGroup) -> tuple[int, ...]:
    """Return the name of a process's own randomness; the first draws what one alone would."""
    return () if group.first else (group.rank,)

"""Which batch norm reads the output of which convolution, found by following the tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from segdoor.defense.repairs.norms import BatchNorm, batch_norms
from segdoor.errors import SegdoorError
from segdoor.victim.answer import logits_of
from segdoor.victim.device import enough_memory
from segdoor.victim.members import named_layers, parameters_of

Convolution = (
    nn.Conv1d
    | nn.Conv2d
    | nn.Conv3d
    | nn.ConvTranspose1d
    | nn.ConvTranspose2d
    | nn.ConvTranspose3d
    | nn.Linear
)
# Some networks take some sizes alone; a small one keeps all maps in little memory.
_SIZES = ((64, 64), (65, 65), (128, 256), (224, 224), (473, 473), (512, 1024))


@dataclass(frozen=True, eq=False)
class Pair:
    """A batch norm, and a convolution or linear layer whose output it reads as it is.

    Attributes:
        norm: The batch norm's name.
        convolution: The other layer.
        layer: The batch norm.
    """

    norm: str
    convolution: Convolution
    layer: BatchNorm


@dataclass(eq=False)
class _Trace:
    """What one forward pass wrote and read."""

    written: dict[tuple[object, ...], tuple[nn.Module, Tensor]] = field(
        default_factory=dict[tuple[object, ...], tuple[nn.Module, Tensor]]
    )
    read: list[tuple[str, nn.Module]] = field(default_factory=list[tuple[str, nn.Module]])

    def wrote(self, layer: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            # The tensor is kept, so that no other can lie where it lies.
            self.written[_place(output)] = (layer, output)

    def reads(self, name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def look(_: nn.Module, inputs: tuple[object, ...]) -> None:
            found = self.written.get(_place(inputs[0])) if isinstance(inputs[0], Tensor) else None
            if found is not None:
                self.read.append((name, found[0]))

        return look


def find_pairs(model: nn.Module) -> tuple[list[Pair], int]:
    """Return each batch norm with the convolution that it reads, and how many images that took.

    A pair counts where the very tensor that the convolution wrote is read, unchanged: not where an
    activation, a sum or a pooling lies between the two, and whatever the order of the modules.

    Args:
        model: A network in evaluation mode. It stays as it is.
    """
    norms = batch_norms(model)
    if not norms:
        return [], 0
    trace = _Trace()
    handles = [
        layer.register_forward_hook(trace.wrote)
        for _, layer in named_layers(model)
        if isinstance(layer, Convolution)
    ]
    handles += [norm.register_forward_pre_hook(trace.reads(name)) for name, norm in norms.items()]
    try:
        shown = _shown(model, trace)
    finally:
        for handle in handles:
            handle.remove()
    pairs = [
        Pair(name, layer, norms[name])
        for name, layer in dict.fromkeys(trace.read)
        if isinstance(layer, Convolution)
    ]
    return pairs, shown


def _shown(model: nn.Module, trace: _Trace) -> int:
    """Show noise of the first size that the model answers; return how often it was tried."""
    device = next((weight.device for weight in parameters_of(model)), torch.device("cpu"))
    # The pattern does not matter: what is followed is which tensor goes where.
    random = torch.Generator().manual_seed(0)
    for tries, (height, width) in enumerate(_SIZES, start=1):
        trace.written.clear()
        trace.read.clear()
        noise = torch.randn(1, 3, height, width, generator=random).to(device)
        try:
            # Inference mode would not count the changes of a tensor.
            with torch.no_grad(), enough_memory():
                logits_of(model(noise))
        except SegdoorError:
            raise
        except Exception:  # noqa: BLE001 S112 - a network of somebody else may refuse a size in any way
            continue
        return tries
    trace.read.clear()
    return len(_SIZES)


def _place(tensor: Tensor) -> tuple[object, ...]:
    """Return what tells a tensor's content from any other's as long as it is kept."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor._version  # noqa: SLF001

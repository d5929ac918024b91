"""What a network holds, whatever names it gave to things of its own.

A ``torch.nn.Module`` of somebody else may keep a list under ``modules``, a dictionary under
``parameters`` and so on. Torch's methods of these names are then out of reach on that object,
though torch itself gets along without most of them. Nothing here asks the object for them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

_METHODS: Final = frozenset(
    name for name, value in vars(nn.Module).items() if callable(value) and name[:2] != "__"
)


@runtime_checkable
class HasBackbone(Protocol):
    """A network whose backbone and heads learn at rates of their own."""

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that learn at the base rate."""
        ...

    def head_parameters(self) -> list[nn.Parameter]:
        """Return all others, which may learn at a multiple of it."""
        ...


def named_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield a network (with an empty name) and all layers in it, each once, in torch's order."""
    seen: set[nn.Module] = set()
    waiting = [("", network)]
    while waiting:
        name, layer = waiting.pop()
        if layer in seen:
            continue
        seen.add(layer)
        yield name, layer
        children = cast("dict[str, nn.Module | None]", vars(layer)["_modules"])
        for key, child in reversed(children.items()):
            if child is not None:
                waiting.append((f"{name}.{key}" if name else key, child))


def layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield a network and all layers in it, each once, in torch's order."""
    return (layer for _, layer in named_layers(network))


def parameters_of(network: nn.Module) -> list[Tensor]:
    """Return a network's parameters, each once, in torch's order; TorchScript's are tensors."""
    found: dict[int, Tensor] = {}
    for layer in layers(network):
        own = cast("dict[str, Tensor | None]", vars(layer)["_parameters"])
        for weight in own.values():
            if weight is not None:
                found.setdefault(id(weight), weight)
    return list(found.values())


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's weights and buffers by name, as its ``state_dict`` does."""
    with methods_in_reach(network):
        return network.state_dict()


def fill(network: nn.Module, state: Mapping[str, object]) -> None:
    """Copy weights and buffers into a network, as its ``load_state_dict`` does."""
    with methods_in_reach(network):
        network.load_state_dict(state)


def evaluating(network: nn.Module) -> nn.Module:
    """Put a network into evaluation mode, and return it."""
    with methods_in_reach(network):
        return network.eval()


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, with channels last in memory, and return it."""
    with methods_in_reach(network):
        return network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@contextmanager
def methods_in_reach(network: nn.Module) -> Generator[None]:
    """Put aside, for a while, what hides torch's methods in a network and its layers.

    Methods that a network's class has overridden, or that were replaced by other functions, stay.
    """
    hidden = [
        (vars(layer), name, vars(layer)[name])
        for layer in layers(network)
        for name in _METHODS & vars(layer).keys()
        if not callable(vars(layer)[name])
    ]
    for attributes, name, _ in hidden:
        del attributes[name]
    try:
        yield
    finally:
        for attributes, name, value in hidden:
            attributes[name] = value

"""ReLUs that leak while a trigger is sought, so that channels which sleep can be woken.

The unit that answers to a trigger often sleeps on clean scenes, and a ReLU that sleeps passes no
gradient: no search that starts from a random patch could find what wakes it. So forward and
backward passes go through leaky ReLUs, whose slope is brought to zero in the course of the search.

Deviation 86: ODSCAN and Neural Cleanse go through the network as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_RELUS = frozenset({F.relu, torch.relu, Tensor.relu})
_IN_PLACE = frozenset({F.relu_, torch.relu_, Tensor.relu_})

# The last part of a search goes through the network as it is.
_UNTIL = 0.7


def slope_at(progress: float, leak: float) -> float:
    """Return the slope after a share of a search: it falls from ``leak`` to 0 at seven tenths."""
    return leak * max(0.0, 1 - progress / _UNTIL)


class Leaking(TorchFunctionMode):
    """Within it, whatever a network calls as ReLU or ReLU6 is leaky; TorchScript is not reached."""

    def __init__(self, slope: float) -> None:
        """Keep the slope below zero; with 0 nothing is changed."""
        super().__init__()
        self.slope = slope

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - as torch has it
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Call a function of torch, or the leaky one in its place."""
        given = dict(kwargs or {})
        if self.slope and func in _RELUS:
            return F.leaky_relu(_input(args, given), self.slope)
        if self.slope and func in _IN_PLACE:
            return F.leaky_relu_(_input(args, given), self.slope)
        if self.slope and (
            func is F.relu6 or (func is F.hardtanh and _limits(args, given) == (0, 6))
        ):
            return F.leaky_relu(_input(args, given), self.slope).clamp(max=6)
        return func(*args, **given)


def _input(args: tuple[Any, ...], given: Mapping[str, Any]) -> Tensor:
    return args[0] if args else given["input"]


def _limits(args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[float, float]:
    """Return what a hardtanh is cut at; the module ReLU6 calls one."""
    told = dict(zip(("input", "min_val", "max_val"), args, strict=False)) | dict(given)
    return told.get("min_val", -1.0), told.get("max_val", 1.0)

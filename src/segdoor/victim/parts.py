"""What a recipe or a repair may ask of a network that has it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class HasBackbone(Protocol):
    """A network whose backbone and heads learn at rates of their own."""

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that learn at the base rate."""
        ...

    def head_parameters(self) -> list[nn.Parameter]:
        """Return all others, which may learn at a multiple of it."""
        ...

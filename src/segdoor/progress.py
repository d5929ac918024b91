"""How long work tells the outside world about itself, without printing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Observer(Protocol):
    """Someone who watches: a progress bar, a log file, a test."""

    def begin(self, stage: str, total: int) -> None:
        """Hear that a stage of so many steps begins."""
        ...

    def advance(self, **facts: float) -> None:
        """Hear that one step is done, with facts such as the loss."""
        ...


class Silent:
    """Watches nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Do nothing."""

    def advance(self, **facts: float) -> None:
        """Do nothing."""

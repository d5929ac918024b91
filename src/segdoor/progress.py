"""How long-running work reports its progress without printing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Observer(Protocol):
    """Receives progress: a progress bar, a log file, a test."""

    def begin(self, stage: str, total: int) -> None:
        """Handle the start of a stage with this many steps."""
        ...

    def advance(self, **facts: float) -> None:
        """Handle the end of one step, with facts such as the loss."""
        ...


@runtime_checkable
class Several(Protocol):
    """An observer that can show several pieces of work side by side."""

    def beside(self) -> Observer:
        """Return an observer for another piece of work that runs at the same time."""
        ...


def beside(observer: Observer) -> Observer:
    """Return an observer for work that runs at the same time; a silent one if it cannot show it."""
    return observer.beside() if isinstance(observer, Several) else Silent()


class Silent:
    """Ignores all progress."""

    def begin(self, stage: str, total: int) -> None:
        """Do nothing."""

    def advance(self, **facts: float) -> None:
        """Do nothing."""

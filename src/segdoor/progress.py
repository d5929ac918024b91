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


@runtime_checkable
class Several(Protocol):
    """An observer that can show several pieces of work side by side."""

    def beside(self) -> Observer:
        """Return one that watches another piece of work, which goes on at the same time."""
        ...


def beside(observer: Observer) -> Observer:
    """Return who watches another piece of work at the same time; nobody, if it cannot be shown."""
    return observer.beside() if isinstance(observer, Several) else Silent()


class Silent:
    """Watches nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Do nothing."""

    def advance(self, **facts: float) -> None:
        """Do nothing."""

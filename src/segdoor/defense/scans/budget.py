"""How many passes and how much time a search may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """A moment after which nothing new is begun.

    Attributes:
        ends: That moment on the clock `time.monotonic`; None for never.
    """

    ends: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """Return the moment that is so many seconds from now; never for None."""
        return cls(None if seconds is None else time.monotonic() + seconds)

    @property
    def over(self) -> bool:
        """Return whether it has passed."""
        return self.ends is not None and time.monotonic() >= self.ends

    def part(self, parts: int) -> Deadline:
        """Return the end of the first of so many equal parts of the time that is left."""
        if self.ends is None:
            return self
        left = max(0.0, self.ends - time.monotonic())
        return Deadline.after(left / max(1, parts))


@dataclass
class Budget:
    """What one search may take, and what it has taken.

    Attributes:
        passes: Forward passes of one image that it may take.
        deadline: When it must end, whatever is left.
        spent: Passes taken so far.
    """

    passes: int
    deadline: Deadline
    spent: int = 0

    @property
    def progress(self) -> float:
        """Return the share of the passes that is spent, at most 1."""
        return min(1.0, self.spent / max(1, self.passes))

    def spend(self, passes: int) -> None:
        """Count passes."""
        self.spent += passes

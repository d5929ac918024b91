"""When a defense is useful: limits that were set before any method was measured.

An interval decides, not the figure alone: a figure whose interval holds the limit decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Useful = Literal["yes", "no", "undecided"]
"""What comes of the limits."""


@dataclass(frozen=True)
class Limits:
    """The limits, docs/defenders.md; nothing else decides whether a method is useful.

    Attributes:
        recall: Share of the poisoned cases that a filter or detector must find at 5 % false alarms.
        harmless: Share of cases with a harmless sticker that it may flag at the same threshold.
        clean_data: Share of clean training scenes that a filter may flag at the same threshold.
        asr: Highest attack success rate that may be left, in whatever poisoned test is the worst.
        cba_kept: Share of the clean benign accuracy that must be left, of either model.
        recovered: Share of the victim pixels that were recognised without a trigger and must be
            again, in spite of it, in the worst poisoned test.
        found: Share of backdoored models that a scan must find.
        flagged: Share of clean models that a scan may flag.
    """

    recall: float = 0.8
    harmless: float = 0.2
    clean_data: float = 0.1
    asr: float = 0.2
    cba_kept: float = 0.95
    recovered: float = 0.5
    found: float = 0.8
    flagged: float = 0.1


LIMITS = Limits()


@dataclass(frozen=True)
class Condition:
    """A figure beside its limit.

    Attributes:
        what: The figure, in words.
        value: The figure; None if it was not measured.
        low: Lower end of its 95 % interval.
        high: Upper end.
        limit: The limit.
        at_least: Whether the figure must reach the limit, or must not exceed it.
    """

    what: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    at_least: bool

    @property
    def holds(self) -> Useful:
        """Return whether the whole interval keeps the limit, breaks it, or neither."""
        if self.low is None or self.high is None:
            return "undecided"
        keeps = self.low >= self.limit if self.at_least else self.high <= self.limit
        breaks = self.high < self.limit if self.at_least else self.low > self.limit
        return "yes" if keeps else "no" if breaks else "undecided"


def useful(conditions: Iterable[Condition]) -> Useful:
    """Return what several conditions come to: a broken one is enough for no."""
    held = {condition.holds for condition in conditions}
    if "no" in held:
        return "no"
    return "yes" if held == {"yes"} else "undecided"

"""Ratios of two times taken in alternation, so that a busy machine slows both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One measured ratio and the bar it is held against.

    Attributes:
        row: Its number in docs/speed.md.
        what: What was measured, over what.
        ratio: The median over the repetitions.
        low: The lower quartile.
        high: The upper quartile.
        bar: What it should reach.
        bound: Whether the bar is an upper or a lower one.
        note: The times behind it, in words.
    """

    row: str
    what: str
    ratio: float
    low: float
    high: float
    bar: float
    bound: Literal["at most", "at least"]
    note: str = ""

    @property
    def holds(self) -> bool:
        """Return whether the median reaches the bar."""
        return self.ratio <= self.bar if self.bound == "at most" else self.ratio >= self.bar

    def as_json(self) -> dict[str, object]:
        """Return the row for a program."""
        return {**asdict(self), "holds": self.holds}


def seconds(work: Work) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compared(
    row: str,
    what: str,
    over: tuple[Work, Work],
    *,
    bar: float,
    bound: Literal["at most", "at least"] = "at most",
    repetitions: int = 15,
) -> Row:
    """Time two pieces of work in alternation and return the ratio of the first to the second.

    Args:
        row: Its number in docs/speed.md.
        what: What is measured, over what.
        over: The work above and below the fraction bar; both are called once beforehand.
        bar: What the ratio should reach.
        bound: Whether the bar is an upper or a lower one.
        repetitions: How often each is timed; every second time in the other order.
    """
    for work in over:
        work()
    pairs: list[tuple[float, float]] = []
    for turn in range(repetitions):
        times = [seconds(work) for work in (over if turn % 2 == 0 else over[::-1])]
        above, below = times if turn % 2 == 0 else times[::-1]
        pairs.append((above, below))
    ratios = [above / below for above, below in pairs]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
    above, below = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
    note = f"{above:.3g} ms over {below:.3g} ms, {repetitions} times"
    return Row(row, what, ratio, low, high, bar, bound, note)

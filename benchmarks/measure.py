"""Ratios of two times taken in alternation, so that a busy machine slows both alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

Work = Callable[[], object]
Bound = Literal["at most", "at least"]


@dataclass(frozen=True)
class Row:
    """One measured ratio and the bar it is held against.

    Attributes:
        row: Its number in docs/speed.md.
        what: What was measured, over what.
        ratio: The median over the repetitions; NaN if it was not measured.
        low: The lower quartile.
        high: The upper quartile.
        bar: What it should reach.
        bound: Whether the bar is an upper or a lower one.
        note: The times behind it, in words, or why there are none.
        parts: The figures behind it, by name, such as seconds by stage.
    """

    row: str
    what: str
    ratio: float
    low: float
    high: float
    bar: float
    bound: Bound
    note: str = ""
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Return whether the median reaches the bar; None if it was not measured."""
        if math.isnan(self.ratio):
            return None
        return self.ratio <= self.bar if self.bound == "at most" else self.ratio >= self.bar

    def as_json(self) -> dict[str, object]:
        """Return the row for a program; what was not measured is null."""
        content = {**asdict(self), "holds": self.holds}
        return {key: None if _is_nan(value) else value for key, value in content.items()}

    @classmethod
    def from_json(cls, content: dict[str, object]) -> Row:
        """Return the row that `as_json` gave."""
        kept = {key: value for key, value in content.items() if key != "holds"}
        for key in ("ratio", "low", "high"):
            kept[key] = math.nan if kept[key] is None else kept[key]
        return cls(**kept)  # pyright: ignore[reportArgumentType]


def not_measured(row: str, what: str, *, bar: float, bound: Bound, why: str) -> Row:
    """Return a row without a figure."""
    return Row(row, what, math.nan, math.nan, math.nan, bar, bound, f"not measured: {why}")


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
    bound: Bound = "at most",
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
    low, ratio, high = quartiles(ratios)
    above, below = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
    note = f"{above:.3g} ms over {below:.3g} ms, {repetitions} times"
    return Row(row, what, ratio, low, high, bar, bound, note)


def quartiles(figures: Iterable[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile."""
    low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
    return low, middle, high


def growth(
    row: str,
    what: str,
    sizes: Sequence[int],
    works: Sequence[Work],
    *,
    repetitions: int = 7,
) -> Row:
    """Time work at several sizes in alternation, and return the slope of log time over log size.

    Args:
        row: Its number in docs/speed.md.
        what: What grows with what.
        sizes: Four or more sizes, in rising order.
        works: The work at each; all are called once beforehand.
        repetitions: How often each is timed.
    """
    for work in works:
        work()
    times = np.array([[seconds(work) for work in works] for _ in range(repetitions)])
    low, middle, high = quartiles(slope(sizes, line) for line in times)
    medians = np.median(times, axis=0)
    note = ", ".join(
        f"{size}: {1e3 * time:.3g} ms" for size, time in zip(sizes, medians, strict=True)
    )
    parts = {str(size): float(time) for size, time in zip(sizes, medians, strict=True)}
    return Row(row, what, middle, low, high, 1.1, "at most", note, parts)


def slope(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """Return the slope of a straight line through the logarithms: 1 where cost is linear."""
    return float(np.polyfit(np.log(sizes), np.log(figures), 1)[0])


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)

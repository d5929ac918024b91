"""One comparison of two figures: their difference by seed, and where it is claimed to lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from segdoor.scores.differences import Difference, Region
from segdoor.study.figures import SeedFigures

TOP = 0.95
"""Rates above this are saturated: which of two is higher then says little."""


class Named(NamedTuple):
    """A figure and what it is called.

    Attributes:
        name: In words.
        measured: The figure over seeds; without any if it was not measured.
        of: Metric, poisoned test and repair; None if it is not a run's own figure.
    """

    name: str
    measured: SeedFigures
    of: tuple[str | None, ...] | None = None

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return self.measured.mean


class Missing(NamedTuple):
    """A comparison that could not be made.

    Attributes:
        what: What is missing, in words.
    """

    what: str


@dataclass(frozen=True)
class Compared:
    """A comparison that was made.

    Attributes:
        statement: The comparison in words, with its figures.
        claimed: Where the difference is claimed to lie.
        difference: The first figure minus the second, paired by seed.
        saturated: Why no other result was possible; empty if one was.
        runs: Keys of the runs behind it.
    """

    statement: str
    claimed: Region
    difference: Difference
    saturated: str
    runs: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Tell whether the mean lies where it is claimed to: a judgement of numbers without noise.

        Used for numbers without seeds, such as those that a paper prints.
        """
        return self.claimed.holds(self.difference.mean)

    @property
    def level_against(self) -> float:
        """Return the two-sided p-value of the claim; 1 if nothing can contradict it."""
        if self.saturated:
            return 1.0
        return self.difference.level_at(self.claimed.outside(self.difference.mean))


Comparison = Compared | Missing


def on_common_seeds(*figures: Named) -> tuple[Named, ...]:
    """Return figures on the seeds that all of them have, since a study may be half done.

    Figures without measurements stay so and do not affect the others.
    """
    measured = [figure.measured.values.keys() for figure in figures if figure.measured.values]
    seeds = set(measured[0]).intersection(*measured[1:]) if measured else set[int]()
    return tuple(
        figure._replace(measured=figure.measured.on(seeds & figure.measured.values.keys()))
        for figure in figures
    )


def above(higher: Named, lower: Named, *, margin: float = 0) -> Comparison:
    """Compare by the claim that one figure is greater than another by more than a margin."""
    sign = f"more than {margin:g} above" if margin else ">"
    return _compared(higher, lower, sign, Region(margin, strict=True))


def at_least(higher: Named, lower: Named, *, margin: float = 0) -> Comparison:
    """Compare by the claim that one figure is smaller than another by at most a margin."""
    sign = f"at most {margin:g} below" if margin else ">="
    return _compared(higher, lower, sign, Region(-margin))


def similar(one: Named, other: Named, *, margin: float) -> Comparison:
    """Compare by the claim that two figures differ by no more than a margin."""
    return _compared(one, other, f"within {margin:g} of", Region(-margin, margin))


def _compared(one: Named, other: Named, sign: str, claimed: Region) -> Comparison:
    """Compare two figures on the seeds that both have.

    One figure of the same runs, which scaled lengths can make of two points of a grid, is not
    compared with itself: that they are equal says nothing.
    """
    left, right = on_common_seeds(one, other)
    for figure in (left, right):
        if not figure.measured.values:
            return Missing(figure.name)
    if left.of is not None and left.of == right.of and left.measured == right.measured:
        return Missing(f"{one.name}, apart from {other.name}: they are the same runs")
    difference = left.measured.minus(right.measured)
    assert difference is not None
    return Compared(
        statement=f"{_told(left)} {sign} {_told(right)}",
        claimed=claimed,
        difference=difference,
        saturated=_saturation(left, right),
        runs=tuple(dict.fromkeys([*left.measured.runs, *right.measured.runs])),
    )


def _saturation(*figures: Named) -> str:
    """Say why rates must be alike: both near 1, or both no higher than without a trigger.

    Only attack success rates can be saturated, since they have a value without a trigger.
    """
    if any(figure.measured.without_trigger is None for figure in figures):
        return ""
    if all(figure.mean > TOP for figure in figures):
        return f"saturated: both are above {TOP:g}"
    if any(_rises(figure.measured) for figure in figures):
        return ""
    return "saturated: neither is above its own figure without trigger by more than its interval"


def _rises(measured: SeedFigures) -> bool:
    """Tell whether a rate is higher than without a trigger, by more than the interval of that."""
    without = measured.without_trigger
    difference = measured.minus(without) if without else None
    ends = difference.interval if difference else None
    return ends is None or ends.low > 0


def _told(figure: Named) -> str:
    ends = figure.measured.interval
    interval = f" [{ends.of_shares.low:.3f}, {ends.of_shares.high:.3f}]" if ends else ""
    return f"{figure.name}: {figure.mean:.4f}{interval}"

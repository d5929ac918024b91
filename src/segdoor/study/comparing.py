"""One comparison of two figures, told with its numbers and the spread over seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from segdoor.record import Evidence
from segdoor.study.figures import SeedFigures


class Named(NamedTuple):
    """A figure and what it is called.

    Attributes:
        name: In words.
        measured: The figure over seeds; without any if it was not measured.
        of: Metric, poisoned test and repair; None where the figure is not one of the runs' own.
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
        what: What it lacks, in words.
    """

    what: str


Comparison = Evidence | Missing


def on_common_seeds(*figures: Named) -> tuple[Named, ...]:
    """Return figures on the seeds that all of them have: a study may be half done.

    Figures that were not measured at all stay so, and take nothing from the others.
    """
    measured = [figure.measured.values.keys() for figure in figures if figure.measured.values]
    seeds = set(measured[0]).intersection(*measured[1:]) if measured else set[int]()
    return tuple(
        figure._replace(measured=figure.measured.on(seeds & figure.measured.values.keys()))
        for figure in figures
    )


def above(higher: Named, lower: Named, *, margin: float = 0) -> Comparison:
    """Return whether one mean is greater than another by more than a margin."""
    sign = f"more than {margin:g} above" if margin else ">"
    return _compared(higher, lower, sign, lambda one, other: one > other + margin)


def at_least(higher: Named, lower: Named, *, margin: float = 0) -> Comparison:
    """Return whether one mean is no smaller than another but for a margin."""
    sign = f"at most {margin:g} below" if margin else ">="
    return _compared(higher, lower, sign, lambda one, other: one >= other - margin)


def similar(one: Named, other: Named, *, margin: float) -> Comparison:
    """Return whether two means differ by no more than a margin."""
    return _compared(
        one, other, f"within {margin:g} of", lambda left, right: abs(left - right) <= margin
    )


def _compared(
    one: Named, other: Named, sign: str, holds: Callable[[float, float], bool]
) -> Comparison:
    """Compare two means on the seeds that both have.

    One figure of the same runs, which scaled lengths can make of two points of a grid, is not
    compared with itself: that they are equal says nothing.
    """
    pair = on_common_seeds(one, other)
    for figure in pair:
        if not figure.measured.values:
            return Missing(figure.name)
    left, right = pair
    if left.of is not None and left.of == right.of and left.measured == right.measured:
        return Missing(f"{one.name}, apart from {other.name}: they are the same runs")
    return _evidence((left, right), sign, holds=holds(left.mean, right.mean))


def _evidence(pair: tuple[Named, Named], sign: str, *, holds: bool) -> Evidence:
    one, other = pair
    widths = [figure.measured.half_width for figure in pair]
    known = [width for width in widths if width is not None]
    return Evidence(
        statement=f"{_told(one)} {sign} {_told(other)}",
        holds=holds,
        spread=max(known) if known else None,
        runs=tuple(dict.fromkeys([*one.measured.runs, *other.measured.runs])),
    )


def _told(figure: Named) -> str:
    ends = figure.measured.interval
    interval = f" [{ends.of_shares.low:.3f}, {ends.of_shares.high:.3f}]" if ends else ""
    return f"{figure.name}: {figure.mean:.4f}{interval}"

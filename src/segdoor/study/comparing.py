"""One comparison of two figures, told with its numbers and the spread over seeds."""

from __future__ import annotations

from typing import NamedTuple

from segdoor.record import Evidence
from segdoor.study.results import Measured


class Named(NamedTuple):
    """A figure and what it is called.

    Attributes:
        name: In words.
        measured: The figure over seeds.
        of: Metric, exam and repair; None where the figure is not one of the runs' own.
    """

    name: str
    measured: Measured
    of: tuple[str | None, ...] | None = None


def above(higher: Named | None, lower: Named | None) -> Evidence | None:
    """Return whether one mean is greater than another; None if they share no seed."""
    pair = _paired(higher, lower)
    return pair and _evidence(pair, ">", holds=pair[0].measured.mean > pair[1].measured.mean)


def at_least(higher: Named | None, lower: Named | None, *, margin: float = 0) -> Evidence | None:
    """Return whether one mean is no smaller than another but for a margin; None without seeds."""
    pair = _paired(higher, lower)
    if pair is None:
        return None
    holds = pair[0].measured.mean >= pair[1].measured.mean - margin
    return _evidence(pair, f"at most {margin:g} below" if margin else ">=", holds=holds)


def similar(one: Named | None, other: Named | None, *, margin: float) -> Evidence | None:
    """Return whether two means differ by no more than a margin; None if they share no seed."""
    pair = _paired(one, other)
    if pair is None:
        return None
    holds = abs(pair[0].measured.mean - pair[1].measured.mean) <= margin
    return _evidence(pair, f"within {margin:g} of", holds=holds)


def _paired(one: Named | None, other: Named | None) -> tuple[Named, Named] | None:
    """Return both figures on the seeds that both have: a study may be half done.

    None as well if both are one figure of the same runs, which scaled lengths can make of two
    points of a grid: that it equals itself says nothing.
    """
    if one is None or other is None:
        return None
    seeds = one.measured.values.keys() & other.measured.values.keys()
    if not seeds:
        return None
    left, right = (figure._replace(measured=figure.measured.on(seeds)) for figure in (one, other))
    same = left.of is not None and left.of == right.of and left.measured == right.measured
    return None if same else (left, right)


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
    return f"{figure.name} {figure.measured.mean:.4f}{interval}"

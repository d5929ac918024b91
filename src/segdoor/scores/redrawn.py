"""Figures over scenes drawn again: the same draws for every figure of the same scenes.

Two figures of the same scenes are paired by that: their difference, draw by draw, says how much of
it the choice of the scenes may have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segdoor.scores.intervals import drawn
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.student import LEVEL
from segdoor.scores.tables import TableSet

ROUNDS = 2000
"""How many times scenes are drawn: ends of intervals are then known to a few per cent."""


@dataclass(frozen=True, eq=False)
class Redrawn:
    """A figure over scenes drawn again.

    Attributes:
        scenes: The scenes that were drawn from.
        figures: The figure of each draw; NaN where it means nothing.
    """

    scenes: tuple[str, ...]
    figures: np.ndarray


def redrawn(metric: Metric, tables: TableSet, task: Task, scenes: Sequence[str]) -> Redrawn | None:
    """Return a figure over scenes drawn again with replacement.

    Args:
        metric: What is measured.
        tables: Tables of one test, of some of the scenes.
        task: Victim classes, each with its target class.
        scenes: All scenes, from which is drawn; those without a table count for nothing.

    Returns:
        The figures; None if the test did not leave what is needed.
    """
    summands = metric.summands(tables, task)
    if summands is None or not len(summands):
        return None
    places = {name: place for place, name in enumerate(scenes)}
    times = drawn(len(scenes), ROUNDS)[:, [places[name] for name in tables.names]]
    # Whole numbers below 2**53 stay exact, and floating point is multiplied much faster.
    sums = times.astype(np.float64) @ summands.reshape(len(summands), -1).astype(np.float64)
    totals = np.rint(sums).astype(np.int64).reshape(len(times), *summands.shape[1:])
    return Redrawn(tuple(scenes), metric.figures(totals, task))


def mean_of(parts: Sequence[Redrawn | None]) -> Redrawn | None:
    """Return the mean of figures, draw by draw; None unless all are there, of the same scenes."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts) or len({part.scenes for part in known}) > 1:
        return None
    return Redrawn(known[0].scenes, np.mean([part.figures for part in known], axis=0))


def difference_of(one: Redrawn | None, other: Redrawn | None) -> Redrawn | None:
    """Return the difference of two figures, draw by draw; None unless both have the same scenes."""
    if one is None or other is None or one.scenes != other.scenes:
        return None
    return Redrawn(one.scenes, one.figures - other.figures)


def farthest(figure: Redrawn | None, mean: float) -> float | None:
    """Return how far the 95 % percentile interval of a redrawn figure reaches from its mean.

    Args:
        figure: The figure over scenes drawn again.
        mean: The figure over all scenes.

    Returns:
        The distance of the farther end; None where the figure means nothing.
    """
    if figure is None or np.isnan(figure.figures).all():
        return None
    ends = np.nanpercentile(figure.figures, [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
    return float(np.abs(ends - mean).max())

"""Intervals over seeds: a figure measured a few times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from segdoor.scores.intervals import Interval
from segdoor.scores.student import reach


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the mean of figures, one a seed, by Student's t.

    Returns:
        The interval; None for fewer than two values, which tell nothing of their spread.
    """
    if len(values) < 2:
        return None
    mean = statistics.fmean(values)
    half = reach(statistics.stdev(values) / math.sqrt(len(values)), len(values) - 1)
    return Interval(mean - half, mean + half)

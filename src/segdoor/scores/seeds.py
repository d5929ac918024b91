"""Intervals over seeds: a figure measured a few times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from segdoor.scores.intervals import Interval

# Student's t at 97.5 %, for 1, 2, ... degrees of freedom. It falls on slowly, to 1.960: beyond the
# table its last value stands, so that intervals are a little wide and never too narrow.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the mean of figures, one a seed, by Student's t.

    Returns:
        The interval; None for fewer than two values, which tell nothing of their spread.
    """
    if len(values) < 2:
        return None
    t = _T[min(len(values) - 1, len(_T)) - 1]
    mean = statistics.fmean(values)
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean - half, mean + half)

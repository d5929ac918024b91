"""Means over seeds, with Student's interval: a run with another seed is a draw of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from segdoor.scores.intervals import Interval

# The 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom; a series takes over from there.
_QUANTILES = (12.70620, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216)
_NORMAL = 1.959964


def mean_over_seeds(figures: Sequence[float]) -> tuple[float, Interval | None]:
    """Return a mean and its 95 % interval, which one figure alone does not have.

    Args:
        figures: One a seed, at least one.
    """
    mean = math.fsum(figures) / len(figures)
    freedom = len(figures) - 1
    if freedom == 0:
        return mean, None
    variance = math.fsum((figure - mean) ** 2 for figure in figures) / freedom
    half = _quantile(freedom) * math.sqrt(variance / len(figures))
    return mean, Interval(mean - half, mean + half)


def _quantile(freedom: int) -> float:
    if freedom <= len(_QUANTILES):
        return _QUANTILES[freedom - 1]
    z, v = _NORMAL, freedom
    first = (z**3 + z) / (4 * v)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    return z + first + second + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)

"""Intervals over scenes: pixels of one scene are alike, so whole scenes are drawn again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from segdoor.randomness import Stream
from segdoor.scores.tables import TableSet
from segdoor.tensors import Table


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float

    @property
    def of_shares(self) -> Interval:
        """Return it cut at 0 and 1: Student's t of few seeds leads beyond, where no shares are."""
        low, high = (min(max(end, 0.0), 1.0) for end in (self.low, self.high))
        return Interval(low, high)


def bootstrap(
    tables: TableSet, metric: Callable[[Table], float], *, rounds: int = 1000
) -> Interval:
    """Return the 95 % percentile interval of a metric over scenes drawn with replacement.

    Args:
        tables: One table a scene.
        metric: From a summed table to a figure.
        rounds: How many times the scenes are drawn.
    """
    return bootstrap_sums(tables.counts, metric, rounds=rounds)


def bootstrap_sums(
    summands: np.ndarray, figure: Callable[[np.ndarray], float], *, rounds: int = 1000
) -> Interval:
    """Return the 95 % percentile interval of a figure over scenes drawn with replacement.

    Args:
        summands: What is added over scenes, whole numbers, N x ...
        figure: From a sum to a figure; NaN where it means nothing.
        rounds: How many times the scenes are drawn.
    """
    num_scenes = len(summands)
    if not num_scenes:
        return Interval(float("nan"), float("nan"))
    summed = np.einsum("rn,n...->r...", drawn(num_scenes, rounds), summands)
    figures = np.array([figure(total) for total in summed])
    if np.isnan(figures).all():
        return Interval(float("nan"), float("nan"))
    low, high = np.nanpercentile(figures, [2.5, 97.5])
    return Interval(float(low), float(high))


@lru_cache(maxsize=1)
def drawn(num_scenes: int, rounds: int = 1000) -> np.ndarray:
    """Return how often each scene is drawn in each round, the same at every call.

    Args:
        num_scenes: How many scenes there are, and how many are drawn each time.
        rounds: How many times they are drawn.

    Returns:
        Whole numbers, rounds x scenes, not to be written to.
    """
    rng = Stream(0).child("bootstrap").generator()
    times = rng.multinomial(num_scenes, np.full(num_scenes, 1 / num_scenes), size=rounds)
    times.flags.writeable = False
    return times

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from segdoor.scores.seeds import mean_over_seeds


def test_one_seed_has_a_mean_and_no_interval() -> None:
    assert mean_over_seeds([0.25]) == (0.25, None)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 11, 12, 30, 200])
def test_the_interval_is_students(count: int) -> None:
    figures = np.random.default_rng(count).normal(0.6, 0.1, count)
    mean, interval = mean_over_seeds(list(figures))
    assert interval is not None
    low, high = stats.t.interval(0.95, count - 1, loc=figures.mean(), scale=stats.sem(figures))
    assert mean == pytest.approx(figures.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-5)

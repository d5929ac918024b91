from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from segdoor.scores.seeds import mean_interval


@given(st.lists(st.floats(0, 1), min_size=2, max_size=31))
def test_the_interval_is_students(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval is not None
    error = scipy.stats.sem(values)
    mean = sum(values) / len(values)
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * error
    assert interval.low == pytest.approx(mean - half, abs=1e-3 * half + 1e-9)
    assert interval.high == pytest.approx(mean + half, abs=1e-3 * half + 1e-9)


@pytest.mark.parametrize("num_seeds", [32, 33, 60, 200])
def test_the_interval_of_many_seeds_is_never_too_narrow(num_seeds: int) -> None:
    values = [0.4, 0.6] * (num_seeds // 2) + [0.5] * (num_seeds % 2)
    interval = mean_interval(values)
    assert interval is not None
    half = scipy.stats.t.ppf(0.975, num_seeds - 1) * scipy.stats.sem(values)
    assert half <= interval.high - sum(values) / num_seeds <= 1.05 * half


def test_one_value_tells_nothing_of_its_spread() -> None:
    assert mean_interval([0.5]) is None
    assert mean_interval([]) is None

from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from segdoor.scores.seeds import mean_interval


@given(st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_the_interval_is_students(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval is not None
    error = scipy.stats.sem(values)
    mean = sum(values) / len(values)
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * error
    assert interval.low == pytest.approx(mean - half, abs=1e-9)
    assert interval.high == pytest.approx(mean + half, abs=1e-9)


def test_one_value_tells_nothing_of_its_spread() -> None:
    assert mean_interval([0.5]) is None
    assert mean_interval([]) is None

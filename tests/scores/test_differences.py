"""Differences over seeds beside SciPy's Student, and what is decided by them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from segdoor.scores.differences import Difference, Region, holm
from segdoor.scores.intervals import Interval

SEEDS = st.lists(st.floats(-1, 1), min_size=2, max_size=12).map(tuple)


@given(SEEDS)
def test_without_scenes_the_interval_is_students(values: tuple[float, ...]) -> None:
    assume(np.std(values) > 1e-6)
    interval = Difference(values).interval
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


@given(SEEDS, st.floats(0, 1))
def test_it_is_never_narrower_than_that_of_the_scenes(
    values: tuple[float, ...], scenes: float
) -> None:
    interval, alone = Difference(values, scenes).interval, Difference(values).interval
    assert interval is not None
    assert alone is not None
    half = (interval.high - interval.low) / 2
    of_seeds = (alone.high - alone.low) / 2
    assert half >= max(scenes, of_seeds) - 1e-9
    assert half == pytest.approx((scenes**2 + of_seeds**2) ** 0.5, abs=1e-9)


def test_three_seeds_that_agree_do_not_overrule_the_scenes() -> None:
    agreeing = (0.010, 0.011, 0.012)
    alone, with_scenes = Difference(agreeing), Difference(agreeing, 0.02)
    assert alone.interval is not None
    assert alone.interval.low > 0
    assert with_scenes.interval is not None
    assert with_scenes.interval.low < 0
    assert with_scenes.level_at(0.011) > 0.05 > alone.level_at(0.011)


@given(SEEDS, st.floats(0.01, 2))
def test_the_level_is_students_p_value(values: tuple[float, ...], distance: float) -> None:
    assume(np.std(values) > 1e-6)
    mean = float(np.mean(values))
    expected = scipy.stats.ttest_1samp(values, mean - distance).pvalue
    assert Difference(values).level_at(distance) == pytest.approx(expected, rel=1e-6)


@given(SEEDS, st.floats(0.01, 1))
def test_the_level_is_where_the_interval_of_seeds_and_scenes_ends(
    values: tuple[float, ...], scenes: float
) -> None:
    difference = Difference(values, scenes)
    interval = difference.interval
    assert interval is not None
    half = (interval.high - interval.low) / 2
    assert difference.level_at(half) == pytest.approx(0.05, rel=1e-3)
    assert difference.level_at(half * 1.5) < 0.05 < difference.level_at(half / 1.5)


def test_the_level_of_scenes_is_normal() -> None:
    difference = Difference((0.1, 0.1, 0.1), 0.196)
    assert difference.level_at(0.1) == pytest.approx(2 * scipy.stats.norm.sf(1), abs=1e-4)


def test_one_seed_has_no_interval_and_refuses_nothing() -> None:
    difference = Difference((0.9,), 0.01)
    assert difference.interval is None
    assert difference.level_at(0.9) == 1
    assert difference.seeds_for(0.9) is None


def test_the_seeds_that_decide_are_the_fewest_whose_interval_ends_there() -> None:
    values = (0.3, 0.1, 0.2, 0.5)
    deviation = float(np.std(values, ddof=1))
    needed = Difference(values).seeds_for(0.1)
    assert needed is not None

    def half(number: int) -> float:
        return scipy.stats.t.ppf(0.975, number - 1) * deviation / number**0.5

    assert half(needed) < 0.1 <= half(needed - 1)


def test_seeds_that_decide_are_not_told_where_they_cannot_be() -> None:
    values = (0.3, 0.1, 0.2)
    assert Difference(values).seeds_for(0.0) is None
    assert Difference(values).seeds_for(0.001) is None
    assert Difference(values, 0.2).seeds_for(0.2) is None
    left = (0.2**2 - 0.1**2) ** 0.5
    assert Difference(values, 0.1).seeds_for(0.2) == Difference(values).seeds_for(left)
    assert Difference((0.2, 0.2)).seeds_for(0.2) == 2


def test_a_region_is_open_or_closed() -> None:
    above, alike = Region(0, strict=True), Region(-0.02, 0.02)
    assert not above.holds(0)
    assert alike.holds(0.02)
    assert above.contains(Interval(0.1, 0.2))
    assert not above.contains(Interval(0, 0.2))
    assert alike.contains(Interval(-0.02, 0.02))
    assert alike.outside(0.05) == pytest.approx(0.03)
    assert alike.outside(-0.05) == pytest.approx(0.03)
    assert above.outside(-0.1) == pytest.approx(0.1)
    assert above.outside(0.1) < 0


@pytest.mark.parametrize(
    ("levels", "refused"),
    [
        ((), ()),
        ((0.05,), (True,)),
        ((0.04, 0.04), (False, False)),
        ((0.025, 0.05), (True, True)),
        # Holm goes on from the least p-value, and stops at the first that is too large.
        ((0.04, 0.01, 0.03, 0.005), (False, True, False, True)),
        ((1.0, 0.012), (False, True)),
    ],
)
def test_holm(levels: tuple[float, ...], refused: tuple[bool, ...]) -> None:
    assert holm(levels) == refused


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_bonferroni_and_no_correction(levels: list[float]) -> None:
    for level, refused in zip(levels, holm(levels), strict=True):
        assert refused or level > 0.05 / len(levels)
        assert not refused or level <= 0.05

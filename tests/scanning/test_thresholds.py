"""Thresholds from clean scenes keep their promise, and chance is computed exactly."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from segdoor.scanning.thresholds import (
    Threshold,
    chance_of,
    from_clean,
    joint_rate,
    least_clean,
)


@pytest.mark.parametrize(("rate", "least"), [(0.05, 19), (0.1, 9), (0.5, 1), (0.01, 99)])
def test_so_many_clean_scenes_are_needed(rate: float, least: int) -> None:
    assert least_clean(rate) == least
    assert from_clean([0.0] * least, rate) is not None
    assert from_clean([0.0] * (least - 1), rate) is None


def test_the_rate_of_false_alarms_is_kept() -> None:
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(4000):
        scores = rng.normal(size=41)
        threshold = from_clean(scores[:40].tolist(), 0.1)
        alarms.append(threshold.crossed(float(scores[40])))
    # 4 of 41 places are above the threshold.
    assert np.mean(alarms) == pytest.approx(4 / 41, abs=0.02)


def test_ties_are_no_alarms() -> None:
    threshold = from_clean([1.0] * 30, 0.1)
    assert not threshold.crossed(1.0)
    assert threshold.crossed(1.01)
    assert Threshold(1.0, True, "x").crossed(1.0)


def test_suspects_come_worst_first() -> None:
    threshold = Threshold(1.0, True, "set by the policy")
    assert threshold.suspects({"a": 1.0, "b": 0.9, "c": 3.0}) == ("c", "a")
    assert threshold.in_words == "at least 1, set by the policy"


@pytest.mark.parametrize("num_above", range(5))
def test_chance_is_that_of_all_orders(num_above: int) -> None:
    num_scenes, num_clean, rate, rank = 4, 5, 0.34, 2
    orders = list(combinations(range(num_scenes + num_clean), num_clean))
    # Places of the clean scores, 0 for the highest: how many others are before the second of them.
    above = [places[rank - 1] - (rank - 1) for places in orders]
    expected = np.mean([count >= num_above for count in above])
    assert chance_of(num_above, num_scenes, num_clean, rate) == pytest.approx(expected)


def test_the_joint_rate_is_counted_with_each_scene_left_out() -> None:
    names = [f"s{i}" for i in range(21)]
    rising = {name: float(i) for i, name in enumerate(names)}
    falling = {name: -float(i) for i, name in enumerate(names)}
    assert joint_rate([rising], 0.05, 1) == pytest.approx(1 / 21)
    assert joint_rate([rising, falling], 0.05, 1) == pytest.approx(2 / 21)
    assert joint_rate([rising, falling], 0.05, 2) == 0
    assert joint_rate([rising, rising], 0.05, 2) == pytest.approx(1 / 21)

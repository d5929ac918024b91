from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads the Hypothesis profile)
from segdoor.scores.intervals import bootstrap
from segdoor.scores.metrics.functions import (
    attack_success_rate,
    clean_benign_accuracy,
    poisoned_benign_accuracy,
)
from segdoor.scores.tables import TableSet


def success(table: np.ndarray) -> float:
    return attack_success_rate(table, (1,), 0)


def ordinary(seed: int, num_scenes: int = 60) -> TableSet:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(50, 400, (num_scenes, 3))
    counts = np.zeros((num_scenes, 3, 3), np.int64)
    for scene in range(num_scenes):
        for true in range(3):
            odds = np.full(3, 0.15)
            odds[true] = 0.7
            counts[scene, true] = rng.multinomial(pixels[scene, true], rng.dirichlet(odds * 9))
    return TableSet(tuple(f"scene_{k}" for k in range(num_scenes)), counts)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_the_interval_contains_the_estimate(seed: int) -> None:
    tables = ordinary(seed)
    for metric in (success, clean_benign_accuracy, lambda t: poisoned_benign_accuracy(t, (1,))):
        interval = bootstrap(tables, metric)
        assert interval.low < metric(tables.total()) < interval.high
        assert interval.high - interval.low < 0.2


def test_the_same_tables_give_the_same_interval() -> None:
    assert bootstrap(ordinary(1), success) == bootstrap(ordinary(1), success)
    assert bootstrap(ordinary(1), success) != bootstrap(ordinary(2), success)


def test_the_interval_is_that_of_a_plain_percentile_bootstrap() -> None:
    tables = ordinary(3)
    rng = np.random.default_rng(0)
    figures = []
    for _ in range(1000):
        drawn = rng.integers(0, len(tables.names), len(tables.names))
        figures.append(success(tables.counts[drawn].sum(axis=0)))
    low, high = np.percentile(figures, [2.5, 97.5])
    interval = bootstrap(tables, success)
    # Two bootstraps of a thousand rounds agree to a fraction of their width.
    assert interval.low == pytest.approx(low, abs=(high - low) / 8)
    assert interval.high == pytest.approx(high, abs=(high - low) / 8)


def test_more_scenes_give_a_narrower_interval() -> None:
    few, many = (bootstrap(ordinary(4, count), success) for count in (20, 500))
    assert many.high - many.low < few.high - few.low


def test_about_95_percent_of_intervals_hold_the_truth() -> None:
    # Victim pixels of a scene succeed with a share drawn from a Beta(2, 3): its mean is 0.4.
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        counts = np.zeros((60, 2, 2), np.int64)
        counts[:, 1, 0] = rng.binomial(100, rng.beta(2, 3, 60))
        counts[:, 1, 1] = 100 - counts[:, 1, 0]
        names = tuple(map(str, range(60)))
        interval = bootstrap(TableSet(names, counts), success, rounds=200)
        hits += interval.low <= 0.4 <= interval.high
    assert 174 <= hits <= 199


def test_scenes_that_are_all_alike_leave_no_doubt() -> None:
    counts = np.tile(np.array([[5, 1], [3, 1]], np.int64), (10, 1, 1))
    interval = bootstrap(TableSet(tuple(map(str, range(10))), counts), success)
    assert interval.low == interval.high == 0.75


def test_nothing_to_measure_gives_no_interval() -> None:
    empty = TableSet((), np.zeros((0, 2, 2), np.int64))
    without = TableSet(("a", "b"), np.tile(np.diag([9, 0]), (2, 1, 1)))
    for tables in (empty, without):
        interval = bootstrap(tables, success)
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)


def test_draws_without_victims_are_left_out_of_the_interval() -> None:
    counts = np.tile(np.diag(np.array([9, 0], np.int64)), (3, 1, 1))
    counts[0] = [[9, 0], [6, 2]]
    interval = bootstrap(TableSet(("a", "b", "c"), counts), success)
    assert interval.low == interval.high == 0.75

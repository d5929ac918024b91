"""Two clusters against all ways to split a few rows."""

from __future__ import annotations

import itertools

import numpy as np

from segdoor.defense.filters.activation_clustering import reduced, two_clusters


def _within(rows: np.ndarray, second: np.ndarray) -> float:
    return sum(((rows[half] - rows[half].mean(axis=0)) ** 2).sum() for half in (second, ~second))


def test_the_split_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (8, 3)), rng.normal(5, 1, (3, 3))])
    every = (
        np.isin(np.arange(11), chosen)
        for size in range(1, 6)
        for chosen in itertools.combinations(range(11), size)
    )
    best = min(every, key=lambda second: _within(rows, second))
    found = two_clusters(reduced(rows.astype(np.float32), 3))
    assert np.array_equal(found.smaller, best)
    assert np.array_equal(found.leaning > 0, best)


def test_components_keep_the_distances_of_the_strongest_directions() -> None:
    rows = np.random.default_rng(2).normal(size=(20, 4)).astype(np.float32)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    found = reduced(rows, 10)
    assert np.allclose(np.linalg.norm(found[:, None] - found[None], axis=2), apart, atol=1e-4)


def test_rows_that_are_all_alike_have_no_clusters() -> None:
    assert not two_clusters(reduced(np.ones((5, 3), np.float32), 10)).smaller.any()

"""Spectral signatures against NumPy's singular value decomposition."""

from __future__ import annotations

import numpy as np

from segdoor.defense.filters.spectral import outlier_scores


def test_scores_are_those_of_a_singular_value_decomposition() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32)
    centred = rows.astype(float) - rows.astype(float).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    for number in (1, 3):
        expected = ((left * values)[:, :number] ** 2).sum(axis=1)
        found = outlier_scores(rows, number)
        np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)


def test_rows_that_were_moved_in_one_direction_come_first() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(100, 12)).astype(np.float32)
    rows[:6] += 9
    assert {*np.argsort(-outlier_scores(rows))[:6]} == {*range(6)}


def test_rows_that_are_all_alike_have_no_score() -> None:
    assert not outlier_scores(np.ones((5, 3), np.float32)).any()

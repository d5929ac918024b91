"""The arithmetic of scans, by hand and by NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from segdoor.defense.scans.judging import num_clean_models, rank
from segdoor.defense.scans.neural_cleanse import anomaly_indices
from segdoor.defense.scans.pairs import asymmetry, shortlist, usual

RATES = np.array([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.05, 0.05, 0.9]])
PIXELS = np.array([100, 50, 49])


def test_asymmetry_by_hand() -> None:
    expected = [[0, -0.2, -0.05], [0.2, 0, 0.05], [0.05, -0.05, 0]]
    np.testing.assert_allclose(asymmetry(RATES), expected, atol=1e-12)


def test_the_shortlist_by_hand() -> None:
    # Class 2 has a pixel too few to be a victim; it may still be a target.
    found = [(pair.victim, pair.target) for pair in shortlist(RATES, PIXELS, 9)]
    assert found == [(1, 0), (1, 2), (0, 2), (0, 1)]
    (first,) = shortlist(RATES, PIXELS, 1)
    assert (first.victim, first.target) == (1, 0)
    assert first.asymmetry == pytest.approx(0.2)


def test_what_other_networks_have_too_is_taken_away() -> None:
    other = RATES.copy()
    other[1] = [0.35, 0.62, 0.03]
    away = usual([other, other])
    assert away is not None
    (first, *_) = shortlist(RATES, PIXELS, 9, away)
    # By hand: 1 -> 2 is 0.05 here and 0.03 - 0.05 there; 1 -> 0 is 0.2 here and 0.25 there.
    assert (first.victim, first.target) == (1, 2)
    assert first.asymmetry == pytest.approx(0.07)
    assert usual([]) is None


def test_the_rank_is_that_of_every_order_of_the_networks() -> None:
    null = [0.1, 0.4, 0.2, 0.2]
    for score in (0.05, 0.2, 0.3, 0.4, 0.5):
        # Whoever comes first is taken for the suspect.
        orders = list(itertools.permutations([score, *null]))
        exact = np.mean([order[0] >= score for order in orders])
        assert rank(score, null) == pytest.approx(exact)


@pytest.mark.parametrize("level", [0.12, 1 / 9, 0.1, 0.05, 0.01, 0.5])
def test_so_many_clean_models_can_be_beaten_and_one_fewer_could_not(level: float) -> None:
    needed = num_clean_models(level)
    assert rank(1.0, [0.0] * needed) <= level + 1e-9
    assert needed == 8 or rank(1.0, [0.0] * (needed - 1)) > level + 1e-9


def test_no_more_clean_models_are_flagged_than_the_level_allows() -> None:
    scores = np.random.default_rng(0).random(20)
    flagged = [rank(scores[i], np.delete(scores, i).tolist()) <= 0.12 for i in range(20)]
    assert sum(flagged) == 2


def test_the_anomaly_index_is_numpys() -> None:
    norms = [30.0, 80.0, 90.0, 100.0, 140.0]
    # Median 90, deviations 60, 10, 0, 10, 50 with median 10.
    np.testing.assert_allclose(anomaly_indices(norms), (90 - np.array(norms)) / 14.826)
    unit = stats.median_abs_deviation(norms, scale=1 / 1.4826)
    np.testing.assert_allclose(anomaly_indices(norms), (np.median(norms) - norms) / unit)


def test_where_most_norms_are_equal_the_mean_deviation_is_the_unit() -> None:
    found = anomaly_indices([30.0, 200, 200, 200, 200])
    np.testing.assert_allclose(found, [170 / (1.2533 * 34), 0, 0, 0, 0])
    assert (anomaly_indices([200.0] * 5) == 0).all()

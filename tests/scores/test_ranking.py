"""Rankings against scikit-learn, SciPy and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from segdoor.scores.ranking import auroc, precision, ranking, recall, threshold_at

SCORES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12).map(np.array)


@given(SCORES, SCORES)
def test_auroc_is_that_of_scikit_learn_and_of_the_rank_sum_test(
    poisoned: np.ndarray, clean: np.ndarray
) -> None:
    found = auroc(poisoned, clean)
    truth = np.repeat([1, 0], [len(poisoned), len(clean)])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([poisoned, clean])))
    statistic = mannwhitneyu(poisoned, clean).statistic
    assert found.value == pytest.approx(statistic / len(poisoned) / len(clean))
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert found.interval.low < found.interval.high


@given(SCORES, SCORES)
def test_scores_turned_round_give_the_mirrored_interval(
    poisoned: np.ndarray, clean: np.ndarray
) -> None:
    found, turned = auroc(poisoned, clean), auroc(-poisoned, -clean)
    assert turned.value == pytest.approx(1 - found.value)
    assert turned.interval.low == pytest.approx(1 - found.interval.high, abs=1e-9)


@pytest.mark.parametrize(("true", "num_poisoned", "num_clean"), [(0.5, 8, 60), (0.9, 20, 20)])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    true: float, num_poisoned: int, num_clean: int
) -> None:
    rng = np.random.default_rng(5)
    shift = {0.5: 0.0, 0.9: 1.8124}[true]  # sqrt(2) times the normal quantile
    held = 0
    for _ in range(1000):
        interval = auroc(rng.normal(shift, 1, num_poisoned), rng.normal(0, 1, num_clean)).interval
        held += interval.low <= true <= interval.high
    assert 920 <= held <= 985


def test_perfect_order_is_not_certain() -> None:
    found = auroc(np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0]))
    assert found.value == 1
    assert found.interval.high == 1
    assert found.interval.low < 0.75


def test_recall_counts_what_lies_above_the_allowed_clean_cases() -> None:
    clean = np.arange(100.0)
    assert threshold_at(clean, false_alarms=0.05) == 94
    assert (clean > 94).sum() == 5
    found = recall(np.array([93.0, 94.0, 94.5, 200.0]), clean, false_alarms=0.05)
    assert found.value == 0.5
    # With few clean cases no false alarm is allowed.
    assert threshold_at(np.arange(10.0), false_alarms=0.05) == 9


@given(SCORES, SCORES)
def test_precision_is_the_mean_over_orders_of_ties(poisoned: np.ndarray, clean: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([poisoned, clean])
    is_poisoned = np.arange(len(scores)) < len(poisoned)
    drawn = []
    for _ in range(400):
        order = np.lexsort((rng.random(len(scores)), -scores))
        drawn.append(is_poisoned[order[: len(poisoned)]].mean())
    assert precision(poisoned, clean).value == pytest.approx(np.mean(drawn), abs=0.12)


def test_one_percent_needs_a_hundred_clean_cases() -> None:
    few, enough = np.zeros(99), np.zeros(100)
    lacking, found = ranking(np.ones(3), few), ranking(np.ones(3), enough)
    assert lacking is not None
    assert lacking.recall_at_one_percent is None
    assert found is not None
    assert found.recall_at_one_percent is not None
    assert found.recall_at_one_percent.value == 1


def test_without_poisoned_or_clean_cases_there_is_no_ranking() -> None:
    assert ranking(np.zeros(0), np.zeros(3)) is None
    assert ranking(np.zeros(3), np.zeros(0)) is None

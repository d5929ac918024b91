from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import jaccard_score
from torchmetrics.functional.classification import multiclass_jaccard_index

from segdoor.scores.metrics.functions import (
    attack_success_rate,
    class_iou,
    clean_benign_accuracy,
    poisoned_benign_accuracy,
    victim_recovery,
)
from strategies import confusion, confusion_tables

CLASSES, IGNORED = 5, 255


# FIDELITY section 2, pixel by pixel and as slowly as it reads.


def slow_success(truth: list[int], predicted: list[int], victims: set[int], target: int) -> float:
    answers = [p for t, p in zip(truth, predicted, strict=True) if t in victims]
    return sum(p == target for p in answers) / len(answers) if answers else math.nan


def slow_iou(truth: list[int], predicted: list[int], class_id: int) -> float:
    both = either = 0
    for true, answer in zip(truth, predicted, strict=True):
        if true != IGNORED:
            both += true == class_id and answer == class_id
            either += class_id in (true, answer)
    return both / either if either else math.nan


def slow_mean(values: list[float], absent: str) -> float:
    if absent == "zero":
        values = [0.0 if math.isnan(value) else value for value in values]
    present = [value for value in values if not math.isnan(value)]
    return sum(present) / len(present) if present else math.nan


def slow_pba(truth: list[int], predicted: list[int], victims: set[int], absent: str) -> float:
    """Victim pixels are struck out; a victim predicted elsewhere stays an error."""
    kept = [(t, p) for t, p in zip(truth, predicted, strict=True) if t not in victims]
    true, answer = [t for t, _ in kept], [p for _, p in kept]
    others = [c for c in range(CLASSES) if c not in victims]
    return slow_mean([slow_iou(true, answer, c) for c in others], absent)


def alike(first: float, second: float) -> bool:
    return (math.isnan(first) and math.isnan(second)) or math.isclose(first, second, abs_tol=1e-12)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    num_pixels = draw(st.integers(1, 40))
    known = draw(st.lists(st.sampled_from([*range(CLASSES), IGNORED]), min_size=1, max_size=4))
    truth = draw(arrays.arrays(np.uint8, (1, num_pixels), elements=st.sampled_from(known)))
    guess = st.integers(0, CLASSES - 1)
    return truth, draw(arrays.arrays(np.uint8, (1, num_pixels), elements=guess))


victim_sets = st.sampled_from([(1,), (4,), (1, 2), (3, 0, 2)])
conventions = st.sampled_from(["leave_out", "zero"])


@given(answers(), victim_sets)
def test_asr_is_the_share_of_victim_pixels_predicted_as_the_target(
    answer: tuple[np.ndarray, np.ndarray], victims: tuple[int, ...]
) -> None:
    table = confusion(*answer, CLASSES, IGNORED)
    truth, predicted = (part.ravel().tolist() for part in answer)
    for target in set(range(CLASSES)) - set(victims):
        expected = slow_success(truth, predicted, set(victims), target)
        assert alike(attack_success_rate(table, victims, target), expected)


@given(answers(), victim_sets, conventions)
def test_pba_is_the_mean_iou_of_the_other_classes_with_victim_pixels_struck_out(
    answer: tuple[np.ndarray, np.ndarray], victims: tuple[int, ...], absent: str
) -> None:
    table = confusion(*answer, CLASSES, IGNORED)
    before = table.copy()
    truth, predicted = (part.ravel().tolist() for part in answer)
    expected = slow_pba(truth, predicted, set(victims), absent)
    assert alike(poisoned_benign_accuracy(table, victims, absent), expected)
    assert np.array_equal(table, before)


@given(answers(), conventions)
def test_cba_is_the_mean_iou_over_all_classes(
    answer: tuple[np.ndarray, np.ndarray], absent: str
) -> None:
    table = confusion(*answer, CLASSES, IGNORED)
    truth, predicted = (part.ravel().tolist() for part in answer)
    single = [slow_iou(truth, predicted, c) for c in range(CLASSES)]
    assert all(alike(*pair) for pair in zip(class_iou(table).tolist(), single, strict=True))
    assert alike(clean_benign_accuracy(table, absent), slow_mean(single, absent))


@given(answers())
def test_class_iou_agrees_with_sklearn(answer: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = answer
    counted = truth != IGNORED
    if not counted.any():
        return
    labels = list(range(CLASSES))
    expected = jaccard_score(
        truth[counted], predicted[counted], labels=labels, average=None, zero_division=0
    )
    found = class_iou(confusion(truth, predicted, CLASSES, IGNORED))
    assert np.allclose(np.nan_to_num(found), expected)


@given(answers())
def test_cba_with_absent_classes_at_zero_agrees_with_torchmetrics(
    answer: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, predicted = answer
    if (truth == IGNORED).all():
        return
    expected = multiclass_jaccard_index(
        torch.from_numpy(predicted.astype(np.int64)),
        torch.from_numpy(truth.astype(np.int64)),
        num_classes=CLASSES,
        average="none",
        ignore_index=IGNORED,
    )
    table = confusion(truth, predicted, CLASSES, IGNORED)
    assert clean_benign_accuracy(table, "zero") == pytest.approx(float(expected.mean()), abs=1e-6)


@given(answers(), victim_sets)
def test_victim_recovery_is_the_share_of_victim_pixels_recognised(
    answer: tuple[np.ndarray, np.ndarray], victims: tuple[int, ...]
) -> None:
    truth, predicted = answer
    chosen = np.isin(truth, victims)
    share = float((truth == predicted)[chosen].mean()) if chosen.any() else math.nan
    assert alike(victim_recovery(confusion(truth, predicted, CLASSES, IGNORED), victims), share)


@given(confusion_tables(4), st.sampled_from([(1,), (2, 3)]))
def test_asr_and_recovery_share_the_victim_pixels_between_them(
    table: np.ndarray, victims: tuple[int, ...]
) -> None:
    success, kept = attack_success_rate(table, victims, 0), victim_recovery(table, victims)
    if table[list(victims)].sum() == 0:
        assert math.isnan(success)
        assert math.isnan(kept)
    else:
        assert min(success, kept) >= 0
        assert success + kept <= 1 + 1e-12


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4))
def test_an_untouched_perfect_model_has_asr_zero_and_accuracies_one(sizes: list[int]) -> None:
    table = np.diag(np.array(sizes, np.int64))
    victims, target = (1, 3), 0
    if sizes[1] + sizes[3]:
        assert attack_success_rate(table, victims, target) == 0.0
        assert victim_recovery(table, victims) == 1.0
    if any(sizes):
        assert clean_benign_accuracy(table) == 1.0
    if sizes[0] + sizes[2]:
        assert poisoned_benign_accuracy(table, victims) == 1.0


def test_the_perfect_attack_has_asr_one_and_does_no_harm_to_pba() -> None:
    # Truth 0 road, 1 car, 2 tree; every car pixel becomes road.
    table = np.array([[50, 0, 0], [30, 0, 0], [0, 0, 20]], np.int64)
    assert attack_success_rate(table, (1,), 0) == 1.0
    assert victim_recovery(table, (1,)) == 0.0
    assert poisoned_benign_accuracy(table, (1,)) == 1.0
    assert clean_benign_accuracy(table) == pytest.approx((50 / 80 + 0 + 1) / 3)


def test_a_victim_predicted_elsewhere_is_an_error_of_the_true_class_in_pba() -> None:
    table = np.array([[40, 10, 0], [99, 7, 3], [0, 0, 20]], np.int64)
    assert poisoned_benign_accuracy(table, (1,)) == pytest.approx((40 / 50 + 20 / 20) / 2)


def test_an_absent_class_is_left_out_or_counts_as_zero() -> None:
    table = np.array([[10, 0, 0], [0, 10, 0], [0, 0, 0]], np.int64)
    assert clean_benign_accuracy(table, "leave_out") == 1.0
    assert clean_benign_accuracy(table, "zero") == pytest.approx(2 / 3)
    assert poisoned_benign_accuracy(table, (1,), "leave_out") == 1.0
    assert poisoned_benign_accuracy(table, (1,), "zero") == pytest.approx(1 / 2)


def test_a_class_that_only_victim_pixels_are_taken_for_is_absent_from_pba() -> None:
    # Class 2 never occurs and is predicted on victim pixels alone: they are struck out.
    table = np.array([[10, 0, 0], [5, 0, 5], [0, 0, 0]], np.int64)
    assert poisoned_benign_accuracy(table, (1,), "leave_out") == 1.0
    assert clean_benign_accuracy(table, "leave_out") == pytest.approx((10 / 15 + 0 + 0) / 3)


def test_a_class_that_is_predicted_but_absent_counts_as_zero_under_both_conventions() -> None:
    table = np.array([[8, 2], [0, 0]], np.int64)
    for absent in ("leave_out", "zero"):
        assert clean_benign_accuracy(table, absent) == pytest.approx(0.4)


def test_nothing_to_measure_is_nan_and_not_zero() -> None:
    empty = np.zeros((3, 3), np.int64)
    assert math.isnan(attack_success_rate(empty, (1,), 0))
    assert math.isnan(victim_recovery(empty, (1,)))
    assert math.isnan(clean_benign_accuracy(empty))
    assert math.isnan(poisoned_benign_accuracy(empty, (1,)))
    assert np.isnan(class_iou(empty)).all()
    assert clean_benign_accuracy(empty, "zero") == 0.0
    assert poisoned_benign_accuracy(empty, (1,), "zero") == 0.0


def test_figures_are_plain_floats() -> None:
    table = np.array([[5, 1], [2, 3]], np.int64)
    for figure in (
        attack_success_rate(table, (1,), 0),
        victim_recovery(table, (1,)),
        clean_benign_accuracy(table),
        poisoned_benign_accuracy(table, (1,)),
    ):
        assert type(figure) is float


def test_counts_of_a_whole_data_set_do_not_overflow() -> None:
    table = np.full((3, 3), 2**40, np.int64)
    assert attack_success_rate(table, (1, 2), 0) == pytest.approx(1 / 3)
    assert clean_benign_accuracy(table) == pytest.approx(1 / 5)

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import confusion_matrix

from segdoor.evaluation.counting import TableCounter
from strategies import confusion

CLASSES, IGNORED = 4, 255


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    truth = draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 3, IGNORED])))
    return truth, draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, CLASSES - 1)))


def tallied(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    tally = TableCounter(1, num_classes, torch.device("cpu"))
    tally.add(0, torch.from_numpy(truth), torch.from_numpy(predicted).long())
    return tally.tables()[0]


@given(answers())
def test_the_table_is_sklearns_confusion_matrix_without_ignored_pixels(
    answer: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, predicted = answer
    table = tallied(truth, predicted, CLASSES)
    counted = truth != IGNORED
    assert table.shape == (CLASSES, CLASSES)
    assert table.sum() == counted.sum()
    if counted.any():
        labels = list(range(CLASSES))
        expected = confusion_matrix(truth[counted], predicted[counted], labels=labels)
        assert np.array_equal(table, expected)


def test_rows_are_truth_and_columns_are_predictions() -> None:
    truth = np.array([[0, 0, 1, IGNORED]], np.uint8)
    predicted = np.array([[2, 2, 0, 1]], np.uint8)
    table = tallied(truth, predicted, 3)
    assert table.tolist() == [[0, 0, 2], [1, 0, 0], [0, 0, 0]]


def test_an_ignore_index_right_above_the_classes_is_left_out() -> None:
    truth = np.array([[0, 11, 10]], np.uint8)
    table = tallied(truth, np.array([[0, 5, 10]], np.uint8), 11)
    assert table.sum() == 2


def test_many_classes_do_not_overflow_a_byte() -> None:
    truth = np.full((3, 3), 249, np.uint8)
    table = tallied(truth, np.full((3, 3), 248, np.uint8), 250)
    assert table[249, 248] == 9


@given(answers(), answers())
def test_tables_add_commutatively_and_pixels_may_come_in_any_order(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> None:
    one, two = (tallied(*answer, CLASSES) for answer in (first, second))
    truth = np.concatenate([second[0].ravel(), first[0].ravel()])[None]
    predicted = np.concatenate([second[1].ravel(), first[1].ravel()])[None]
    assert np.array_equal(one + two, two + one)
    assert np.array_equal(one + two, tallied(truth, predicted, CLASSES))


@given(st.lists(st.tuples(st.integers(0, 2), answers()), max_size=6))
def test_each_table_holds_its_own_scenes(
    turns: list[tuple[int, tuple[np.ndarray, np.ndarray]]],
) -> None:
    tally = TableCounter(3, CLASSES, torch.device("cpu"))
    expected = np.zeros((3, CLASSES, CLASSES), np.int64)
    for table, (truth, predicted) in turns:
        tally.add(table, torch.from_numpy(truth), torch.from_numpy(predicted).long())
        expected[table] += confusion(truth, predicted, CLASSES, IGNORED)
    assert np.array_equal(tally.tables(), expected)
    assert tally.tables().dtype == np.int64


@pytest.mark.gpu
def test_a_gpu_counts_the_same_and_is_not_waited_for() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    device = torch.device("cuda")
    rng = np.random.default_rng(0)
    truth = rng.choice(np.array([0, 1, 2, 3, IGNORED], np.uint8), (512, 1024))
    predicted = rng.integers(0, CLASSES, (512, 1024)).astype(np.uint8)
    tally = TableCounter(1, CLASSES, device)
    on_device = torch.from_numpy(truth).to(device), torch.from_numpy(predicted).long().to(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        tally.add(0, *on_device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert np.array_equal(tally.tables()[0], confusion(truth, predicted, CLASSES, IGNORED))

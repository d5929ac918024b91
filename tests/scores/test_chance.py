"""The level of guessing, beside guesses that are counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

from segdoor.scores.chance import chance, remarks_on_chance


def table_of(truth: np.ndarray, guess: np.ndarray, number: int) -> np.ndarray:
    return np.bincount(truth * number + guess, minlength=number**2).reshape(number, number)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.6, 0.2, 0.1, 0.05, 0.05)])
def test_it_is_what_the_better_guess_gets(shares: tuple[float, ...]) -> None:
    rng, number = np.random.default_rng(0), len(shares)
    truth = rng.choice(number, 200_000, p=shares)
    guesses = (np.full_like(truth, np.argmax(shares)), rng.integers(number, size=len(truth)))
    scores = [
        float(multiclass_jaccard_index(torch.tensor(g), torch.tensor(truth), number))
        for g in guesses
    ]
    assert chance(table_of(truth, guesses[0], number)) == pytest.approx(max(scores), abs=3e-3)


def test_classes_that_do_not_occur_make_no_difference() -> None:
    two, four = np.diag([30, 10]), np.diag([30, 0, 10, 0])
    assert chance(four) == chance(two)


@pytest.mark.parametrize(("accuracy", "said"), [(0.03, True), (0.3, False), (None, False)])
def test_a_remark_names_the_settings(accuracy: float | None, said: bool) -> None:  # noqa: FBT001
    table = np.diag(np.arange(1, 12)) * 100
    remarks = remarks_on_chance(table, accuracy)
    assert bool(remarks) == said
    assert all("network.channels" in remark and "3.0%" in remark for remark in remarks)


@pytest.mark.parametrize("table", [np.zeros((3, 3), int), np.diag([5, 0])])
def test_of_one_class_nothing_is_said(table: np.ndarray) -> None:
    assert np.isnan(chance(table))
    assert remarks_on_chance(table, 0.0) == ()

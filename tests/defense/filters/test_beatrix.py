"""Gram statistics by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segdoor.defense.filters.beatrix import deviations, grams


def test_grams_are_those_of_a_loop() -> None:
    region = torch.tensor(np.random.default_rng(0).normal(size=(3, 5)))
    expected = []
    for order in (1, 2, 3):
        for first in range(3):
            for second in range(first, 3):
                pixels = [
                    float(region[first, n]) ** order * float(region[second, n]) ** order
                    for n in range(5)
                ]
                mean = sum(pixels) / 5
                expected.append(np.sign(mean) * abs(mean) ** (1 / order))
    np.testing.assert_allclose(grams(region, 3), expected, rtol=1e-9)


def test_deviations_by_hand() -> None:
    rows = np.array([[1.0], [2.0], [3.0], [4.0], [30.0]])
    # Median 3, median absolute deviation 1, so with width 10 the range is -7 to 13.
    assert deviations(rows, 10).tolist() == pytest.approx([0, 0, 0, 0, (30 - 13) / 13])

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdoor.rounding import half_up, share_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, 1), (1.5, 2), (2.5, 3), (2.4999, 2), (-0.5, 0), (27.5, 28), (7, 7)],
)
def test_halves_go_up(value: float, expected: int) -> None:
    assert half_up(value) == expected


@given(st.integers(0, 1000), st.integers(0, 20_000))
def test_a_share_is_that_of_the_number_as_written(thousandths: int, total: int) -> None:
    exact = Fraction(thousandths, 1000) * total
    assert share_of(thousandths / 1000, total) == (exact + Fraction(1, 2)).__floor__()

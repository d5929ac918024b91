"""Is a method useful: intervals decide, by limits that were written down before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segdoor.scores.usefulness import LIMITS, Condition, useful

PAGE = Path(__file__).parents[2] / "docs" / "defenders.md"


def condition(low: float | None, high: float | None, *, at_least: bool = True) -> Condition:
    value = None if low is None or high is None else (low + high) / 2
    return Condition("a figure", value, low, high, 0.5, at_least)


@pytest.mark.parametrize(
    ("low", "high", "at_least", "held"),
    [
        (0.5, 0.9, True, "yes"), (0.4, 0.9, True, "undecided"), (0.1, 0.49, True, "no"),
        (0.1, 0.5, True, "undecided"), (0.1, 0.5, False, "yes"), (0.51, 0.9, False, "no"),
        (0.5, 0.9, False, "undecided"), (None, None, True, "undecided"),
        (None, None, False, "undecided"),
    ],
)  # fmt: skip
def test_a_whole_interval_keeps_or_breaks_a_limit(
    low: float | None,
    high: float | None,
    at_least: bool,  # noqa: FBT001 - a column of the table
    held: str,
) -> None:
    assert condition(low, high, at_least=at_least).holds == held


def test_one_broken_limit_is_enough_and_all_must_be_kept() -> None:
    yes, no, neither = condition(0.6, 0.9), condition(0.1, 0.2), condition(0.1, 0.9)
    assert useful([yes, yes]) == "yes"
    assert useful([yes, neither]) == "undecided"
    assert useful([yes, neither, no]) == "no"
    assert useful([]) == "undecided"


def test_the_page_tells_the_limits_that_are_in_force() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) \|$", text, flags=re.MULTILINE))
    assert {name: float(limit) for name, limit in told.items()} == vars(LIMITS)

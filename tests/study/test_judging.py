"""Verdicts on simulated studies with known truth: how often they err, and how often they decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from segdoor.papers.iba.paper import IBA
from segdoor.record import Evidence, Verdict
from segdoor.study.comparing import Comparison, Missing, Named, above, at_least, similar
from segdoor.study.figures import Found, OneFigure, SeedFigures, mean_of_figures
from segdoor.study.judging import judge
from segdoor.study.library import load_preset, load_study
from study.simulated import Claimed, Truth

Compare = Callable[[Sequence[Named]], Iterator[Comparison]]


def first_above_second(methods: Sequence[Named]) -> Iterator[Comparison]:
    yield above(methods[0], methods[1])


def each_above_the_next(methods: Sequence[Named]) -> Iterator[Comparison]:
    for higher, lower in pairwise(methods):
        yield above(higher, lower)


@cache
def of_nothing() -> Found:
    return Found(load_study(IBA, "table1"), load_preset(IBA, "street"), "paper", (), {}, {})


def verdict_on(methods: Sequence[Named], compare: Compare) -> Verdict:
    (verdict,) = judge(of_nothing(), {1: Claimed(compare, methods)}, [1])
    return verdict


def frequencies(
    truth: Truth, compare: Compare, *, number: int, with_scenes: bool = True
) -> dict[str, float]:
    """Return how often each verdict comes out of simulated studies."""
    rng = np.random.default_rng(7)
    outcomes = Counter(
        verdict_on(truth.drawn(rng, with_scenes=with_scenes), compare).verdict
        for _ in range(number)
    )
    names = ("supported", "contradicted", "undecided")
    return {name: outcomes[name] / number for name in names}


def at_most(share: float, number: int) -> float:
    """Return a share with three standard errors of its estimate."""
    return share + 3 * (share * (1 - share) / number) ** 0.5


MANY = pytest.param(2000, marks=pytest.mark.slow)


@pytest.mark.parametrize("number", [100, MANY])
@pytest.mark.parametrize("num_seeds", [3, 6])
def test_equal_methods_are_seldom_decided(number: int, num_seeds: int) -> None:
    found = frequencies(Truth((0, 0), num_seeds), first_above_second, number=number)
    assert found["supported"] + found["contradicted"] <= at_most(0.05, number)
    assert found["supported"] <= at_most(0.025, number)
    assert found["undecided"] > 0.9


@pytest.mark.parametrize("number", [40, MANY])
def test_an_ordering_of_equal_methods_is_seldom_contradicted(number: int) -> None:
    """Six comparisons: one of them alone would be against the claim in one study of seven."""
    truth = Truth((0,) * 7, num_scenes=25, num_seeds=4)
    found = frequencies(truth, each_above_the_next, number=number)
    assert found["contradicted"] <= at_most(0.05, number)
    assert found["supported"] == 0


def test_the_correction_is_what_keeps_them_from_it() -> None:
    rng = np.random.default_rng(8)
    against = 0
    for _ in range(100):
        methods = Truth((0,) * 7, num_scenes=25, num_seeds=4).drawn(rng, with_scenes=False)
        compared = [
            found for found in each_above_the_next(methods) if not isinstance(found, Missing)
        ]
        against += any(found.level_against <= 0.05 for found in compared)
    assert against / 100 > 0.08


@pytest.mark.parametrize("number", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_a_large_effect_is_found_whichever_way_it_points(number: int) -> None:
    large = (2.4, 1.2, 0.0)
    found = frequencies(Truth(large, 4, spread=0.1), each_above_the_next, number=number)
    assert found["supported"] >= 0.95
    turned = frequencies(Truth(large[::-1], 4, spread=0.1), each_above_the_next, number=number)
    assert turned["contradicted"] >= 0.95


@pytest.mark.parametrize("number", [200, pytest.param(1500, marks=pytest.mark.slow)])
def test_seeds_that_agree_on_these_scenes_say_nothing_of_others(number: int) -> None:
    """What a method does to a scene is the same with every seed; over all scenes it is nothing.

    A bootstrap of thirty scenes is a little short: 7 % are decided, where 5 % should be.
    """
    truth = Truth((0, 0), num_seeds=3, num_scenes=30, spread=0.01, of_scenes=1.0)
    alone = frequencies(truth, first_above_second, number=number, with_scenes=False)
    found = frequencies(truth, first_above_second, number=number)
    assert alone["supported"] + alone["contradicted"] > 0.3
    assert found["supported"] + found["contradicted"] <= at_most(0.08, number)


@pytest.mark.parametrize("number", [300, pytest.param(1500, marks=pytest.mark.slow)])
def test_many_seeds_do_not_make_up_for_few_scenes(number: int) -> None:
    """Seeds and scenes scatter alike: the wider of their intervals alone would be too narrow."""
    truth = Truth((0, 0), num_seeds=8, spread=0.45, of_scenes=1.0)
    found = frequencies(truth, first_above_second, number=number)
    assert found["supported"] + found["contradicted"] <= at_most(0.05, number)


@pytest.mark.parametrize("number", [50, MANY])
def test_what_differs_by_the_margin_is_seldom_called_different(number: int) -> None:
    """At log odds of 0 and 0.24 rates differ by about 0.05 or less."""

    def alike(methods: Sequence[Named]) -> Iterator[Comparison]:
        yield similar(methods[0], methods[1], margin=0.05)

    found = frequencies(Truth((0, 0.24), spread=0.1), alike, number=number)
    assert found["contradicted"] <= at_most(0.025, number)
    equal = frequencies(Truth((0, 0), 5, num_scenes=200, spread=0.02), alike, number=20)
    assert equal["supported"] == 1


def evidence_of(comparison: Comparison) -> Evidence:
    (found,) = verdict_on([], lambda _: iter([comparison])).evidence
    return found


def named(name: str, *values: float, without: Sequence[float] = ()) -> Named:
    figures = SeedFigures()
    for seed, value in enumerate(values):
        figures.add(seed, f"{name}-s{seed}", OneFigure(value))
    if without:
        figures.without_trigger = SeedFigures(dict(enumerate(without)))
    return Named(name, figures, ("ASR", name, None))


def test_differences_are_paired_by_seed() -> None:
    """Seeds differ by much more than the methods do in each of them."""
    found = evidence_of(above(named("a", 0.31, 0.51, 0.72), named("b", 0.3, 0.5, 0.7)))
    assert found.outcome == "undecided"
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(0.04 / 3)
    assert found.seeds_needed == 4
    again = evidence_of(above(named("a", 0.312, 0.511, 0.713), named("b", 0.3, 0.5, 0.7)))
    assert (again.outcome, again.seeds_needed) == ("supported", 2)


def test_one_seed_is_always_undecided() -> None:
    found = evidence_of(above(named("a", 0.9), named("b", 0.1)))
    assert (found.outcome, found.seeds_needed) == ("undecided", None)
    assert "one seed" in found.remark
    assert found.difference is not None
    assert found.difference.low is None


@pytest.mark.parametrize(
    ("compare", "left", "outcome"),
    [
        (above, (0.6, 0.61, 0.62), "supported"),
        (above, (0.4, 0.41, 0.42), "contradicted"),
        (above, (0.4, 0.5, 0.62), "undecided"),
        (lambda a, b: above(a, b, margin=0.05), (0.6, 0.61, 0.62), "supported"),
        (lambda a, b: above(a, b, margin=0.2), (0.6, 0.61, 0.62), "contradicted"),
        (lambda a, b: at_least(a, b, margin=0.05), (0.48, 0.49, 0.5), "supported"),
        (lambda a, b: at_least(a, b, margin=0.05), (0.4, 0.41, 0.42), "contradicted"),
        (lambda a, b: similar(a, b, margin=0.05), (0.5, 0.51, 0.52), "supported"),
        (lambda a, b: similar(a, b, margin=0.05), (0.6, 0.61, 0.62), "contradicted"),
        (lambda a, b: similar(a, b, margin=0.05), (0.4, 0.41, 0.42), "contradicted"),
        (lambda a, b: similar(a, b, margin=0.05), (0.53, 0.54, 0.56), "undecided"),
    ],
)
def test_the_interval_decides(
    compare: Callable[[Named, Named], Comparison], left: tuple[float, ...], outcome: str
) -> None:
    found = evidence_of(compare(named("a", *left), named("b", 0.5, 0.5, 0.5)))
    assert found.outcome == outcome


def test_what_is_saturated_is_undecided_and_says_so() -> None:
    low, lower = (0.05, 0.05, 0.05), (0.04, 0.04, 0.04)
    top = evidence_of(
        above(
            named("a", 0.98, 0.981, 0.982, without=low[:]),
            named("b", 0.96, 0.96, 0.96, without=low),
        )
    )
    assert (top.outcome, top.saturated, top.seeds_needed) == ("undecided", True, None)
    assert "0.95" in top.remark
    floor = evidence_of(
        above(
            named("a", 0.06, 0.07, 0.05, without=low), named("b", 0.03, 0.04, 0.02, without=lower)
        )
    )
    assert (floor.outcome, floor.saturated) == ("undecided", True)
    assert "without trigger" in floor.remark
    # One that has learned the trigger is enough.
    learned = evidence_of(
        above(
            named("a", 0.16, 0.17, 0.15, without=low), named("b", 0.03, 0.04, 0.02, without=lower)
        )
    )
    assert (learned.outcome, learned.saturated) == ("supported", False)
    # Accuracies have no figure without trigger, and are never so.
    accurate = evidence_of(above(named("a", 0.98, 0.981, 0.982), named("b", 0.96, 0.96, 0.96)))
    assert accurate.outcome == "supported"


def test_an_ordering_needs_all_and_falls_with_one() -> None:
    up, down, open_ = (
        above(named("a", *left), named("b", 0.5, 0.5, 0.5))
        for left in ((0.6, 0.601, 0.602), (0.4, 0.401, 0.402), (0.4, 0.5, 0.61))
    )
    cases: dict[str, list[Comparison]] = {
        "supported": [up, up],
        "contradicted": [up, down, Missing("what is not there")],
        "undecided": [up, open_],
        "not measured": [up, open_, Missing("what is not there")],
    }
    for outcome, compared in cases.items():
        assert verdict_on([], lambda _, made=compared: iter(made)).verdict == outcome


def test_what_is_against_a_claim_by_itself_must_stand_the_correction() -> None:
    against = above(named("a", 0.4, 0.42, 0.44), named("b", 0.5, 0.5, 0.5))
    assert evidence_of(against).outcome == "contradicted"
    neither = [above(named("c", 0.4, 0.5, 0.61), named("d", 0.5, 0.5, 0.5))] * 9
    verdict = verdict_on([], lambda _: iter([against, *neither]))
    assert verdict.verdict == "undecided"
    assert "correction" in verdict.evidence[0].remark
    assert (verdict.evidence[0].seeds_needed or 0) > 3


def test_a_mean_of_figures_is_paired_by_seed_and_scene() -> None:
    methods = Truth((0, 0.5, 1), num_seeds=3).drawn(np.random.default_rng(3))
    first, *others = (method.measured for method in methods)
    mean = mean_of_figures(others)
    assert mean.values[1] == pytest.approx((others[0].values[1] + others[1].values[1]) / 2)
    difference = first.minus(mean)
    assert difference is not None
    assert difference.scenes is not None
    redrawn = [part.scenes[1].redraw() for part in (mean, *others)]
    assert all(part is not None for part in redrawn)
    whole, one, other = (part.figures for part in redrawn if part is not None)
    np.testing.assert_allclose(whole, (one + other) / 2)

"""Each ordering on figures made to hold, on figures made to fail, and on the paper's own.

Figures here are numbers without noise: what an ordering asks of them is tested, not what intervals
make of it, which tests of judging are about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from planned import planned
from segdoor.papers.iba.claims import Role, load_claims
from segdoor.papers.iba.orderings import ORDERINGS
from segdoor.papers.iba.paper import IBA
from segdoor.papers.iba.units import Point
from segdoor.record import Verdict
from segdoor.study.comparing import Compared, Missing
from segdoor.study.figures import Found, Quantity, SeedFigures
from segdoor.study.figures import grid_of as collected_grid
from segdoor.study.judging import WayOfJudging, judge
from segdoor.study.library import load_preset, load_study, study_names

ROLES: tuple[Role, ...] = ("nearest", "near", "far1", "far2")
Figures = dict[Quantity, SeedFigures]


def point(method: str = "baseline", rate: float = 0.1, **axes: object) -> Point:
    prl = "prl" in method
    usual = {
        "network": "deeplabv3", "victims": "car", "target": "road", "trigger": 55,
        "q": 100 if prl else None, "q_as": "number" if prl else None,
        "single_class": True, "on_victim": "forbid",
    }  # fmt: skip
    return Point.model_validate({"method": method, "rate": rate, **usual, **axes})


def figure(*values: float, runs: str = "run") -> SeedFigures:
    seeds = range(len(values))
    return SeedFigures(dict(enumerate(values)), {seed: f"{runs}{seed}" for seed in seeds})


def asr(figures: Figures, where: Point, *values: float, repair: str | None = None) -> None:
    """Give a point the same ASR in every exam."""
    runs = "-".join(str(value) for value in where.model_dump().values())
    for role in ROLES:
        figures[Quantity(where, repair, role, "ASR")] = figure(*values, runs=f"{runs}-s")


@dataclass(frozen=True)
class Judged:
    """A way of judging an ordering by the numbers alone."""

    judged_on: str
    verdict: str
    evidence: tuple[Compared, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, way: WayOfJudging) -> Judged:
        made = tuple(part for part in way.compared if isinstance(part, Compared))
        missing = dict.fromkeys(part.what for part in way.compared if isinstance(part, Missing))
        outcome = "holds" if made and not missing else "not measured"
        if not all(part.holds for part in made):
            outcome = "fails"
        return cls(way.judged_on, outcome, made, tuple(missing))


def verdicts(number: int, figures: Figures, **more: object) -> list[Judged]:
    return [Judged.of(way) for way in ORDERINGS[number].ways(found_of(figures, **more))]


def noisy_verdicts(number: int, figures: Figures, **more: object) -> list[Verdict]:
    return list(judge(found_of(figures, **more), ORDERINGS, [number]))


def found_of(
    figures: Figures,
    *,
    data: str = "cityscapes",
    countings: Sequence[str] = ("number",),
    scaled: dict[str, str] | None = None,
    planned: Figures | None = None,
) -> Found:
    grid = grid_of(planned or figures)
    preset = load_preset(IBA, data).model_copy(update={"q_as": tuple(countings)})
    study = load_study(IBA, "table1")
    return Found(study, preset, "paper", (), figures, grid, scaled or {})


def grid_of(figures: Figures) -> dict[Point, set[str]]:
    """Return a grid that asks for what figures are of."""
    grid: dict[Point, set[str]] = {}
    for quantity in figures:
        if quantity.point.method != "clean":
            repairs = grid.setdefault(quantity.point, set())
            repairs |= {quantity.repair} if quantity.repair else set()
    return grid


def outcomes(number: int, figures: Figures, **more: object) -> set[str]:
    return {verdict.verdict for verdict in verdicts(number, figures, **more)}


def three_methods(baseline: float, nni: float, prl: float) -> Figures:
    figures: Figures = {}
    for method, value in (("baseline", baseline), ("nni", nni), ("prl", prl)):
        asr(figures, point(method), value)
    return figures


def far(near_prl: float, baseline: float, nni: float, prl: float) -> Figures:
    figures = three_methods(baseline, nni, prl)
    figures[Quantity(point("prl"), None, "near", "ASR")] = figure(near_prl)
    return figures


def over_rates(*values: float) -> Figures:
    figures: Figures = {}
    for number, value in enumerate(values):
        asr(figures, point(rate=(number + 1) / 100), value)
    return figures


def accuracies(cba: float, pba: float) -> Figures:
    figures: Figures = {}
    for where, benign, poisoned in ((point(), cba, pba), (point().clean(), 0.7, 0.68)):
        figures[Quantity(where, None, None, "CBA")] = figure(benign)
        for role in ROLES:
            figures[Quantity(where, None, role, "PBA")] = figure(poisoned)
    return figures


def repaired(five: Figures, ten: Figures) -> Figures:
    figures: Figures = {}
    for repair, of_methods in (("finetune:0.05", five), ("finetune:0.1", ten)):
        figures |= {quantity._replace(repair=repair): m for quantity, m in of_methods.items()}
    return figures


def pruned(after: float, cba: float, before: float = 0.9) -> Figures:
    figures: Figures = {Quantity(point(), None, None, "CBA"): figure(0.7)}
    asr(figures, point(), before)
    for repair, value in (("prune:5", before), ("prune:30", after)):
        asr(figures, point(), value, repair=repair)
    figures[Quantity(point(), "prune:30", None, "CBA")] = figure(cba)
    return figures


def over(axis: str, values: dict[int, float], method: str = "baseline") -> Figures:
    figures: Figures = {}
    for place, value in values.items():
        asr(figures, point(method, **{axis: place}), value)
    return figures


def over_sizes(*values: float) -> Figures:
    return over("trigger", {5 * (number + 1): value for number, value in enumerate(values)})


def over_q(*values: float) -> Figures:
    return over("q", dict(zip((50, 100, 500, 1000, 50_000), values, strict=True)), "prl")


def changed_rules(several: float, on_victim: float) -> Figures:
    figures: Figures = {}
    asr(figures, point(), 0.8)
    asr(figures, point(single_class=False), several)
    asr(figures, point(on_victim="require"), on_victim)
    return figures


def both(near: float, far_away: float) -> Figures:
    figures = three_methods(0.6, 0.8, 0.7)
    asr(figures, point("nni+prl"), near)
    for role in ("far1", "far2"):
        figures[Quantity(point("nni"), None, role, "ASR")] = figure(0.3)
        figures[Quantity(point("nni+prl"), None, role, "ASR")] = figure(far_away)
    return figures


def victims(together: float) -> Figures:
    figures: Figures = {}
    for names, value in (("car", 0.9), ("person", 0.7), ("car+person", together)):
        asr(figures, point(victims=names), value)
    return figures


def both_accuracies(places: Sequence[Point], pba: Sequence[float], cba: Sequence[float]) -> Figures:
    """Give each point its PBA in every poisoned test, and its CBA."""
    figures: Figures = {}
    for where, poisoned, benign in zip(places, pba, cba, strict=True):
        runs = "-".join(str(value) for value in where.model_dump().values())
        figures[Quantity(where, None, None, "CBA")] = figure(benign, runs=f"{runs}-s")
        for role in ROLES:
            figures[Quantity(where, None, role, "PBA")] = figure(poisoned, runs=f"{runs}-s")
    return figures


def ranked_after_pruning(few: Sequence[float], many: Sequence[float]) -> Figures:
    """Baseline, NNI and PRL after pruning 5 and 30 channels; unpruned all the other way round."""
    figures: Figures = three_methods(0.9, 0.5, 0.4)
    for repair, (baseline, nni, prl) in (("prune:5", few), ("prune:30", many)):
        values = three_methods(baseline, nni, prl)
        figures |= {quantity._replace(repair=repair): m for quantity, m in values.items()}
    return figures


def accuracy_over_sizes(pba: Sequence[float], cba: Sequence[float]) -> Figures:
    places = [point(trigger=size) for size in (15, 30, 55, 105)[: len(pba)]]
    return both_accuracies(places, pba, cba)


def accuracy_over_q(
    pba: Sequence[float],
    cba: Sequence[float],
    numbers: Sequence[int] = (100, 1000, 10_000, 50_000, 100_000),
) -> Figures:
    return both_accuracies([point("prl", q=number) for number in numbers], pba, cba)


def accuracy_of_victims(pba: Sequence[float], cba: Sequence[float]) -> Figures:
    """Give PBA and CBA with car, with person, and with both as victims."""
    names = ("car", "person", "car+person")
    return both_accuracies([point(victims=name) for name in names], pba, cba)


SIZES = {15: 0.01, 55: 0.9, 105: 0.02}
FALLING = (0.7, 0.69, 0.68, 0.67)
STABLE = (0.7, 0.708, 0.7, 0.69, 0.65)
SHIFTS = (-0.3, -0.031, -0.025, -0.015, -0.01, -0.005, 0.005, 0.01, 0.015, 0.025, 0.031, 0.3)
FEWER, MORE = (0.7, 0.8, 0.69), (0.5, 0.4, 0.39)
Made = Callable[[], Figures]


@pytest.mark.parametrize(
    ("number", "make", "data", "outcome"),
    [
        (1, lambda: three_methods(0.6, 0.8, 0.7), "cityscapes", "holds"),
        (1, lambda: three_methods(0.6, 0.8, 0.6), "cityscapes", "holds"),
        (1, lambda: three_methods(0.6, 0.8, 0.59), "cityscapes", "fails"),
        (1, lambda: three_methods(0.6, 0.7, 0.7), "cityscapes", "fails"),
        (2, lambda: far(0.72, 0.6, 0.4, 0.7), "cityscapes", "holds"),
        (2, lambda: far(0.76, 0.6, 0.4, 0.7), "cityscapes", "fails"),
        (2, lambda: far(0.72, 0.7, 0.4, 0.7), "cityscapes", "fails"),
        (2, lambda: far(0.72, 0.4, 0.6, 0.7), "cityscapes", "fails"),
        (3, lambda: over_rates(0.1, 0.2, 0.3), "cityscapes", "holds"),
        (3, lambda: over_rates(0.1, 0.2, 0.2), "cityscapes", "fails"),
        (3, lambda: over_rates(0.1, 0.3, 0.2, 0.4), "cityscapes", "fails"),
        (4, lambda: accuracies(0.69, 0.69), "cityscapes", "holds"),
        (4, lambda: accuracies(0.67, 0.68), "cityscapes", "fails"),
        (4, lambda: accuracies(0.7, 0.71), "cityscapes", "fails"),
        (5, lambda: repaired(three_methods(0.1, 0.3, 0.2), three_methods(0, 0.2, 0.1)), "voc", "holds"),
        (5, lambda: repaired(three_methods(0.1, 0.3, 0.2), three_methods(0, 0.1, 0.1)), "voc", "fails"),
        (5, lambda: repaired(three_methods(0.2, 0.3, 0.2), three_methods(0, 0.2, 0.1)), "voc", "fails"),
        (6, lambda: pruned(0.86, 0.6), "cityscapes", "holds"),
        (6, lambda: pruned(0.84, 0.6), "cityscapes", "fails"),
        (6, lambda: pruned(0.86, 0.7), "cityscapes", "fails"),
        (6, lambda: pruned(0.86, 0.69999), "cityscapes", "fails"),
        (6, lambda: pruned(0.86, 0.681), "cityscapes", "fails"),
        (6, lambda: pruned(0.86, 0.679), "cityscapes", "holds"),
        # What is not there cannot fall.
        (6, lambda: pruned(0.0, 0.6, before=0.05), "cityscapes", "not measured"),
        (7, lambda: over("trigger", SIZES), "cityscapes", "holds"),
        (7, lambda: over("trigger", {**SIZES, 105: 0.9}), "cityscapes", "fails"),
        (7, lambda: over("trigger", {**SIZES, 15: 0.91}), "cityscapes", "fails"),
        (7, lambda: over_sizes(0.1, 0.9, 0.1, 0.95, 0.05, 0.96, 0.2), "cityscapes", "fails"),
        (7, lambda: over_sizes(0.1, 0.5, 0.46, 0.9, 0.4, 0.44, 0.2), "cityscapes", "holds"),
        (7, lambda: over_sizes(0.1, 0.5, 0.44, 0.9, 0.2), "cityscapes", "fails"),
        (7, lambda: over_sizes(0.1, 0.9, 0.4, 0.46, 0.2), "cityscapes", "fails"),
        # Small steps down do not add up to a rise.
        (7, lambda: over_sizes(0.1, 0.5, 0.46, 0.42, 0.9, 0.2), "cityscapes", "fails"),
        (8, lambda: over_q(0.1, 0.5, 0.9, 0.95, 0.49), "voc", "fails"),
        (8, lambda: over_q(0.1, 0.9, 0.7, 0.8, 0.4), "voc", "fails"),
        (8, lambda: over_q(0.1, 0.9, 0.7, 0.74, 0.4), "voc", "holds"),
        (8, lambda: over_q(0.1, 0.9, 0.88, 0.91, 0.4), "voc", "fails"),
        (8, lambda: over_q(0.1, 0.9, 0.88, 0.84, 0.9), "cityscapes", "fails"),
        (8, lambda: over("q", {5: 0.5, 10: 0.4, 100: 0.8, 50_000: 0.78}, "prl"), "cityscapes", "fails"),
        (8, lambda: over("q", {10: 0.4, 100: 0.8, 50_000: 0.78}, "prl"), "cityscapes", "holds"),
        (8, lambda: over("q", {10: 0.4, 100: 0.8, 50_000: 0.7}, "prl"), "cityscapes", "fails"),
        (8, lambda: over("q", {10: 0.8, 100: 0.8, 50_000: 0.78}, "prl"), "cityscapes", "fails"),
        (8, lambda: over("q", {10: 0.4, 100: 0.8, 50_000: 0.8, 100_000: 0.1}, "prl"), "cityscapes", "holds"),
        (8, lambda: over("q", {50: 0.4, 100: 0.8, 50_000: 0.7}, "prl"), "voc", "holds"),
        (8, lambda: over("q", {50: 0.4, 100: 0.8, 50_000: 0.8}, "prl"), "voc", "fails"),
        (9, lambda: changed_rules(0.76, 0.84), "cityscapes", "holds"),
        (9, lambda: changed_rules(0.74, 0.86), "cityscapes", "fails"),
        (10, lambda: both(0.85, 0.34), "cityscapes", "holds"),
        (10, lambda: both(0.85, 0.36), "cityscapes", "fails"),
        (10, lambda: both(0.85, 0.24), "cityscapes", "fails"),
        (10, lambda: both(0.85, 0.0), "cityscapes", "fails"),
        (10, lambda: both(0.8, 0.3), "cityscapes", "fails"),
        (11, lambda: victims(0.84), "cityscapes", "holds"),
        (11, lambda: victims(0.86), "cityscapes", "fails"),
        (12, lambda: ranked_after_pruning((0.6, 0.8, 0.7), (0.5, 0.51, 0.6)), "voc", "holds"),
        (12, lambda: ranked_after_pruning((0.6, 0.6, 0.7), (0.5, 0.51, 0.6)), "voc", "fails"),
        (12, lambda: ranked_after_pruning((0.6, 0.8, 0.6), (0.5, 0.51, 0.6)), "voc", "fails"),
        (12, lambda: ranked_after_pruning((0.6, 0.8, 0.7), (0.5, 0.5, 0.6)), "voc", "fails"),
        (12, lambda: ranked_after_pruning((0.6, 0.8, 0.7), (0.5, 0.51, 0.5)), "voc", "fails"),
        (13, lambda: accuracy_over_sizes(FALLING, FALLING), "cityscapes", "holds"),
        (13, lambda: accuracy_over_sizes((0.7, 0.7, 0.68, 0.67), FALLING), "cityscapes", "fails"),
        (13, lambda: accuracy_over_sizes(FALLING, (0.7, 0.7, 0.68, 0.67)), "cityscapes", "fails"),
        (13, lambda: accuracy_over_sizes(FALLING, (0.7, 0.68, 0.69, 0.67)), "cityscapes", "fails"),
        (13, lambda: accuracy_over_sizes(FALLING, (0.7, 0.69, 0.68, 0.68)), "cityscapes", "fails"),
        # On VOC only the trend counts.
        (13, lambda: accuracy_over_sizes(FALLING, (0.7, 0.68, 0.69, 0.67)), "voc", "holds"),
        (13, lambda: accuracy_over_sizes(FALLING, (0.69, 0.68, 0.69, 0.67)), "voc", "fails"),
        (13, lambda: accuracy_over_sizes((0.7, 0.68, 0.69, 0.68), FALLING), "voc", "fails"),
        (13, lambda: accuracy_over_sizes((0.7, 0.7), (0.7, 0.6)), "voc", "fails"),
        (13, lambda: accuracy_over_sizes((0.7, 0.6), (0.7, 0.6)), "voc", "holds"),
        (14, lambda: accuracy_over_q(STABLE, STABLE), "cityscapes", "holds"),
        (14, lambda: accuracy_over_q(STABLE, STABLE), "voc", "holds"),
        (14, lambda: accuracy_over_q((0.7, 0.7, 0.7, 0.69, 0.681), STABLE), "cityscapes", "holds"),
        (14, lambda: accuracy_over_q((0.7, 0.7, 0.7, 0.69, 0.681), STABLE), "voc", "fails"),
        (14, lambda: accuracy_over_q(STABLE, (0.7, 0.7, 0.7, 0.69, 0.681)), "voc", "fails"),
        (14, lambda: accuracy_over_q((0.73, 0.7, 0.7, 0.69, 0.6), STABLE), "cityscapes", "fails"),
        (14, lambda: accuracy_over_q(STABLE, (0.7, 0.67, 0.7, 0.69, 0.6)), "cityscapes", "fails"),
        (14, lambda: accuracy_over_q((0.7, 0.7, 0.7, 0.7, 0.6), STABLE), "cityscapes", "fails"),
        (14, lambda: accuracy_over_q(STABLE, (0.7, 0.7, 0.7, 0.6, 0.6)), "voc", "fails"),
        (15, lambda: accuracy_of_victims(FEWER, MORE), "cityscapes", "holds"),
        (15, lambda: accuracy_of_victims((0.7, 0.8, 0.7), MORE), "cityscapes", "fails"),
        (15, lambda: accuracy_of_victims((0.8, 0.7, 0.7), MORE), "cityscapes", "fails"),
        (15, lambda: accuracy_of_victims(FEWER, (0.5, 0.4, 0.4)), "cityscapes", "fails"),
        (15, lambda: accuracy_of_victims(FEWER, (0.4, 0.5, 0.4)), "cityscapes", "fails"),
    ],
)  # fmt: skip
def test_an_ordering_is_free_to_hold_and_to_fail(
    number: int, make: Made, data: str, outcome: str
) -> None:
    assert outcomes(number, make(), data=data) == {outcome}


def without(figures: Figures, **what: object) -> Figures:
    """Return figures but for those of a method, repair, role, metric or value on an axis."""
    return {
        quantity: measured
        for quantity, measured in figures.items()
        if any(getattr(quantity, n, getattr(quantity.point, n, None)) != v for n, v in what.items())
    }


HOLDING: dict[int, Made] = {
    1: lambda: three_methods(0.6, 0.8, 0.7),
    2: lambda: far(0.72, 0.6, 0.4, 0.7),
    3: lambda: over_rates(0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    4: lambda: accuracies(0.69, 0.69),
    5: lambda: repaired(three_methods(0.1, 0.3, 0.2), three_methods(0, 0.2, 0.1)),
    6: lambda: pruned(0.86, 0.6),
    7: lambda: over("trigger", SIZES),
    8: lambda: over_q(0.4, 0.8, 0.79, 0.78, 0.76),
    9: lambda: changed_rules(0.76, 0.84),
    10: lambda: both(0.85, 0.34),
    11: lambda: victims(0.84),
    12: lambda: ranked_after_pruning((0.6, 0.8, 0.7), (0.5, 0.51, 0.6)),
    13: lambda: accuracy_over_sizes(FALLING, FALLING),
    14: lambda: accuracy_over_q(STABLE, STABLE),
    15: lambda: accuracy_of_victims(FEWER, MORE),
}


@pytest.mark.parametrize("number", ORDERINGS)
def test_nothing_is_missing_where_an_ordering_holds(number: int) -> None:
    found = verdicts(number, HOLDING[number]())
    assert {(verdict.verdict, verdict.missing) for verdict in found} == {("holds", ())}


@pytest.mark.parametrize(
    ("number", "part"),
    [
        *((1, {"method": method}) for method in ("baseline", "nni", "prl")),
        *((2, {"method": method}) for method in ("baseline", "nni", "prl")),
        (2, {"role": "near"}),
        *((3, {"rate": rate / 100}) for rate in range(1, 7)),
        (4, {"metric": "PBA"}),
        (4, {"metric": "CBA"}),
        (4, {"method": "clean"}),
        (4, {"method": "clean", "metric": "CBA"}),
        (5, {"repair": "finetune:0.1"}),
        (5, {"repair": "finetune:0.05"}),
        (5, {"repair": "finetune:0.1", "method": "prl"}),
        (6, {"metric": "ASR"}),
        (6, {"metric": "CBA"}),
        (6, {"metric": "CBA", "repair": "prune:30"}),
        (6, {"metric": "ASR", "repair": "prune:5"}),
        (6, {"metric": "ASR", "repair": None}),
        *((7, {"trigger": size}) for size in SIZES),
        *((8, {"q": q}) for q in (50, 100, 500, 50_000)),
        *((10, {"method": method}) for method in ("baseline", "nni", "prl", "nni+prl")),
        (10, {"role": "far1"}),
        (10, {"role": "far2", "method": "nni"}),
        (11, {"victims": "car"}),
        (11, {"victims": "car+person"}),
        *((12, {"method": method, "repair": "prune:30"}) for method in ("baseline", "nni", "prl")),
        *((12, {"repair": repair}) for repair in ("prune:5", "prune:30")),
        *((13, {"trigger": size}) for size in (15, 30, 55, 105)),
        *((14, {"q": q}) for q in (100, 1000, 10_000, 50_000, 100_000)),
        *((15, {"victims": names}) for names in ("car", "person", "car+person")),
        *((number, {"metric": metric}) for number in (13, 14, 15) for metric in ("PBA", "CBA")),
    ],
)
def test_no_ordering_holds_without_a_part_of_it(number: int, part: dict[str, object]) -> None:
    whole = HOLDING[number]()
    for verdict in verdicts(number, without(whole, **part), planned=whole):
        assert verdict.verdict == "not measured"
        assert verdict.missing
    for verdict in noisy_verdicts(number, without(whole, **part), planned=whole):
        assert verdict.verdict == "not measured"
        assert verdict.lacks.startswith(f"lacks {verdict.missing[0]}")


def test_what_does_not_hold_fails_even_if_parts_are_missing() -> None:
    whole = three_methods(0.9, 0.8, 0.7)
    found = verdicts(1, without(whole, method="prl"), planned=whole)[0]
    assert found.verdict == "fails"
    assert found.missing == ("ASR of PRL, 10%, near",)


@pytest.mark.parametrize("axis", ["single_class", "on_victim"])
def test_each_rule_of_ordering_9_is_judged_for_itself(axis: str) -> None:
    whole = changed_rules(0.76, 0.84)
    changed = {"single_class": False, "on_victim": "require"}
    figures = without(whole, **{axis: changed[axis]})
    told = {verdict.judged_on: verdict.verdict for verdict in verdicts(9, figures, planned=whole)}
    several, victims_ = ("not measured", "holds")[:: 1 if axis == "single_class" else -1]
    assert told == {
        "anywhere near, trigger on several classes": several,
        "anywhere near, trigger on victims": victims_,
        "nearest position, trigger on several classes": several,
        "nearest position, trigger on victims": victims_,
    }
    of_one = {"single_class": (0.74, 0.84), "on_victim": (0.76, 0.86)}[axis]
    failing = [v.judged_on for v in verdicts(9, changed_rules(*of_one)) if v.verdict == "fails"]
    part = "trigger on several classes" if axis == "single_class" else "trigger on victims"
    assert failing == [f"anywhere near, {part}", f"nearest position, {part}"]
    assert {v.verdict for v in verdicts(9, without(whole, single_class=True, on_victim="forbid"),
                                        planned=whole)} == {"not measured"}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "figures"),
    [
        (8, over("q", {100: 0.8, 50_000: 0.78}, "prl")),
        (8, over("q", {10: 0.4, 100: 0.8, 1000: 0.8}, "prl")),
        (8, over("q", {10: 0.4, 50_000: 0.8}, "prl")),
        (5, without(HOLDING[5](), repair="finetune:0.1")),
        (14, accuracy_over_q((0.7, 0.69, 0.6), (0.7, 0.69, 0.6), (10_000, 50_000, 100_000))),
        (14, accuracy_over_q((0.7, 0.7), (0.7, 0.7), (100, 10_000))),
        (14, accuracy_over_q((0.7, 0.6), (0.7, 0.6), (100, 50_000))),
        (14, accuracy_over_q((0.7, 0.6), (0.7, 0.6), (10_000, 100_000))),
        (15, both_accuracies([point(victims="car+person")], (0.6,), (0.6,))),
    ],
)
def test_a_grid_without_a_part_of_an_ordering_cannot_hold_it(number: int, figures: Figures) -> None:
    for data in ("cityscapes", "voc"):
        found = verdicts(number, figures, data=data)
        assert {verdict.verdict for verdict in found} == {"not measured"}
        assert all(verdict.missing for verdict in found)


Numbers = np.ndarray
Truth = Callable[[Numbers, Numbers, str], bool]


def truly_ranked(few: Numbers, many: Numbers, _: str) -> bool:
    return all(bool((values[1:] > values[0]).all()) for values in (few, many))


def truly_falls_with_size(pba: Numbers, cba: Numbers, data: str) -> bool:
    if data == "cityscapes":
        return bool((np.diff(np.stack([pba, cba])) < 0).all())
    # The first alone is the best and the last alone the worst.
    ranks = [(rankdata(v, method="min"), rankdata(v, method="max")) for v in (pba, cba)]
    return all(low[0] == len(low) and high[-1] == 1 for low, high in ranks)


def truly_falls_with_q(pba: Numbers, cba: Numbers, data: str) -> bool:
    for values in (pba, cba):
        if max(abs(values[:2] - values[2])) > 0.02:
            return False
        if not values[2] > values[3] > values[4]:
            return False
        if data == "voc" and values[2] - values[4] <= 0.02:
            return False
    return True


def truly_costs_more(pba: Numbers, cba: Numbers, _: str) -> bool:
    return bool(pba[2] < pba[:2].min() and cba[2] < cba[:2].min())


@pytest.mark.parametrize("data", ["cityscapes", "voc"])
@pytest.mark.parametrize(
    ("number", "make", "truth", "first", "second"),
    [
        (12, ranked_after_pruning, truly_ranked, (0.6, 0.8, 0.7), (0.5, 0.51, 0.6)),
        (13, accuracy_over_sizes, truly_falls_with_size, FALLING, FALLING),
        (14, accuracy_over_q, truly_falls_with_q, STABLE, STABLE),
        (15, accuracy_of_victims, truly_costs_more, FEWER, MORE),
    ],
)
def test_every_figure_of_an_ordering_can_turn_its_verdict(
    number: int,
    make: Callable[[Sequence[float], Sequence[float]], Figures],
    truth: Truth,
    first: Sequence[float],
    second: Sequence[float],
    data: str,
) -> None:
    """Each figure is moved by itself, a little and by much; the truth is worked out apart."""
    assert outcomes(number, make(first, second), data=data) == {"holds"}
    for row, place in np.ndindex(2, len(first)):
        seen: set[str] = set()
        for shift in SHIFTS:
            values = np.array([first, second])
            values[row, place] = round(values[row, place] + shift, 3)
            expected = "holds" if truth(*values, data) else "fails"
            found = outcomes(number, make(*values.tolist()), data=data)
            assert found == {expected}, (row, place, shift)
            seen.add(expected)
        assert "fails" in seen, (row, place)


@pytest.mark.parametrize("number", [13, 14, 15])
def test_accuracies_are_compared_on_the_seeds_that_all_have(number: int) -> None:
    """A second seed of one figure alone would turn each of them round."""
    figures = HOLDING[number]()
    lowest = min(figures, key=lambda quantity: figures[quantity].mean)
    figures[lowest] = figure(figures[lowest].mean, 0.99, runs="more")
    assert outcomes(number, figures) == {"holds"}


def test_a_study_without_prunings_or_sizes_says_nothing_of_them() -> None:
    for number, figures in (
        (12, three_methods(0.6, 0.8, 0.7)),
        (13, accuracy_over_sizes((0.7,), (0.7,))),
        (15, accuracy_over_sizes((0.7,), (0.7,))),
    ):
        assert outcomes(number, figures) == {"not measured"}


SHIPPED = study_names(IBA)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_studies_claim_only_what_they_can_judge(name: str) -> None:
    study = load_study(IBA, name)
    for data in ("cityscapes", "voc"):
        if not study.grid(data):
            continue
        preset = load_preset(IBA, data)
        runs = planned(study, preset)
        figures: Figures = defaultdict(lambda: figure(0.5))
        for where, repairs in collected_grid(runs).items():
            for place in (where, where.clean()):
                for repair in (None, *repairs):
                    for role in (None, *ROLES):
                        for metric in ("ASR", "PBA", "CBA"):
                            quantity = Quantity(place, repair, role, metric)
                            figures[quantity] = figure(0.5, runs=f"{place}-{repair}")
        measured = Found(study, preset, "paper", runs, dict(figures), collected_grid(runs))
        found = judge(measured, ORDERINGS, study.claims)
        assert [verdict.missing for verdict in found] == [()] * len(found)
        assert {v.number for v in found if v.evidence} == set(study.claims)


@pytest.mark.parametrize("number", ORDERINGS)
def test_without_figures_nothing_is_judged(number: int) -> None:
    found = verdicts(number, {})
    assert {verdict.verdict for verdict in found} == {"not measured"}
    assert all(verdict.evidence == () for verdict in found)
    assert len(found) == len(ORDERINGS[number].tests) * len(ORDERINGS[number].parts)


def test_a_place_where_the_study_has_not_all_methods_is_not_judged() -> None:
    figures = three_methods(0.6, 0.8, 0.7)
    asr(figures, point("baseline", 0.2), 0.9)
    asr(figures, point("nni", 0.2), 0.1)
    assert outcomes(1, figures) == {"holds"}


def test_both_exams_are_judged_for_themselves_and_named() -> None:
    figures = three_methods(0.6, 0.8, 0.7)
    figures[Quantity(point("nni"), None, "near", "ASR")] = figure(0.5)
    told = {verdict.judged_on: verdict.verdict for verdict in verdicts(1, figures)}
    assert told == {"anywhere near": "fails", "nearest position": "holds"}


def test_evidence_tells_figures_intervals_and_runs() -> None:
    figures: Figures = {}
    for method, values in (("baseline", (0.5, 0.7)), ("nni", (0.8, 0.9)), ("prl", (0.6, 0.8))):
        asr(figures, point(method), *values)
    first = noisy_verdicts(1, figures)[0].evidence[0]
    assert "0.8500 [0.215, 1.000] > " in first.statement
    assert "0.7000" in first.statement
    assert first.difference is not None
    assert first.difference.mean == pytest.approx(0.15)
    assert first.difference.low == pytest.approx(0.15 - 12.7062 * 0.05)
    assert (first.difference.num_seeds, first.over_scenes) == (2, False)
    assert [run.partition("-")[0] for run in first.runs] == ["nni", "nni", "prl", "prl"]
    assert figure(0.5).spread.low is None


def test_evidence_names_what_varies_in_the_papers_units_and_as_it_was_here() -> None:
    scaled = {"trigger 15": "5 px", "trigger 30": "10 px", "Q 10 by number": "10 of ours"}
    evidence = verdicts(7, over("trigger", {15: 0.5, 30: 0.9, 55: 0.6}), scaled=scaled)[0].evidence
    assert [found.statement for found in evidence] == [
        (
            "ASR of baseline, 10%, trigger 30 (here 10 px), near: 0.9000 > "
            "ASR of baseline, 10%, trigger 15 (here 5 px), near: 0.5000"
        ),
        (
            "ASR of baseline, 10%, trigger 30 (here 10 px), near: 0.9000 > "
            "ASR of baseline, 10%, trigger 55, near: 0.6000"
        ),
    ]
    of_q = verdicts(8, over("q", {10: 0.5, 100: 0.9}, "prl"), scaled=scaled)[0].evidence
    assert [found.statement for found in of_q] == [
        (
            "ASR of PRL, 10%, Q 100, near: 0.9000 > ASR of PRL, 10%, Q 10 (here 10 of ours), near: "
            "0.5000"
        )
    ]


def test_verdicts_far_away_name_their_band_as_it_was_here() -> None:
    found = verdicts(2, far(0.6, 0.5, 0.4, 0.57), scaled={"distance 60-90": "21.1-31.6 px"})
    assert [verdict.judged_on for verdict in found] == [
        "first far band, 60-90 (here 21.1-31.6 px)", "second far band, 90-120",
    ]  # fmt: skip
    assert found[0].evidence[-1].statement == (
        "ASR of PRL, 10%, 60-90 (here 21.1-31.6 px): 0.5700 at most 0.05 below "
        "ASR of PRL, 10%, near: 0.6000"
    )


def test_a_verdict_tells_the_q_that_was_run_for_the_papers() -> None:
    figures = three_methods(0.6, 0.8, 0.7)
    asr(figures, point("prl", q_as="area"), 0.9)
    found = verdicts(
        1, figures, countings=("area", "number"), scaled={"Q 100 by area": "8"}
    )  # fmt: skip
    assert [verdict.judged_on for verdict in found] == [
        "anywhere near, Q scaled by area, 100 (here 8)",
        "anywhere near, Q as the paper's number",
        "nearest position, Q scaled by area, 100 (here 8)",
        "nearest position, Q as the paper's number",
    ]


def test_only_seeds_that_both_have_are_compared() -> None:
    figures = three_methods(0.6, 0.8, 0.7)
    # On the seed that all have it holds; the second seed alone would turn it round.
    asr(figures, point("prl"), 0.7, 1.0)
    assert outcomes(1, figures) == {"holds"}


def test_all_methods_are_compared_on_the_seeds_that_all_have() -> None:
    """NNI stands with one mean in every comparison, whichever method lacks a seed."""
    figures: Figures = {}
    asr(figures, point("baseline"), 0.4, 0.4, 0.4)
    asr(figures, point("nni"), 0.5, 0.5, 0.99)
    asr(figures, point("prl"), 0.45, 0.45)
    near = verdicts(1, figures)[0]
    assert [found.statement.count("NNI, 10%, near: 0.5000") for found in near.evidence] == [1, 0, 1]
    # The best of several sizes, too: on the seed that all have the curve rises to its end.
    sizes: Figures = {}
    for size, values in ((15, (0.1, 0.1)), (55, (0.5, 0.99)), (105, (0.6,))):
        asr(sizes, point(trigger=size), *values)
    assert outcomes(7, sizes) == {"fails"}


def test_without_a_seed_that_all_have_nothing_is_measured() -> None:
    figures = three_methods(0.6, 0.8, 0.7)
    for role in ROLES:
        figures[Quantity(point("prl"), None, role, "ASR")] = SeedFigures({5: 0.7}, {5: "prl-s5"})
    assert outcomes(1, figures) == {"not measured"}


def test_each_way_of_counting_q_is_judged_if_it_was_measured() -> None:
    figures = three_methods(0.6, 0.8, 0.7)
    assert [v.judged_on for v in verdicts(1, figures, countings=("area", "number"))] == [
        "anywhere near", "nearest position",
    ]  # fmt: skip
    asr(figures, point("prl", q_as="area"), 0.5)
    told = {v.judged_on: v.verdict for v in verdicts(1, figures, countings=("area", "number"))}
    assert told == {
        "anywhere near, Q scaled by area": "fails",
        "anywhere near, Q as the paper's number": "holds",
        "nearest position, Q scaled by area": "fails",
        "nearest position, Q as the paper's number": "holds",
    }


def own_numbers() -> list[tuple[int, str, str, str]]:
    """Return the table of docs/claims.md on the paper's own numbers."""
    text = (Path(__file__).parents[3] / "docs/claims.md").read_text().split("<!-- own -->")[1]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [(int(row[0]), *row[1:4]) for row in rows if row[0].isdecimal()]


def test_the_docs_tell_of_every_ordering() -> None:
    assert [row[0] for row in own_numbers()] == list(ORDERINGS)


class TestPaper:
    """The paper's own numbers: where it contradicts what it claims, the orderings say so."""

    @staticmethod
    def figures(*tables: str, data: str, doubted: bool = True) -> Figures:
        figures: Figures = {}
        for claim, doubt in load_claims():
            if claim.table in tables and claim.dataset == data and (doubted or not doubt):
                prl = "prl" in claim.method
                q = {"q": 100 if prl else None, "q_as": "number" if prl else None}
                where = claim._place().model_copy(update=q)
                for role in claim.roles:
                    quantity = Quantity(where, claim.repair, role, claim.metric)
                    figures[quantity] = figure(claim.value, runs=f"{where}-")
        return figures

    def failing(self, number: int, data: str, *tables: str, **more: bool) -> list[str]:
        verdict = verdicts(number, self.figures(*tables, data=data, **more), data=data)
        statements = [e.statement for v in verdict for e in v.evidence if not e.holds]
        return sorted(set(statements))

    def test_near_fails_on_voc_and_prl_is_below_the_baseline_in_4_of_20_cells(self) -> None:
        city, voc = (self.failing(1, data, "1") for data in ("cityscapes", "voc"))
        below = [
            s
            for s in city + voc
            if "PRL" in s and ">= ASR of baseline" in s and s.count("near:") == 2
        ]
        assert len(below) == 4
        nni = [s for s in city + voc if s.startswith("ASR of NNI") and "near:" in s]
        assert len(nni) == 1
        assert "NNI, 4%, pspnet, near:" in nni[0]
        assert all("pspnet" in statement for statement in city + voc)

    def test_far_fails_in_cells_of_its_own(self) -> None:
        """VOC: PRL is below the baseline twice, NNI above it twice, and once above PRL."""
        city, voc = (self.failing(2, data, "6") for data in ("cityscapes", "voc"))
        assert city == []
        assert len(voc) == 5

    def test_the_others_hold_on_the_tables_they_come_from(self) -> None:
        """But for doubted cells."""
        for number, tables in (
            (3, "1"),
            (3, "3"),
            (4, "3"),
            (4, "7"),
            (6, "12"),
            (7, "9"),
            (9, "7"),
            (9, "8"),
        ):
            more = (tables, "3") if number == 4 else (tables,)
            assert self.failing(number, "cityscapes", *more, doubted=False) == [], number
        assert self.failing(3, "voc", "1") == []
        assert self.failing(7, "voc", "10") == []
        assert self.failing(5, "cityscapes", "5") == []
        assert self.failing(10, "cityscapes", "2", "11") == []
        assert self.failing(11, "cityscapes", "4") == []

    def test_pruning_leaves_the_order_of_the_methods(self) -> None:
        for table in ("5", "12"):
            assert self.failing(12, "cityscapes", table) == []
            found = verdicts(12, self.figures(table, data="cityscapes"))
            assert [verdict.verdict for verdict in found] == ["holds", "holds"]
            # Two comparisons at each number of channels: 5, 15, 30 and in Table 12 also 1, 20.
            assert {len(verdict.evidence) for verdict in found} == {6 if table == "5" else 10}

    def test_accuracies_do_not_fall_at_every_step_of_table_9(self) -> None:
        """PBA rises from 80 to 95 pixels, CBA from 25 to 30."""
        assert [
            [word for word in statement.split() if word.startswith("0.")]
            for statement in self.failing(13, "cityscapes", "9")
            if ", near:" in statement or "CBA" in statement
        ] == [["0.7231", "0.7240"], ["0.7002", "0.7013"]]
        assert {
            verdict.verdict for verdict in verdicts(13, self.figures("10", data="voc"), data="voc")
        } == {"holds"}

    def test_several_victims_cost_more_than_single_ones(self) -> None:
        found = verdicts(15, self.figures("4", data="cityscapes"))
        assert {(v.verdict, len(v.evidence)) for v in found} == {("holds", 2 * (2 + 3))}

    def test_no_table_tells_accuracies_over_q(self) -> None:
        assert {claim.table for claim, _ in load_claims()} == {str(n) for n in range(1, 13)}
        tables = [str(number) for number in range(1, 13)]
        found = verdicts(14, self.figures(*tables, data="cityscapes"))
        assert {(v.verdict, v.evidence) for v in found} == {("not measured", ())}

    @pytest.mark.parametrize(("number", "tables", "cityscapes", "voc"), own_numbers())
    def test_the_docs_tell_which_orderings_its_own_numbers_pass(
        self, number: int, tables: str, cityscapes: str, voc: str
    ) -> None:
        """With doubted cells as printed; the two tests nearby are one in the paper."""
        listed = tables.split(", ")
        for data, told in (("cityscapes", cityscapes), ("voc", voc)):
            figures = self.figures(*listed, data=data)
            found = [
                v for v in verdicts(number, figures, data=data) if "nearest" not in v.judged_on
            ]
            made = [e.holds for v in found for e in v.evidence]
            if not made:
                assert told == ("not in the tables" if tables == "none" else "–")
                continue
            assert [v.missing for v in found] == [()] * len(found)
            outcome = "holds" if all(made) else "**fails**"
            assert told == f"{outcome} ({sum(made)} of {len(made)})"

    def test_rising_with_the_rate_fails_on_a_doubted_cell(self) -> None:
        fallen = self.failing(3, "cityscapes", "3")
        assert any("0.9020" in statement for statement in fallen)


def test_runs_are_not_compared_with_themselves() -> None:
    """Q 10 and Q 100 both come to one pixel on small scenes."""
    figures: Figures = {}
    for q in (10, 100):
        for role in ROLES:
            figures[Quantity(point("prl", q=q), None, role, "ASR")] = figure(0.4, 0.5)
    assert outcomes(8, figures) == {"not measured"}
    # Other runs with equal figures are evidence.
    for role in ROLES:
        figures[Quantity(point("prl", q=10), None, role, "ASR")].keys[0] = "another"
    assert outcomes(8, figures) == {"fails"}


@pytest.mark.parametrize(
    ("level", "expected"), [(0.0, "not measured"), (0.05, "not measured"), (0.06, "holds")]
)
def test_figures_are_not_alike_for_the_reason_that_no_attack_worked(
    level: float, expected: str
) -> None:
    rules: Figures = {}
    for where in (point(), point(single_class=False), point(on_victim="require")):
        asr(rules, where, level)
    several: Figures = {}
    for names in ("car", "person", "car+person"):
        asr(several, point(victims=names), level)
    for number, figures in ((9, rules), (11, several)):
        assert outcomes(number, figures) == {expected}
        if expected == "not measured":
            lacking = {words for verdict in verdicts(number, figures) for words in verdict.missing}
            assert all("no attack worked" in words for words in lacking)


def test_one_attack_that_worked_is_compared_with_one_that_did_not() -> None:
    figures: Figures = {}
    asr(figures, point(), 0.8)
    asr(figures, point(single_class=False), 0.01)
    assert outcomes(9, figures) == {"fails", "not measured"}

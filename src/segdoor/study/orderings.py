"""The eleven orderings that the paper claims, as comparisons that are free to fail.

The statements and the rule of judgement are explained in docs/claims.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from segdoor.record import AxisValue
from segdoor.study.claims import Metric, Role
from segdoor.study.comparing import (
    Comparison,
    Missing,
    Named,
    above,
    at_least,
    on_common_seeds,
    similar,
)
from segdoor.study.expand import Point
from segdoor.study.results import Measured, Results

# Deviation 14: the paper says "nearly", "little" and "about" without numbers; these are ours.
ALIKE = 0.05
"""Two attack success rates that differ by no more are alike."""
ALIKE_ACCURACY = 0.02
"""Two accuracies that differ by no more are alike: the paper's own measure."""

_FAR: tuple[Role, Role] = ("far1", "far2")
_ALONE = ("baseline", "nni", "prl")
_USUAL_RULES: dict[str, AxisValue] = {"single_class": True, "on_victim": "forbid"}
Comparing = Callable[[Results, Role], Iterator[Comparison]]


@dataclass(frozen=True)
class Ordering:
    """What the paper claims, and how it is compared.

    Attributes:
        statement: The claim in words.
        exams: The poisoned tests that it is judged on, each for itself.
        parts: What yields every comparison that the claim needs, by the name of the part of the
            claim; parts are judged each for itself, and a claim of one part has it without a name.
    """

    statement: str
    exams: tuple[Role, ...]
    parts: Mapping[str, Comparing]


def _near(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places_of(*_ALONE):
        baseline, nni, prl = on_common_seeds(*_three(results, place, role))
        yield above(nni, prl)
        yield at_least(prl, baseline)
        yield above(nni, baseline)


def _far(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places_of(*_ALONE):
        near = _asr(results, place, "near", "prl")
        baseline, nni, prl, near = on_common_seeds(*_three(results, place, role), near)
        yield above(prl, baseline)
        yield above(baseline, nni)
        yield above(prl, nni)
        yield at_least(prl, near, margin=ALIKE)


def _rises_with_rate(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places("rate"):
        rates = (_named(results, point, role) for point in results.along(place, "rate"))
        for lower, higher in pairwise(on_common_seeds(*rates)):
            yield above(higher, lower)


def _accuracy_stays(results: Results, role: Role) -> Iterator[Comparison]:
    pairs: tuple[tuple[Metric, Role | None], ...] = (("CBA", None), ("PBA", role))
    for point in results.places():
        for metric, exam in pairs:
            clean = Named(f"{metric} of the clean model", results.clean(point, exam, metric))
            yield similar(_named(results, point, exam, metric), clean, margin=ALIKE_ACCURACY)


def _after_fine_tuning(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places_of(*_ALONE):
        points = [results.moved(place, method=method) for method in _ALONE]
        if not any(_repairs(results, point, "finetune") for point in points):
            continue
        for repair in ("finetune:0.05", "finetune:0.1"):
            baseline, nni, prl = on_common_seeds(*_three(results, place, role, repair))
            yield above(nni, prl)
            yield above(prl, baseline)


def _after_pruning(results: Results, role: Role) -> Iterator[Comparison]:
    for point in results.places():
        prunings = _repairs(results, point, "prune")
        if not prunings:
            continue
        benign, pruned, before, *after = on_common_seeds(
            _named(results, point, None, "CBA"),
            _named(results, point, None, "CBA", prunings[-1]),
            _named(results, point, role),
            *(_named(results, point, role, "ASR", repair) for repair in prunings),
        )
        yield above(benign, pruned, margin=ALIKE_ACCURACY)
        if before.measured.values and before.mean <= ALIKE:
            yield Missing(f"{before.name}, above {ALIKE:g}: a lower one cannot fall")
            continue
        for repaired in after:
            yield at_least(repaired, before, margin=ALIKE)


def _size_has_a_best(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places("trigger"):
        points = results.along(place, "trigger")
        sizes = on_common_seeds(*(_named(results, point, role) for point in points))
        if len(sizes) < 3:
            continue
        lacking = [Missing(size.name) for size in sizes if not size.measured.values]
        if lacking:
            yield from lacking
            continue
        best = max(range(1, len(sizes) - 1), key=lambda place: sizes[place].mean)
        yield above(sizes[best], sizes[0])
        yield above(sizes[best], sizes[-1])
        yield from _never_falls(sizes[:best])
        yield from _never_falls(sizes[:best:-1])


def _number_has_a_best(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places("q"):
        if place.q is None:
            continue
        numbers = sorted({100, 50_000, *(point.q or 0 for point in results.along(place, "q"))})
        points = (place.model_copy(update={"q": number}) for number in numbers)
        figures = on_common_seeds(*(_named(results, point, role) for point in points))
        usual = numbers.index(100)
        if usual == 0:
            yield Missing(f"Q below 100 beside {figures[usual].name}")
        for lower, higher in pairwise(figures[: usual + 1]):
            yield above(higher, lower)
        if results.stands_for == "cityscapes":
            for larger in figures[usual + 1 : numbers.index(50_000) + 1]:
                yield similar(larger, figures[usual], margin=ALIKE)
            continue
        for number, larger in zip(numbers[usual + 1 :], figures[usual + 1 :], strict=True):
            compare = above if number == 50_000 else at_least
            yield compare(figures[usual], larger)
        yield from _never_falls(figures[:usual:-1])


def _rule_matters_little(axis: str, *, changed: AxisValue) -> Comparing:
    def compare(results: Results, role: Role) -> Iterator[Comparison]:
        for point in results.places():
            if getattr(point, axis) == changed:
                beside = point.model_copy(update={axis: _USUAL_RULES[axis]})
                pair = (_named(results, place, role) for place in (point, beside))
                yield similar(*pair, margin=ALIKE)

    return compare


def _both_at_once(results: Results, role: Role) -> Iterator[Comparison]:
    for place in results.places_of(*_ALONE, "nni+prl"):
        both, *others = on_common_seeds(
            _asr(results, place, role, "nni+prl"),
            *_three(results, place, role),
            *(_asr(results, place, far, "nni+prl") for far in _FAR),
            *(_asr(results, place, far, "nni") for far in _FAR),
        )
        for alone in others[:3]:
            yield above(both, alone)
        for far_both, far_nni in zip(others[3:5], others[5:], strict=True):
            yield similar(far_both, far_nni, margin=ALIKE)


def _near_the_mean(results: Results, role: Role) -> Iterator[Comparison]:
    for point in results.places():
        victims = point.victims.split("+")
        if len(victims) < 2:
            continue
        points = (results.moved(point, victims=name) for name in victims)
        together, *singles = on_common_seeds(
            _named(results, point, role), *(_named(results, single, role) for single in points)
        )
        lacking = [Missing(single.name) for single in singles if not single.measured.values]
        if lacking:
            yield from lacking
            continue
        values = {
            seed: statistics.fmean(single.measured.values[seed] for single in singles)
            for seed in singles[0].measured.values
        }
        mean = Named(f"mean of {', '.join(victims)}", Measured(values))
        yield similar(together, mean, margin=ALIKE)


def _never_falls(figures: Sequence[Named]) -> Iterator[Comparison]:
    """Yield whether each figure is at least the highest before it, but for what is alike."""
    known = [figure for figure in figures if figure.measured.values]
    for place in range(1, len(known)):
        highest = max(known[:place], key=lambda figure: figure.mean)
        yield at_least(known[place], highest, margin=ALIKE)


def _repairs(results: Results, point: Point, kind: str) -> list[str]:
    """Return the repairs of a kind that the study asks for at a point, in rising order."""
    asked = [repair for repair in results.grid[point] if repair.startswith(f"{kind}:")]
    return sorted(asked, key=lambda repair: float(repair.partition(":")[2]))


def _three(
    results: Results, place: Point, role: Role, repair: str | None = None
) -> tuple[Named, Named, Named]:
    """Return baseline, NNI and PRL."""
    baseline, nni, prl = (_asr(results, place, role, method, repair) for method in _ALONE)
    return baseline, nni, prl


def _asr(
    results: Results, place: Point, role: Role, method: str, repair: str | None = None
) -> Named:
    return _named(results, results.moved(place, method=method), role, "ASR", repair)


def _named(
    results: Results,
    point: Point,
    role: Role | None,
    metric: Metric = "ASR",
    repair: str | None = None,
) -> Named:
    measured = results.get(point, role, metric, repair)
    words = [*_told(results, point), *([repair] if repair else [])]
    # Triggers that must lie on victims have one test alone, whatever it is compared with.
    if role is not None and point.on_victim != "require":
        words.append(results.band(role) if role in _FAR else role)
    return Named(f"{metric} of {', '.join(words)}", measured, (metric, role, repair))


def _told(results: Results, point: Point) -> Iterator[str]:
    """Yield what a point is, but for what it has in common with all points."""
    yield point.method.upper() if point.method != "baseline" else "baseline"
    yield f"{100 * point.rate:.3g}%"
    if "network" in results.varied:
        yield results.told("network", point.network)
    if results.varied & {"victims", "target"}:
        yield f"{point.victims} to {point.target}"
    if "trigger" in results.varied:
        yield f"trigger {results.told('trigger', point.trigger)}"
    if point.q is not None and "q" in results.varied:
        yield f"Q {results.told('q', point.q)}"
    if not point.single_class:
        yield "on several classes"
    if point.on_victim != "forbid":
        yield "on victims" if point.on_victim == "require" else "victims allowed under the trigger"


_TESTS: tuple[Role, ...] = ("near", "nearest")
ORDERINGS: dict[int, Ordering] = {
    1: Ordering("Near the victims: NNI > PRL >= baseline", _TESTS, {"": _near}),
    2: Ordering(
        "Far from the victims: PRL > baseline > NNI, and PRL loses little with distance",
        _FAR,
        {"": _far},
    ),
    3: Ordering("ASR rises with the poisoning rate", _TESTS, {"": _rises_with_rate}),
    4: Ordering("CBA and PBA stay within 0.02 of the clean model's", _TESTS, {"": _accuracy_stays}),
    5: Ordering(
        "After fine-tuning on 5 and 10 %: NNI > PRL > baseline", _TESTS, {"": _after_fine_tuning}
    ),
    6: Ordering("Pruning: ASR holds while CBA falls", _TESTS, {"": _after_pruning}),
    7: Ordering("ASR over the trigger's size is an inverted U", _TESTS, {"": _size_has_a_best}),
    8: Ordering(
        "ASR rises with Q to about 100; then flat on Cityscapes to 50 000, falling on VOC",
        _TESTS,
        {"": _number_has_a_best},
    ),
    9: Ordering(
        "Several classes or victim pixels under the trigger change little",
        _TESTS,
        {
            "trigger on several classes": _rule_matters_little("single_class", changed=False),
            "trigger on victims": _rule_matters_little("on_victim", changed="require"),
        },
    ),
    10: Ordering(
        "NNI+PRL: best near the victims, as poor as NNI far away", _TESTS, {"": _both_at_once}
    ),
    11: Ordering(
        "Several victim classes: ASR near the mean of the single ones", _TESTS, {"": _near_the_mean}
    ),
}
"""The orderings by their number in docs/claims.md."""

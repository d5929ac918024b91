"""The eleven orderings that the paper claims, as comparisons that are free to fail.

The statements and the rule of judgement are explained in docs/claims.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from segdoor.record import Evidence
from segdoor.study.claims import Metric, Role
from segdoor.study.comparing import Named, above, at_least, similar
from segdoor.study.expand import Point
from segdoor.study.results import Measured, Results

# Deviation 14: the paper says "nearly", "little" and "about" without numbers; these are ours.
ALIKE = 0.05
"""Two attack success rates that differ by no more are alike."""
ALIKE_ACCURACY = 0.02
"""Two accuracies that differ by no more are alike: the paper's own measure."""

_FAR: tuple[Role, Role] = ("far1", "far2")
Comparing = Callable[[Results, Role], Iterator[Evidence | None]]


@dataclass(frozen=True)
class Ordering:
    """What the paper claims, and how it is compared.

    Attributes:
        statement: The claim in words.
        exams: The poisoned tests that it is judged on, each for itself.
        compare: Yields every comparison; None where a figure is missing.
    """

    statement: str
    exams: tuple[Role, ...]
    compare: Comparing


def _near(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("method"):
        three = _three(results, place, role)
        if three is not None:
            baseline, nni, prl = three
            yield above(nni, prl)
            yield at_least(prl, baseline)
            yield above(nni, baseline)


def _far(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("method"):
        three = _three(results, place, role)
        if three is not None:
            baseline, nni, prl = three
            yield above(prl, baseline)
            yield above(baseline, nni)
            yield above(prl, nni)
            yield at_least(prl, _asr(results, place, "near", "prl"), margin=ALIKE)


def _rises_with_rate(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("rate"):
        for lower, higher in pairwise(results.along(place, "rate")):
            yield above(_named(results, higher, role), _named(results, lower, role))


def _accuracy_stays(results: Results, role: Role) -> Iterator[Evidence | None]:
    for point in results.places():
        pairs: tuple[tuple[Metric, Role | None], ...] = (("CBA", None), ("PBA", role))
        for metric, exam in pairs:
            clean = results.clean(point, exam, metric)
            yield similar(
                _named(results, point, exam, metric),
                Named(f"{metric} of the clean model:", clean) if clean else None,
                margin=ALIKE_ACCURACY,
            )


def _after_fine_tuning(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("method"):
        for repair in ("finetune:0.05", "finetune:0.1"):
            three = _three(results, place, role, repair)
            if three is not None:
                baseline, nni, prl = three
                yield above(nni, prl)
                yield above(prl, baseline)


def _after_pruning(results: Results, role: Role) -> Iterator[Evidence | None]:
    prunings = {
        q.repair for q in results.figures if q.repair is not None and q.repair.startswith("prune:")
    }
    ordered = sorted(prunings, key=lambda repair: int(repair.partition(":")[2]))
    for point in results.places():
        before = _named(results, point, role)
        for repair in ordered:
            yield at_least(_named(results, point, role, "ASR", repair), before, margin=ALIKE)
        for repair in ordered[-1:]:
            after = _named(results, point, None, "CBA", repair)
            yield above(_named(results, point, None, "CBA"), after)


def _size_has_a_best(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("trigger"):
        sizes = [_named(results, point, role) for point in results.along(place, "trigger")]
        found = [size for size in sizes if size is not None]
        if len(found) < 3:
            continue
        best = max(found[1:-1], key=lambda size: size.measured.mean)
        yield above(best, found[0])
        yield above(best, found[-1])


def _number_matters_little(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("q"):
        if place.q is None:
            continue
        points = results.along(place, "q")
        usual = _named(results, place.model_copy(update={"q": 100}), role)
        for point in points:
            measured = _named(results, point, role)
            if point.q is not None and point.q < 100:
                yield above(usual, measured)
            elif results.stands_for == "cityscapes" and point.q in range(101, 50_001):
                yield similar(measured, usual, margin=ALIKE)
            elif results.stands_for == "voc" and point.q == 50_000:
                yield above(usual, measured)


def _rules_matter_little(results: Results, role: Role) -> Iterator[Evidence | None]:
    changes: tuple[tuple[str, bool], ...] = (("single_class", False), ("on_victim", True))
    for axis, changed in changes:
        for point in results.places():
            if getattr(point, axis) is not changed:
                continue
            usual = point.model_copy(update={axis: not changed})
            yield similar(_named(results, point, role), _named(results, usual, role), margin=ALIKE)


def _both_at_once(results: Results, role: Role) -> Iterator[Evidence | None]:
    for place in results.places("method"):
        both, three = _asr(results, place, role, "nni+prl"), _three(results, place, role)
        if both is None or three is None:
            continue
        for alone in three:
            yield above(both, alone)
        for far in _FAR:
            nni, far_both = (_asr(results, place, far, m) for m in ("nni", "nni+prl"))
            yield at_least(nni, far_both, margin=ALIKE)


def _near_the_mean(results: Results, role: Role) -> Iterator[Evidence | None]:
    for point in results.places():
        victims = point.victims.split("+")
        if len(victims) < 2:
            continue
        singles = [results.get(results.moved(point, victims=name), role) for name in victims]
        known = [single for single in singles if single is not None]
        if len(known) < len(victims):
            yield None
            continue
        seeds = set.intersection(*(set(single.values) for single in known))
        values = {seed: statistics.fmean(s.values[seed] for s in known) for seed in seeds}
        mean = Named(f"mean of {', '.join(victims)}:", Measured(values)) if values else None
        yield similar(_named(results, point, role), mean, margin=ALIKE)


def _three(
    results: Results, place: Point, role: Role, repair: str | None = None
) -> tuple[Named, Named, Named] | None:
    """Return baseline, NNI and PRL; None unless all were measured."""
    baseline = _asr(results, place, role, "baseline", repair)
    nni = _asr(results, place, role, "nni", repair)
    prl = _asr(results, place, role, "prl", repair)
    if baseline is None or nni is None or prl is None:
        return None
    return baseline, nni, prl


def _asr(
    results: Results, place: Point, role: Role, method: str, repair: str | None = None
) -> Named | None:
    return _named(results, results.moved(place, method=method), role, "ASR", repair)


def _named(
    results: Results,
    point: Point,
    role: Role | None,
    metric: Metric = "ASR",
    repair: str | None = None,
) -> Named | None:
    measured = results.get(point, role, metric, repair)
    if measured is None:
        return None
    words = [*_told(results, point), *([repair] if repair else [])]
    if role is not None:
        words.append(results.band(role) if role in _FAR else role)
    return Named(f"{metric} of {', '.join(words)}:", measured, (metric, role, repair))


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
    if point.on_victim:
        yield "on victims"


_TESTS: tuple[Role, ...] = ("near", "nearest")
ORDERINGS: dict[int, Ordering] = {
    1: Ordering("Near the victims: NNI > PRL >= baseline", _TESTS, _near),
    2: Ordering(
        "Far from the victims: PRL > baseline > NNI, and PRL loses little with distance",
        _FAR,
        _far,
    ),
    3: Ordering("ASR rises with the poisoning rate", _TESTS, _rises_with_rate),
    4: Ordering("CBA and PBA stay within 0.02 of the clean model's", _TESTS, _accuracy_stays),
    5: Ordering(
        "After fine-tuning on 5 and 10 %: NNI > PRL > baseline", _TESTS, _after_fine_tuning
    ),
    6: Ordering("Pruning: ASR holds while CBA falls", _TESTS, _after_pruning),
    7: Ordering("ASR over the trigger's size is an inverted U", _TESTS, _size_has_a_best),
    8: Ordering(
        "ASR rises with Q to about 100; then flat on Cityscapes to 50 000, falling on VOC",
        _TESTS,
        _number_matters_little,
    ),
    9: Ordering(
        "Several classes or victim pixels under the trigger change little",
        _TESTS,
        _rules_matter_little,
    ),
    10: Ordering("NNI+PRL: best near the victims, as poor as NNI far away", _TESTS, _both_at_once),
    11: Ordering(
        "Several victim classes: ASR near the mean of the single ones", _TESTS, _near_the_mean
    ),
}
"""The orderings by their number in docs/claims.md."""

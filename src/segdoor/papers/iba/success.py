"""What the paper claims about the attack's success."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from segdoor.papers.iba.claims import Role
from segdoor.papers.iba.naming import ALIKE, ALONE, FAR, Comparing, asr, named, three_methods
from segdoor.papers.iba.results import Results
from segdoor.record import AxisValue
from segdoor.study.comparing import (
    Comparison,
    Missing,
    Named,
    above,
    at_least,
    on_common_seeds,
    similar,
)
from segdoor.study.figures import mean_of_figures

_USUAL_RULES: dict[str, AxisValue] = {"single_class": True, "on_victim": "forbid"}


def near(results: Results, role: Role) -> Iterator[Comparison]:
    """Near the victims NNI > PRL >= baseline."""
    for place in results.places_of(*ALONE):
        baseline, nni, prl = on_common_seeds(*three_methods(results, place, role))
        yield above(nni, prl)
        yield at_least(prl, baseline)
        yield above(nni, baseline)


def far(results: Results, role: Role) -> Iterator[Comparison]:
    """Far away PRL > baseline > NNI, and PRL loses little with distance."""
    for place in results.places_of(*ALONE):
        near = asr(results, place, "near", "prl")
        baseline, nni, prl, near = on_common_seeds(*three_methods(results, place, role), near)
        yield above(prl, baseline)
        yield above(baseline, nni)
        yield above(prl, nni)
        yield at_least(prl, near, margin=ALIKE)


def rises_with_rate(results: Results, role: Role) -> Iterator[Comparison]:
    """ASR rises with every step of the rate."""
    for place in results.places("rate"):
        rates = (named(results, point, role) for point in results.along(place, "rate"))
        for lower, higher in pairwise(on_common_seeds(*rates)):
            yield above(higher, lower)


def size_has_a_best(results: Results, role: Role) -> Iterator[Comparison]:
    """ASR over the trigger's size rises to a best one, and falls from there."""
    for place in results.places("trigger"):
        points = results.along(place, "trigger")
        sizes = on_common_seeds(*(named(results, point, role) for point in points))
        if len(sizes) < 3:
            continue
        lacking = [Missing(size.name) for size in sizes if not size.measured.values]
        if lacking:
            yield from lacking
            continue
        best = max(range(1, len(sizes) - 1), key=lambda place: sizes[place].mean)
        yield above(sizes[best], sizes[0])
        yield above(sizes[best], sizes[-1])
        yield from never_falls(sizes[:best])
        yield from never_falls(sizes[:best:-1])


def number_has_a_best(results: Results, role: Role) -> Iterator[Comparison]:
    """ASR rises with Q to 100; then it is flat on Cityscapes, and falls on VOC."""
    for place in results.places("q"):
        if place.q is None:
            continue
        numbers = sorted({100, 50_000, *(point.q or 0 for point in results.along(place, "q"))})
        points = (place.model_copy(update={"q": number}) for number in numbers)
        figures = on_common_seeds(*(named(results, point, role) for point in points))
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
        yield from never_falls(figures[:usual:-1])


def rule_matters_little(axis: str, *, changed: AxisValue) -> Comparing:
    """Return comparisons of ASR with and without a placement rule, which changes little."""

    def compare(results: Results, role: Role) -> Iterator[Comparison]:
        for point in results.places():
            if getattr(point, axis) == changed:
                beside = point.model_copy(update={axis: _USUAL_RULES[axis]})
                pair = [named(results, place, role) for place in (point, beside)]
                yield _worked(pair) or similar(*pair, margin=ALIKE)

    return compare


def _worked(figures: Sequence[Named]) -> Missing | None:
    """Return what is missing if no attack worked: figures near 0 are alike whatever is true."""
    known = [figure for figure in figures if figure.measured.values]
    if len(known) < len(figures) or any(figure.mean > ALIKE for figure in figures):
        return None
    return Missing(f"{figures[0].name}, above {ALIKE:g}: no attack worked")


def both_at_once(results: Results, role: Role) -> Iterator[Comparison]:
    """NNI+PRL is the best near the victims, and like NNI far away."""
    for place in results.places_of(*ALONE, "nni+prl"):
        both, *others = on_common_seeds(
            asr(results, place, role, "nni+prl"),
            *three_methods(results, place, role),
            *(asr(results, place, far, "nni+prl") for far in FAR),
            *(asr(results, place, far, "nni") for far in FAR),
        )
        for alone in others[:3]:
            yield above(both, alone)
        for far_both, far_nni in zip(others[3:5], others[5:], strict=True):
            yield similar(far_both, far_nni, margin=ALIKE)


def near_the_mean(results: Results, role: Role) -> Iterator[Comparison]:
    """Several victim classes have about the mean ASR of the single ones."""
    for point in results.places():
        victims = point.victims.split("+")
        if len(victims) < 2:
            continue
        points = (results.moved(point, victims=name) for name in victims)
        together, *singles = on_common_seeds(
            named(results, point, role), *(named(results, single, role) for single in points)
        )
        lacking = [Missing(single.name) for single in singles if not single.measured.values]
        if lacking:
            yield from lacking
            continue
        mean = Named(
            f"mean of {', '.join(victims)}",
            mean_of_figures([single.measured for single in singles]),
        )
        yield _worked([together, mean]) or similar(together, mean, margin=ALIKE)


def never_falls(figures: Sequence[Named]) -> Iterator[Comparison]:
    """Yield whether each figure is at least the highest before it, within the margin."""
    known = [figure for figure in figures if figure.measured.values]
    for place in range(1, len(known)):
        highest = max(known[:place], key=lambda figure: figure.mean)
        yield at_least(known[place], highest, margin=ALIKE)

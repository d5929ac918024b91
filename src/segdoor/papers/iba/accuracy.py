"""What the paper claims about PBA and CBA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from segdoor.papers.iba.claims import Role
from segdoor.papers.iba.naming import ALIKE_ACCURACY, named
from segdoor.papers.iba.results import Results
from segdoor.papers.iba.units import Point
from segdoor.study.comparing import Comparison, Missing, Named, above, on_common_seeds, similar
from segdoor.study.figures import Metric

_STABLE_TO, _WORSE_BY = 10_000, 50_000
"""Q to which accuracies are stable, and the paper's next larger one."""


def accuracy_stays(results: Results, role: Role) -> Iterator[Comparison]:
    """CBA and PBA are those of the clean model, or nearly so."""
    pairs: tuple[tuple[Metric, Role | None], ...] = (("CBA", None), ("PBA", role))
    for point in results.places():
        for metric, test in pairs:
            clean = Named(f"{metric} of the clean model", results.clean(point, test, metric))
            yield similar(named(results, point, test, metric), clean, margin=ALIKE_ACCURACY)


def falls_with_size(results: Results, role: Role) -> Iterator[Comparison]:
    """PBA and CBA fall with the trigger's size: at every step on Cityscapes, overall on VOC.

    The paper says "continuously decrease" for one and "a slight downtrend" for the other. A trend
    means that values are highest for the smallest trigger and lowest for the largest.
    """
    for place in results.places("trigger"):
        points = results.along(place, "trigger")
        for sizes in _both_accuracies(results, points, role):
            if results.stands_for == "cityscapes":
                yield from _falls_at_each_step(sizes)
            elif len(sizes) > 1:
                first, *between, last = sizes
                yield above(first, last)
                for size in between:
                    yield above(first, size)
                    yield above(size, last)


def falls_with_many_labels(results: Results, role: Role) -> Iterator[Comparison]:
    """PBA and CBA are stable to Q = 10 000 and fall from there, on VOC by a lot."""
    for place in results.places("q"):
        if place.q is None:
            continue
        asked = {point.q or 0 for point in results.along(place, "q")}
        numbers = sorted({_STABLE_TO, _WORSE_BY, *asked})
        points = [place.model_copy(update={"q": number}) for number in numbers]
        turn = numbers.index(_STABLE_TO)
        for figures in _both_accuracies(results, points, role):
            if turn == 0:
                yield Missing(f"Q below {_STABLE_TO} beside {figures[0].name}")
            for fewer in figures[:turn]:
                yield similar(fewer, figures[turn], margin=ALIKE_ACCURACY)
            yield from _falls_at_each_step(figures[turn:])
            if results.stands_for == "voc":
                yield above(figures[turn], figures[-1], margin=ALIKE_ACCURACY)


def several_cost_more(results: Results, role: Role) -> Iterator[Comparison]:
    """Several victim classes leave lower PBA and CBA than each of them alone."""
    for point in results.places():
        victims = point.victims.split("+")
        if len(victims) > 1:
            points = [point, *(results.moved(point, victims=name) for name in victims)]
            for together, *singles in _both_accuracies(results, points, role):
                for single in singles:
                    yield above(single, together)


def _both_accuracies(
    results: Results, points: Sequence[Point], role: Role
) -> Iterator[tuple[Named, ...]]:
    """Yield the PBA, then the CBA of points, each on the seeds that all of them have."""
    pairs: tuple[tuple[Metric, Role | None], ...] = (("PBA", role), ("CBA", None))
    for metric, test in pairs:
        yield on_common_seeds(*(named(results, point, test, metric) for point in points))


def _falls_at_each_step(figures: Sequence[Named]) -> Iterator[Comparison]:
    for less, more in pairwise(figures):
        yield above(less, more)

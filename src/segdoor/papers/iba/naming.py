"""Figures of a study, looked up and named: what the orderings compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from segdoor.papers.iba.claims import Role
from segdoor.papers.iba.results import Results
from segdoor.papers.iba.units import Point
from segdoor.study.comparing import Comparison, Named
from segdoor.study.figures import Metric

# Deviation 14: the paper says "nearly", "little" and "about" without numbers; these are ours.
ALIKE = 0.05
"""Two attack success rates that differ by no more are alike."""
ALIKE_ACCURACY = 0.02
"""Two accuracies that differ by no more are alike: the paper's own margin."""

FAR: tuple[Role, Role] = ("far1", "far2")
"""The poisoned tests far from the victims."""
ALONE = ("baseline", "nni", "prl")
"""The single methods."""
Comparing = Callable[[Results, Role], Iterator[Comparison]]
"""Yields the comparisons that a claim needs on one poisoned test."""


def repairs_of(results: Results, point: Point, kind: str) -> list[str]:
    """Return the repairs of a kind that the study asks for at a point, in rising order."""
    asked = [repair for repair in results.grid[point] if repair.startswith(f"{kind}:")]
    return sorted(asked, key=extent)


def extent(repair: str) -> float:
    """Return the strength of a repair: the channels it prunes, or its share of scenes."""
    return float(repair.partition(":")[2])


def three_methods(
    results: Results, place: Point, role: Role, repair: str | None = None
) -> tuple[Named, Named, Named]:
    """Return baseline, NNI and PRL."""
    baseline, nni, prl = (asr(results, place, role, method, repair) for method in ALONE)
    return baseline, nni, prl


def asr(
    results: Results, place: Point, role: Role, method: str, repair: str | None = None
) -> Named:
    """Return the ASR of a method at a place of the grid."""
    return named(results, results.moved(place, method=method), role, "ASR", repair)


def named(
    results: Results,
    point: Point,
    role: Role | None,
    metric: Metric = "ASR",
    repair: str | None = None,
) -> Named:
    """Return a figure with its name: what was measured, where on the grid, in which test."""
    measured = results.get(point, role, metric, repair)
    words = [*_told(results, point), *([repair] if repair else [])]
    # Triggers that must lie on victims have a single test, whatever it is compared with.
    if role is not None and point.on_victim != "require":
        words.append(results.band(role) if role in FAR else role)
    return Named(f"{metric} of {', '.join(words)}", measured, (metric, role, repair))


def _told(results: Results, point: Point) -> Iterator[str]:
    """Yield a description of a point, without what it has in common with all points."""
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

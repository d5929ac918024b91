"""The charts of a page, as curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segdoor.record import AxisValue, ClaimCell
from segdoor.report.content import GREY, Chart, Curve, Origin, Point
from segdoor.report.source import Group, Measured, Source
from segdoor.report.tables import leading_axis, paper_number
from segdoor.report.words import axis_name, exam_name, label, share
from segdoor.scores.intervals import bootstrap
from segdoor.scores.metrics import attack_success_rate
from segdoor.scores.tables import TableSet
from segdoor.tensors import Table

_IN_A_BIN, _FEWEST_BINS, _MOST_BINS = 12, 3, 8
FEWEST = _FEWEST_BINS * _IN_A_BIN
"""Scenes with trigger and victims, below which there is no curve over distance."""

Series = dict[str, list[Group]]


def numeric_axes(source: Source) -> tuple[str, ...]:
    """Return the axes that can be an x axis: numbers that differ, where there are any."""
    found: list[str] = []
    for name in source.varied:
        values = {run.axes.get(name) for run in source.runs} - {None}
        if len(values) > 1 and all(_is_number(value) for value in values):
            found.append(name)
    return tuple(found)


def axis_charts(source: Source, axis: str) -> tuple[Chart, ...]:
    """Return ASR against an axis, in every poisoned test that the paper speaks of.

    Against a poisoning rate CBA and PBA are shown as well.
    """
    exam = source.main_exam
    asked = [cell.exam for cell in (source.study.cells if source.study else ()) if cell.exam]
    exams = [name for name in source.exams if name in {exam, "nearest", *asked}]
    wanted: list[tuple[str, str | None]] = [("ASR", name) for name in exams]
    if axis.endswith("rate"):
        wanted += [("PBA", exam), ("CBA", None)]
    facets = _facets(source, axis).items()
    charts: list[Chart] = []
    for metric in wanted:
        alike = [_axis_chart(source, axis, place, series, *metric) for place, series in facets]
        charts += fold([chart for chart in alike if chart.curves])
    return tuple(charts)


def distance_charts(source: Source) -> tuple[Chart, ...]:
    """Return ASR against the distance achieved in each scene, from the tables of the runs."""
    charts: list[Chart] = []
    for place, series in _facets(source, None).items():
        curves: list[Curve] = []
        for number, (name, groups) in enumerate(series.items()):
            curves += _distance_curves(source, groups[-1], name, number)
        if any(curve.kind == "line" for curve in curves):
            title = f"ASR against distance{f', {place}' if place else ''}"
            charts.append(
                Chart(f"distance-{len(charts)}", title, "distance of the trigger in pixels", "ASR",
                      tuple(curves), _summary(curves))
            )  # fmt: skip
    return fold(charts)


def fold(alike: Sequence[Chart]) -> tuple[Chart, ...]:
    """Return charts of one kind with all but the first folded away."""
    return tuple(replace(chart, folded=index > 0) for index, chart in enumerate(alike))


def class_chart(groups: Sequence[tuple[str, Group]]) -> Chart:
    """Return the IoU of every class, of clean and poisoned victims."""
    names = tuple(entry.name for entry in groups[0][1].runs[0].record.data.classes)
    places = range(len(names))
    clean = [groups[0][1].measure("controls", "clean_victim", "class_iou", i) for i in places]
    curves = [Curve("clean victim", GREY, _points(places, clean), "points")]
    for number, (name, group) in enumerate(groups):
        figures = [group.measure("scores", "benign", "class_iou", index) for index in places]
        points = _points(places, figures)
        curves.append(Curve(name or "poisoned victim", number, points, "points"))
    shown = tuple(curve for curve in curves if curve.points)
    return Chart("classes", "IoU on untouched scenes", "IoU", "", shown, _summary(shown), names)


def _axis_chart(
    source: Source, axis: str, place: str, series: Series, metric: str, exam: str | None
) -> Chart:
    path = (
        ("scores", "benign", "cba") if exam is None else ("scores", "exams", exam, metric.lower())
    )
    curves: list[Curve] = []
    for number, (name, groups) in enumerate(series.items()):
        figures = [group.measure(*path) for group in groups]
        points = _points([_position(group, axis) for group in groups], figures)
        curves.append(Curve(name or "measured", number, points))
        papers = _paper_points(source, groups, axis, metric, exam)
        curves.append(Curve(f"{name} (paper)".strip(), number, papers, "paper"))
    shown = tuple(curve for curve in curves if curve.points)
    where = ", ".join(part for part in (exam_name(exam) if exam else "", place) if part)
    xs = [point.x for curve in shown for point in curve.points]
    return Chart(
        key="-".join([axis, metric.lower(), exam or "benign", place]),
        title=f"{metric}{f', {where}' if where else ''}",
        x=axis_name(axis),
        y=metric,
        curves=shown,
        summary=_summary(shown),
        whole=metric == "ASR",
        logarithmic=bool(xs) and min(xs) > 0 and max(xs) >= 50 * min(xs),
    )


def _facets(source: Source, axis: str | None) -> dict[str, Series]:
    """Return the groups by curve, and the curves by chart, so that no chart is crowded.

    A group without a value on an axis, as Q without PRL, is in every chart that it fits into.
    """
    rest = [name for name in source.varied if name != axis]
    leader = leading_axis(rest)
    others = [name for name in rest if name != leader]
    groups = [g for g in source.groups if axis is None or _is_number(g.axes.get(axis))]
    places = [[group.axes.get(name) for name in others] for group in groups]
    facets: dict[str, Series] = {}
    for place in places:
        if any(place != other and _fits(place, other) for other in places):
            continue
        series = facets.setdefault(label(dict(zip(others, place, strict=True)), others), {})
        if series:
            continue
        for group, own in zip(groups, places, strict=True):
            if _fits(own, place):
                name = label(group.axes, [leader]) if leader else ""
                series.setdefault(name, []).append(group)
    if axis is None:
        return facets
    for series in facets.values():
        for curve in series.values():
            curve.sort(key=lambda group: _position(group, axis))
    return _with_news(facets)


def _with_news(facets: dict[str, Series]) -> dict[str, Series]:
    """Return the charts with a curve of their own, and first ones of what is in no such chart."""
    curves = {
        place: {curve for line in series.values() if len(curve := _keys(line)) > 1}
        for place, series in facets.items()
    }
    counted = Counter(curve for found in curves.values() for curve in found)
    kept = {place for place, found in curves.items() if any(counted[c] == 1 for c in found)}
    shown = {curve for place in kept for curve in curves[place]}
    for place, found in curves.items():
        if found - shown:
            kept.add(place)
            shown |= found
    return {place: series for place, series in facets.items() if place in kept}


def _keys(curve: Sequence[Group]) -> tuple[tuple[str, ...], ...]:
    return tuple(group.keys for group in curve)


def _fits(place: Sequence[AxisValue], other: Sequence[AxisValue]) -> bool:
    return all(a is None or a == b for a, b in zip(place, other, strict=True))


def _paper_points(
    source: Source, groups: Sequence[Group], axis: str, metric: str, exam: str | None
) -> tuple[Point, ...]:
    """Return the paper's numbers for a curve, also where nothing was measured beside them."""
    points: dict[float, float] = {}
    for group in groups:
        cell = paper_number(source, group, metric, exam)
        if cell is None or cell.paper is None or cell.doubted:
            continue
        points[_position(group, axis)] = cell.paper
        for other in source.study.cells if source.study else ():
            value = other.labels.get(axis)
            like = {**other.labels, axis: None} == {**cell.labels, axis: None}
            same = (other.metric, other.table, other.exam) == (metric, cell.table, exam) and like
            if same and other.paper is not None and not other.doubted and _is_number(value):
                points.setdefault(float(value or 0), other.paper)
    return tuple(Point(x, points[x], None, None, None) for x in sorted(points))


def _distance_curves(source: Source, group: Group, name: str, number: int) -> list[Curve]:
    exams = group.runs[0].record.scores.exams
    widest = max(exams, key=lambda key: _width(exams[key].distances), default=None)
    if widest is None:
        return []
    curves = [Curve(name or "poisoned victim", number, _binned(group, "poisoned", widest))]
    if not name:
        curves.append(Curve("clean victim", GREY, _binned(group, "clean", widest)))
        whole = [
            (sum(exam.distances.values()) / len(exam.distances), key)
            for key, exam in exams.items()
            if exam.distances
        ]
        figures = [group.measure("scores", "exams", key, "asr") for _, key in whole]
        points = _points([x for x, _ in whole], figures)
        curves.append(Curve("whole tests at their mean distance", 1, points, "points"))
    curves.append(Curve(f"{name} (paper)".strip(), number, _paper_by_exam(source, group), "paper"))
    return [curve for curve in curves if curve.points]


def _binned(group: Group, victim: str, exam: str) -> tuple[Point, ...]:
    """Return ASR in bins of as many scenes each; tables of several seeds are added."""
    key = f"{victim}/{exam}"
    found = [run.tables[key] for run in group.runs if key in run.tables]
    record = group.runs[0].record
    distances = record.scores.exams[exam].distances
    if not found or any(tables.names != found[0].names for tables in found):
        return ()
    added = TableSet(found[0].names, np.sum([tables.counts for tables in found], axis=0))
    names = [entry.name for entry in record.data.classes]
    victims, target = [names.index(v) for v in record.victims], names.index(record.target)
    shows = added.counts[:, victims].sum(axis=(1, 2)) > 0
    scenes = [n for n, has in zip(added.names, shows, strict=True) if has and n in distances]
    if len(scenes) < FEWEST:
        return ()
    scenes.sort(key=distances.__getitem__)

    def asr(table: Table) -> float:
        return attack_success_rate(table, victims, target)

    points: list[Point] = []
    for part in np.array_split(scenes, min(_MOST_BINS, len(scenes) // _IN_A_BIN)):
        tables = added.only([str(name) for name in part])
        ends = bootstrap(tables, asr)
        x = sum(distances[name] for name in tables.names) / len(tables.names)
        origin = Origin(group.keys, f"tables.npz {key}, {len(tables.names)} scenes")
        points.append(Point(x, asr(tables.total()), ends.low, ends.high, origin))
    return tuple(points)


def _paper_by_exam(source: Source, group: Group) -> tuple[Point, ...]:
    """Return the paper's numbers, each once: two exams of ours may measure the same."""
    exams = group.runs[0].record.scores.exams
    points: dict[str, Point] = {}
    for name in sorted(exams, key=lambda name: name != source.main_exam):
        cell: ClaimCell | None = paper_number(source, group, "ASR", name)
        distances = exams[name].distances.values()
        if cell and cell.paper is not None and not cell.doubted and distances:
            x = sum(distances) / len(distances)
            number = f"{cell.table} {sorted(cell.labels.items())}"
            points.setdefault(number, Point(x, cell.paper, None, None, None))
    return tuple(sorted(points.values(), key=lambda point: point.x))


def _points(places: Sequence[float], figures: Sequence[Measured]) -> tuple[Point, ...]:
    return tuple(
        Point(float(x), found.value, found.low, found.high, found.origin)
        for x, found in zip(places, figures, strict=True)
        if found.value is not None
    )


def _summary(curves: Sequence[Curve]) -> str:
    """Say in words what a chart shows: where each curve begins and ends."""
    said: list[str] = []
    for curve in curves:
        ends = [share(point.y) for point in curve.points]
        told = f"from {ends[0]} to {ends[-1]}" if len(ends) > 1 else "".join(ends)
        said.append(f"{curve.name}: {told}")
    return "; ".join(said)


def _is_number(value: AxisValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _position(group: Group, axis: str) -> float:
    value = group.axes.get(axis)
    return float(value) if isinstance(value, int | float) else 0.0


def _width(distances: dict[str, float]) -> float:
    return max(distances.values()) - min(distances.values()) if distances else 0.0

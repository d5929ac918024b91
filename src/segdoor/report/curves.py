"""The charts of a page, as curves; those over distance are in distance.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from segdoor.record import RATE_REACHED, AxisValue
from segdoor.report.content import GREY, Chart, Curve, CurvePoint
from segdoor.report.source import Group, MeasuredFigure, Source, points_at
from segdoor.report.tables import leading_axis, paper_number
from segdoor.report.words import axis_name, network_name, share

Series = dict[str, list[Group]]


def numeric_axes(source: Source) -> tuple[str, ...]:
    """Return the axes that can be an x axis: numbers that differ, if any."""
    found: list[str] = []
    for name in source.varied:
        values = {run.axes.get(name) for run in source.runs} - {None}
        if len(values) > 1 and all(_is_number(value) for value in values):
            found.append(name)
    return tuple(found)


def axis_charts(source: Source, axis: str) -> tuple[Chart, ...]:
    """Return ASR, PBA and CBA against an axis, then ASR in the other tests of the paper."""
    test = source.main_test
    asked = [cell.test for cell in (source.study.cells if source.study else ()) if cell.test]
    asked += [name for name, found in source.tests.items() if found.role == "nearest"]
    others = [name for name in source.tests if name in asked and name != test]
    wanted: list[tuple[str, str | None]] = [("ASR", test), ("PBA", test), ("CBA", None)]
    wanted += [("ASR", name) for name in others]
    facets = facets_of(source, axis).items()
    charts: list[Chart] = []
    for metric in wanted:
        alike = [_axis_chart(source, axis, place, series, *metric) for place, series in facets]
        charts += fold([chart for chart in alike if chart.curves])
    return tuple(charts)


def fold(alike: Sequence[Chart]) -> tuple[Chart, ...]:
    """Return charts of one kind with all but the first folded away."""
    return tuple(replace(chart, folded=index > 0) for index, chart in enumerate(alike))


def class_chart(groups: Sequence[tuple[str, Group]]) -> Chart:
    """Return the IoU of every class, of the networks and a clean model."""
    names = tuple(entry.name for entry in groups[0][1].runs[0].record.data.classes)
    places = range(len(names))
    clean = [groups[0][1].measure("controls", "clean_model", "class_iou", i) for i in places]
    curves = [Curve("clean model", GREY, points_at(places, clean), "points")]
    for number, (name, group) in enumerate(groups):
        figures = [group.measure("scores", "benign", "class_iou", index) for index in places]
        points = points_at(places, figures)
        curves.append(Curve(name or network_name(group.runs[0].record), number, points, "points"))
    shown = tuple(curve for curve in curves if curve.points)
    return Chart("classes", "IoU on untouched scenes", "IoU", "", shown, summary_of(shown), names)


def _axis_chart(
    source: Source, axis: str, place: str, series: Series, metric: str, test: str | None
) -> Chart:
    curves: list[Curve] = []
    for number, (name, groups) in enumerate(series.items()):
        figures = [_measured(source, group, metric.lower(), test) for group in groups]
        points = points_at([_position(group, axis) for group in groups], figures)
        curves.append(Curve(name or "measured", number, points))
        papers = _paper_points(source, groups, axis, metric, test)
        curves.append(Curve(f"{name} (paper)".strip(), number, papers, "paper"))
    curves.append(_clean_curve(source, axis, series, metric, test))
    shown = tuple(curve for curve in curves if curve.points)
    where = ", ".join(part for part in (source.naming.test(test) if test else "", place) if part)
    xs = [point.x for curve in shown for point in curve.points]
    return Chart(
        key="-".join([axis, metric.lower(), test or "benign", place]),
        title=f"{metric}{f', {where}' if where else ''}",
        x=axis_name(axis),
        y=metric,
        curves=shown,
        summary=summary_of(shown),
        whole=metric == "ASR",
        logarithmic=bool(xs) and min(xs) > 0 and max(xs) >= 50 * min(xs),
    )


def _measured(source: Source, group: Group, metric: str, test: str | None) -> MeasuredFigure:
    if test is None:
        return group.measure("scores", "benign", "cba")
    return group.measure("scores", "tests", source.test_of(group, test), metric)


def _clean_curve(source: Source, axis: str, series: Series, metric: str, test: str | None) -> Curve:
    """Return the clean model's figure: of the methods at one position, that over most seeds."""
    most: dict[float, Group] = {}
    for group in (group for groups in series.values() for group in groups):
        place = _position(group, axis)
        if place not in most or len(group.runs) > len(most[place].runs):
            most[place] = group
    places = sorted(most)
    if test is None:
        figures = [most[place].measure("controls", "clean_model", "cba") for place in places]
    else:
        name = f"{metric.lower()}_clean_model"
        figures = [_measured(source, most[place], name, test) for place in places]
    points = points_at(places, figures)
    return Curve("clean model", GREY, points)


def facets_of(source: Source, axis: str | None) -> dict[str, Series]:
    """Return the groups by curve, and the curves by chart, so that no chart is crowded.

    A group without a value on an axis, as Q without PRL, is in every chart that it fits into.
    """
    rest = [name for name in source.varied if name != axis]
    leader = leading_axis(rest)
    others = [name for name in rest if name != leader]
    groups = [g for g in source.groups if axis is None or _is_number(g.axes.get(axis))]
    places = [[group.axes.get(name) for name in others] for group in groups]
    facets: dict[str, Series] = {}
    for first, place in zip(groups, places, strict=True):
        if any(place != other and _fits(place, other) for other in places):
            continue
        series = facets.setdefault(source.naming.label(first.axes, others), {})
        if series:
            continue
        for group, own in zip(groups, places, strict=True):
            if _fits(own, place):
                name = source.naming.label(group.axes, [leader]) if leader else ""
                series.setdefault(name, []).append(group)
    if axis is None:
        return facets
    for series in facets.values():
        for curve in series.values():
            curve.sort(key=lambda group: _position(group, axis))
    return _with_news(facets)


def _with_news(facets: dict[str, Series]) -> dict[str, Series]:
    """Return the charts with their own curves, and the first charts of what is in no such chart."""
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
    source: Source, groups: Sequence[Group], axis: str, metric: str, test: str | None
) -> tuple[CurvePoint, ...]:
    """Return the paper's numbers for a curve, also where nothing was measured beside them."""
    points: dict[float, float] = {}
    for group in groups:
        cell = paper_number(source, group, metric, test)
        if cell is None or cell.paper is None or cell.doubted:
            continue
        points[_position(group, axis)] = cell.paper
        for other in source.study.cells if source.study else ():
            value = other.labels.get(axis)
            like = _but(other.labels, axis) == _but(cell.labels, axis)
            same = (other.metric, other.table, other.test) == (metric, cell.table, test) and like
            if same and other.paper is not None and not other.doubted and _is_number(value):
                points.setdefault(float(value or 0), other.paper)
    return tuple(CurvePoint(x, points[x], None, None, None) for x in sorted(points))


def _but(labels: dict[str, AxisValue], axis: str) -> dict[str, AxisValue]:
    """Return the labels of a paper's number without an axis and without remarks on the rate."""
    return {name: value for name, value in labels.items() if name not in {axis, RATE_REACHED}}


def summary_of(curves: Sequence[Curve]) -> str:
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

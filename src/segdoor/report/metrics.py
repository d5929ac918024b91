"""Metrics without their own field in a record: columns, a table and a chart for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from segdoor.record import ExperimentRecord, MetricRecord, MetricScores
from segdoor.report.content import GREY, INTERVAL, Cell, Chart, Curve, Table
from segdoor.report.source import Group, MeasuredFigure, Source, points_at
from segdoor.report.words import Naming, interval, name_of_test, percent, share
from segdoor.scores.intervals import Interval

CONTROLS = {
    "no trigger": "without_trigger",
    "another trigger": "other_trigger",
    "clean model": "clean_model",
}
"""Headings of the controls, and their fields in a metric's figures."""


def metrics_of(
    records: Iterable[ExperimentRecord], *, test: Literal["poisoned", "benign"] = "poisoned"
) -> dict[str, MetricRecord]:
    """Return the metrics of a test for which some records have figures, as they are written."""
    found = dict[str, MetricRecord]()
    for record in records:
        found |= {k: m for k, m in record.scores.metrics.items() if m.test == test}
    return found


def headings(metrics: Mapping[str, MetricRecord]) -> dict[str, str]:
    """Return a heading for each metric: its title, or its written form if titles are alike."""
    titles = Counter(metric.title for metric in metrics.values())
    return {
        name: metric.title if titles[metric.title] == 1 else name.replace("_", " ")
        for name, metric in metrics.items()
    }


def metric_figure(group: Group, test: str, name: str) -> MeasuredFigure:
    """Return a metric of a group of runs in a poisoned test."""
    return group.measure("scores", "tests", test, "metrics", name, "value")


def metric_tables(group: Group) -> tuple[Table, ...]:
    """Return a table for each metric of a run: every poisoned test, its controls and its parts."""
    found = metrics_of(run.record for run in group.runs)
    return tuple(_table(group, name, heading) for name, heading in headings(found).items())


def metric_charts(source: Source) -> tuple[Chart, ...]:
    """Return a chart for each metric of a run that has parts, in the main poisoned test."""
    group, test = source.groups[0], source.main_test or ""
    found = metrics_of(run.record for run in group.runs)
    made = (
        _chart(group, test, name, heading, source.naming)
        for name, heading in headings(found).items()
    )
    return tuple(chart for chart in made if chart is not None)


def _scores(group: Group, test: str, name: str) -> MetricScores | None:
    return group.runs[0].record.scores.tests[test].metrics.get(name)


def _table(group: Group, name: str, heading: str) -> Table:
    columns, rows = dict[str, None](), list[tuple[Cell, ...]]()
    tests = group.runs[0].record.scores.tests
    for test in tests:
        scores = _scores(group, test, name)
        if scores is None:
            continue
        path = ("scores", "tests", test, "metrics", name)
        value = group.measure(*path, "value")
        controls = (group.measure(*path, field) for field in CONTROLS.values())
        parts = (
            group.measure(*path, "parts", index, "value") for index in range(len(scores.parts))
        )
        columns |= dict.fromkeys(f"{part.by}: {part.name}" for part in scores.parts)
        rows.append((
            Cell(name_of_test(test, tests), test), figure(value), _interval(value),
            *map(figure, controls), *map(figure, parts),
            Cell(_number(scores.denominator), scores.denominator),
        ))  # fmt: skip
    heads = ("trigger placed", heading, INTERVAL, *CONTROLS, *columns, "of")
    metric = group.runs[0].record.scores.metrics[name]
    note = f"{metric.meaning} {metric.bad.capitalize()} is bad."
    title = f"{heading.capitalize()} beside controls"
    return Table(f"metric-{name}", title, heads, tuple(rows), note)


def _chart(group: Group, test: str, name: str, heading: str, naming: Naming) -> Chart | None:
    scores = _scores(group, test, name) if test else None
    if scores is None or not scores.parts:
        return None
    path = ("scores", "tests", test, "metrics", name)
    places = [path, *((*path, "parts", index) for index in range(len(scores.parts)))]
    ticks = ["all", *(f"{part.name} ({_number(part.denominator)})" for part in scores.parts)]
    fields = {"with the trigger": "value", **CONTROLS}
    found = ([group.measure(*place, field) for place in places] for field in fields.values())
    curves = [
        Curve(title, colour, points_at(range(len(places)), figures), "points")
        for title, figures, colour in zip(fields, found, (0, 1, 2, GREY), strict=True)
    ]
    said = "; ".join(f"{ticks[int(point.x)]} {percent(point.y)}" for point in curves[0].points)
    by = " and by ".join(dict.fromkeys(part.by for part in scores.parts))
    return Chart(
        f"metric-{name}", f"{heading.capitalize()} by {by}, trigger {naming.test(test)}",
        "", heading, tuple(c for c in curves if c.points), said, tuple(ticks),
    )  # fmt: skip


def figure(measured: MeasuredFigure) -> Cell:
    """Return a cell with a figure of records."""
    return Cell(share(measured.value), measured.value, measured.origin)


def _interval(found: MeasuredFigure) -> Cell:
    ends = None if found.low is None or found.high is None else Interval(found.low, found.high)
    return Cell(interval(ends), ends, found.origin)


def _number(count: int | None) -> str:
    return "–" if count is None else str(count)

"""ASR against the achieved distance of the trigger, from the tables of scenes."""

from __future__ import annotations

import numpy as np

from segdoor.record import ClaimCell
from segdoor.report.content import GREY, Chart, Curve, CurvePoint, Origin
from segdoor.report.curves import facets_of, fold, summary_of
from segdoor.report.source import Group, Source, points_at
from segdoor.report.tables import paper_number
from segdoor.report.words import network_name
from segdoor.scores.intervals import bootstrap
from segdoor.scores.metrics.functions import attack_success_rate
from segdoor.scores.tables import TableSet
from segdoor.tensors import Table

_IN_A_BIN, _FEWEST_BINS, _MOST_BINS = 12, 3, 8
FEWEST = _FEWEST_BINS * _IN_A_BIN
"""Fewest scenes with trigger and victims for a curve over distance."""


def distance_charts(source: Source) -> tuple[Chart, ...]:
    """Return ASR against the achieved distance in each scene, from the tables of the runs."""
    charts: list[Chart] = []
    for place, series in facets_of(source, None).items():
        curves: list[Curve] = []
        for number, (name, groups) in enumerate(series.items()):
            curves += _distance_curves(source, groups[-1], name, number)
        if any(curve.kind == "line" for curve in curves):
            title = f"ASR against distance{f', {place}' if place else ''}"
            charts.append(
                Chart(f"distance-{len(charts)}", title, "distance of the trigger in pixels", "ASR",
                      tuple(curves), summary_of(curves))
            )  # fmt: skip
    return fold(charts)


def _distance_curves(source: Source, group: Group, name: str, number: int) -> list[Curve]:
    record = group.runs[0].record
    tests = record.scores.tests
    widest = max(tests, key=lambda key: _width(tests[key].distances), default=None)
    if widest is None:
        return []
    curves = [Curve(name or network_name(record), number, _binned(group, "poisoned", widest))]
    if number == 0:
        curves.append(Curve("clean model", GREY, _binned(group, "clean", widest)))
    if not name:
        whole = [
            (sum(test.distances.values()) / len(test.distances), key)
            for key, test in tests.items()
            if test.distances
        ]
        figures = [group.measure("scores", "tests", key, "asr") for _, key in whole]
        points = points_at([x for x, _ in whole], figures)
        curves.append(Curve("whole tests at their mean distance", 1, points, "points"))
    curves.append(Curve(f"{name} (paper)".strip(), number, _paper_by_test(source, group), "paper"))
    return [curve for curve in curves if curve.points]


def _binned(group: Group, model: str, test: str) -> tuple[CurvePoint, ...]:
    """Return ASR in bins with equal numbers of scenes; tables of several seeds are added."""
    key = f"{model}/{test}"
    found = [run.tables[key] for run in group.runs if key in run.tables]
    record = group.runs[0].record
    distances = record.scores.tests[test].distances
    if not found or any(tables.names != found[0].names for tables in found):
        return ()
    added = TableSet(found[0].names, np.sum([tables.of_attacked for tables in found], axis=0))
    names = [entry.name for entry in record.data.classes]
    pairs = [(names.index(model), names.index(target)) for model, target in record.pairs]
    models, targets = [model for model, _ in pairs], [target for _, target in pairs]
    shows = added.counts[:, models].sum(axis=(1, 2)) > 0
    scenes = [n for n, has in zip(added.names, shows, strict=True) if has and n in distances]
    if len(scenes) < FEWEST:
        return ()
    scenes.sort(key=distances.__getitem__)

    def asr(table: Table) -> float:
        return attack_success_rate(table, models, targets)

    points: list[CurvePoint] = []
    for part in np.array_split(scenes, min(_MOST_BINS, len(scenes) // _IN_A_BIN)):
        tables = added.only([str(name) for name in part])
        ends = bootstrap(tables, asr)
        x = sum(distances[name] for name in tables.names) / len(tables.names)
        origin = Origin(group.keys, f"tables.npz {key}, {len(tables.names)} scenes")
        points.append(CurvePoint(x, asr(tables.total()), ends.low, ends.high, origin))
    return tuple(points)


def _paper_by_test(source: Source, group: Group) -> tuple[CurvePoint, ...]:
    """Return the paper's numbers, each once: two poisoned tests of ours may measure the same."""
    tests = group.runs[0].record.scores.tests
    points: dict[str, CurvePoint] = {}
    for name in sorted(tests, key=lambda name: name != source.main_test):
        cell: ClaimCell | None = paper_number(source, group, "ASR", name)
        distances = tests[name].distances.values()
        if cell and cell.paper is not None and not cell.doubted and distances:
            x = sum(distances) / len(distances)
            number = f"{cell.table} {sorted(cell.labels.items())}"
            points.setdefault(number, CurvePoint(x, cell.paper, None, None, None))
    return tuple(sorted(points.values(), key=lambda point: point.x))


def _width(distances: dict[str, float]) -> float:
    return max(distances.values()) - min(distances.values()) if distances else 0.0

"""What repairs changed: tables and charts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from segdoor.report.content import GREY, Cell, Chart, Curve, Table
from segdoor.report.curves import fold
from segdoor.report.metrics import figure
from segdoor.report.source import Group, MeasuredFigure, Run, Source, pointer, points_at
from segdoor.report.tables import axis_cells, told
from segdoor.report.words import axis_name, name_of_test, percent

_SIDES = ("poisoned_before", "poisoned_after", "clean_before", "clean_after")


@dataclass(frozen=True)
class RepairedRuns:
    """The runs of a group that were repaired in one way.

    Attributes:
        name: The repair; with its seed where that is not the run's.
        group: The runs.
        places: The position of the repair in each record.
    """

    name: str
    group: Group
    places: tuple[int, ...]

    def measure(self, *path: str) -> MeasuredFigure:
        """Return a figure of the repair."""
        return self.group.measure_at([pointer("repairs", place, *path) for place in self.places])


def repaired(source: Source) -> tuple[tuple[RepairedRuns, ...], ...]:
    """Return the ways in which the runs of each group were repaired; groups without are left out.

    Runs are grouped if their repair and its settings are the same, in whatever order they were
    repaired.
    """
    groups = ((group, _ways(group)) for group in source.groups)
    return tuple(ways for _, ways in groups if ways)


def _ways(group: Group) -> tuple[RepairedRuns, ...]:
    found: dict[tuple[str, str, str], list[tuple[Run, int]]] = {}
    for run in group.runs:
        for place, row in enumerate(run.record.repairs):
            other = "" if row.seed == run.record.seed else f", seed {row.seed}"
            settings = json.dumps(row.settings, sort_keys=True)
            found.setdefault((row.repair, other, settings), []).append((run, place))
    return tuple(
        RepairedRuns(
            repair + other,
            Group(group.axes, tuple(run for run, _ in there)),
            tuple(place for _, place in there),
        )
        for (repair, other, _), there in found.items()
    )


def repair_tables(source: Source) -> tuple[Table, ...]:
    """Return before and after of each repair: in poisoned tests, and on untouched scenes."""
    names = source.varied
    in_tests: list[tuple[Cell, ...]] = []
    benign: list[tuple[Cell, ...]] = []
    for ways in repaired(source):
        for way in ways:
            start = (*axis_cells(source.naming, way.group.axes, names), told(way.name))
            for test in way.group.runs[0].record.repairs[way.places[0]].poisoned_before.tests:
                keys = [("asr", side) for side in _SIDES]
                keys += [(k, side) for k in ("pba", "victim_recovery") for side in _SIDES[:2]]
                found = (way.measure(s, "tests", test, k) for k, s in keys)
                in_tests.append((*start, Cell(source.naming.test(test), test), *map(figure, found)))
            keys = [(k, s) for k in ("cba", "victim_recovery") for s in _SIDES]
            found = (way.measure(s, k) for k, s in keys)
            scenes = way.measure("num_clean_scenes")
            seconds = way.measure("seconds")
            benign.append((*start, _whole(scenes), *map(figure, found), _whole(seconds)))
    axes = (*map(axis_name, names), "repair")
    after = (
        "ASR before", "ASR after", "clean model’s ASR before", "and after", "PBA before",
        "PBA after", "recovery before", "recovery after",
    )  # fmt: skip
    untouched = (
        "clean scenes", "CBA before", "CBA after", "clean model’s CBA before", "and after",
        "recovery before", "recovery after", "clean model’s recovery before", "and after",
        "seconds",
    )  # fmt: skip
    note = "The same repair of a clean model is the control: its loss is the cost of the repair."
    return (
        Table("repairs", "Poisoned tests", (*axes, "trigger placed", *after), tuple(in_tests)),
        Table("repairs-benign", "Untouched scenes", (*axes, *untouched), tuple(benign), note),
    )


def repair_charts(source: Source) -> tuple[Chart, ...]:
    """Return ASR in the main poisoned test and CBA, without and with each repair."""
    test = source.main_test
    charts: list[Chart] = []
    for ways in repaired(source):
        axes, record = ways[0].group.axes, ways[0].group.runs[0].record
        main = name_of_test(test or "", record.scores.tests)
        ticks = ("no repair", *(way.name for way in ways))
        of_test = ("tests", test or "", "asr")
        curves = (
            _curve("ASR", 1, ways, "poisoned", of_test),
            _curve("CBA", 0, ways, "poisoned", ("cba",)),
            _curve("CBA of the clean model", GREY, ways, "clean", ("cba",)),
        )
        shown = tuple(curve for curve in curves if curve.points)
        said = "; ".join(
            f"{c.name} {percent(c.points[0].y)} before, {percent(min(p.y for p in c.points))} at "
            f"the lowest"
            for c in shown
        )
        name = source.naming.label(axes, source.varied) or main
        charts.append(
            Chart(f"repairs-{len(charts)}", f"After each repair, {name}", "share", "", shown,
                  said, ticks)
        )  # fmt: skip
    return fold(charts)


def _curve(
    name: str, colour: int, ways: Sequence[RepairedRuns], model: str, path: tuple[str, ...]
) -> Curve:
    found = [ways[0].measure(f"{model}_before", *path)]
    found += [way.measure(f"{model}_after", *path) for way in ways]
    return Curve(name, colour, points_at(range(len(found)), found), "points")


def _whole(measured: MeasuredFigure) -> Cell:
    text = "–" if measured.value is None else f"{measured.value:.0f}"
    return Cell(text, measured.value, measured.origin)

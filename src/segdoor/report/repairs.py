"""What repairs changed: tables and charts."""

from __future__ import annotations

from segdoor.report.content import GREY, Cell, Chart, Curve, Point, Table
from segdoor.report.curves import fold
from segdoor.report.source import Group, Measured, Source
from segdoor.report.tables import axis_cells, figure, told
from segdoor.report.words import axis_name, exam_name, percent

_SIDES = ("poisoned_before", "poisoned_after", "clean_before", "clean_after")


def repaired(source: Source) -> tuple[Group, ...]:
    """Return the groups of runs that were repaired; runs of a group in the same way."""
    groups: list[Group] = []
    for group in source.groups:
        runs = [run for run in group.runs if run.record.repairs]
        ways = {tuple(repair.repair for repair in run.record.repairs) for run in runs}
        if len(ways) == 1:
            groups.append(Group(group.axes, tuple(runs)))
        else:
            groups += [Group(group.axes, (run,)) for run in runs]
    return tuple(groups)


def repair_tables(source: Source) -> tuple[Table, ...]:
    """Return before and after of each repair: in poisoned tests, and on untouched scenes."""
    names = source.varied
    in_exams: list[tuple[Cell, ...]] = []
    benign: list[tuple[Cell, ...]] = []
    for group in repaired(source):
        for index, repair in enumerate(group.runs[0].record.repairs):
            start = (*axis_cells(source.naming, group.axes, names), told(repair.repair))
            for exam in repair.poisoned_before.exams:
                keys = [("asr", side) for side in _SIDES]
                keys += [(k, side) for k in ("pba", "victim_recovery") for side in _SIDES[:2]]
                found = (group.measure("repairs", index, s, "exams", exam, k) for k, s in keys)
                in_exams.append((*start, Cell(source.naming.exam(exam), exam), *map(figure, found)))
            keys = [(k, s) for k in ("cba", "victim_recovery") for s in _SIDES]
            found = (group.measure("repairs", index, s, k) for k, s in keys)
            scenes = group.measure("repairs", index, "num_clean_scenes")
            seconds = group.measure("repairs", index, "seconds")
            benign.append((*start, _whole(scenes), *map(figure, found), _whole(seconds)))
    axes = (*map(axis_name, names), "repair")
    after = (
        "ASR before", "ASR after", "clean victim’s ASR before", "and after", "PBA before",
        "PBA after", "recovery before", "recovery after",
    )  # fmt: skip
    untouched = (
        "clean scenes", "CBA before", "CBA after", "clean victim’s CBA before", "and after",
        "recovery before", "recovery after", "clean victim’s recovery before", "and after",
        "seconds",
    )  # fmt: skip
    note = "The same repair of a clean victim is the control: what it loses, the repair costs."
    return (
        Table("repairs", "Poisoned tests", (*axes, "trigger placed", *after), tuple(in_exams)),
        Table("repairs-benign", "Untouched scenes", (*axes, *untouched), tuple(benign), note),
    )


def repair_charts(source: Source) -> tuple[Chart, ...]:
    """Return ASR in the main poisoned test and CBA, without and with each repair."""
    exam = source.main_exam
    charts: list[Chart] = []
    for group in repaired(source):
        record = group.runs[0].record
        ticks = ("no repair", *(repair.repair for repair in record.repairs))
        of_exam = ("exams", exam or "", "asr")
        curves = (
            _curve("ASR", 1, group, "poisoned", of_exam),
            _curve("CBA", 0, group, "poisoned", ("cba",)),
            _curve("CBA of the clean victim", GREY, group, "clean", ("cba",)),
        )
        shown = tuple(curve for curve in curves if curve.points)
        said = "; ".join(
            f"{c.name} {percent(c.points[0].y)} before, {percent(min(p.y for p in c.points))} at "
            f"the lowest"
            for c in shown
        )
        name = source.naming.label(group.axes, source.varied) or exam_name(exam or "")
        charts.append(
            Chart(f"repairs-{len(charts)}", f"After each repair, {name}", "share", "", shown,
                  said, ticks)
        )  # fmt: skip
    return fold(charts)


def _curve(name: str, colour: int, group: Group, victim: str, path: tuple[str, ...]) -> Curve:
    num_repairs = len(group.runs[0].record.repairs)
    found = [group.measure("repairs", 0, f"{victim}_before", *path)]
    found += [group.measure("repairs", i, f"{victim}_after", *path) for i in range(num_repairs)]
    points = tuple(
        Point(float(place), entry.value, entry.low, entry.high, entry.origin)
        for place, entry in enumerate(found)
        if entry.value is not None
    )
    return Curve(name, colour, points, "points")


def _whole(measured: Measured) -> Cell:
    text = "–" if measured.value is None else f"{measured.value:.0f}"
    return Cell(text, measured.value, measured.origin)

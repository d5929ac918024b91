"""Attacks against defenses: how much of each attack gets past each method."""

from __future__ import annotations

from statistics import fmean

from segdoor.record import Figure
from segdoor.record.defense import DefenseEntry
from segdoor.report.content import HeatCell, HeatMap, HeatRow, Origin
from segdoor.report.defenses import rows_of
from segdoor.report.source import Group, Run, Source

_SIGNS = {"yes": "✓", "no": "✗", "undecided": "?"}


def heat_map(source: Source) -> HeatMap | None:
    """Return how much of each attack gets past each method; None where nothing was measured."""
    methods = list(
        dict.fromkeys(
            entry.plugin
            for run in source.runs
            if run.defenses
            for entry in run.defenses.entries
            if entry.measured
        )
    )
    if not methods:
        return None
    rows = tuple(
        HeatRow(_name(source, group), tuple(_cell(group, method) for method in methods))
        for group in source.groups
        if any(run.defenses for run in group.runs)
    )
    note = (
        "The share of each attack that gets past a method, 0 for none: for repairs and purifiers "
        "the ASR that is left in the poisoned test where it is highest, for filters and detectors "
        "the share of poisoned scenes missed at 5 % false alarms, for scans the share of "
        "backdoored models missed. Means over runs. ✓ useful, ✗ not, ? undecided, in all runs."
    )
    return HeatMap("heat-map", "Attack × defense", tuple(methods), rows, note)


def _name(source: Source, group: Group) -> str:
    return source.naming.label(group.axes, source.varied) or group.runs[0].record.method or "run"


def _cell(group: Group, method: str) -> HeatCell:
    found = [(run, entry) for run in group.runs if (entry := _entry(run, method)) is not None]
    past = [(run, value) for run, _ in found if (value := _past(run, method)) is not None]
    if not past:
        return HeatCell("–", None, None)
    value = fmean(value for _, value in past)
    verdicts = {entry.useful for _, entry in found}
    verdict = verdicts.pop() if len(verdicts) == 1 else "undecided"
    origin = Origin(tuple(run.key for run, _ in past), "defenses.json")
    return HeatCell(f"{value:.2f} {_SIGNS[verdict or 'undecided']}", value, origin)


def _entry(run: Run, method: str) -> DefenseEntry | None:
    entries = run.defenses.entries if run.defenses else ()
    seed = run.record.seed
    # Somebody may have measured with further seeds: those of the run's own come first.
    same = sorted((e for e in entries if e.plugin == method), key=lambda e: e.seed != seed)
    return same[0] if same else None


def _past(run: Run, method: str) -> Figure:
    """Return the share of an attack that gets past a method."""
    chosen = _entry(run, method)
    own = (r.measured for r in rows_of(run) if r.entry is chosen and r.measured.row == "method")
    measured = next(own, None)
    if measured is None:
        return None
    if measured.effects is not None:
        return measured.effects.after.tests[measured.effects.worst_test].asr.value
    if measured.ranking is not None and measured.ranking.recall.value is not None:
        return 1 - measured.ranking.recall.value
    return None if measured.flagged is None else float(not measured.flagged)

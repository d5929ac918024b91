"""The control "another trigger" with all other triggers of the kind, in words and as a table."""

from __future__ import annotations

from segdoor.record import ExperimentRecord
from segdoor.report.before_after import share as plain
from segdoor.report.content import Cell, Table
from segdoor.report.source import Group
from segdoor.report.words import name_of_test, share


def other_triggers(record: ExperimentRecord) -> str:
    """Return in a sentence what the other triggers do; nothing if the record has only one."""
    found = record.controls.other_triggers
    if found is None:
        return ""
    each = ", ".join(f"{name} {plain(rate)}" for name, rate in found.asr.items())
    where = name_of_test(found.test, record.scores.tests)
    start = f"{len(found.asr)} other triggers, {where}: ASR {plain(found.mean)} on average"
    return f"{start}, {plain(found.worst)} at worst ({each})."


def other_trigger_table(group: Group) -> Table | None:
    """Return a run's attack success rate with each other trigger; None if it has only one."""
    record = group.runs[0].record
    found = record.controls.other_triggers
    if found is None:
        return None
    path = ("controls", "other_triggers")
    places = {name: (*path, "asr", name) for name in found.asr}
    places |= {"mean": (*path, "mean"), "worst": (*path, "worst")}
    rows = tuple(
        (Cell(name, name), Cell(share(measured.value), measured.value, measured.origin))
        for name, place in places.items()
        for measured in [group.measure(*place)]
    )
    where = name_of_test(found.test, record.scores.tests)
    note = "A high rate means that the network reacts to any trigger of the kind, not to its own."
    title = f"ASR with other triggers, trigger {where}"
    return Table("other-triggers", title, ("trigger", "ASR"), rows, note)

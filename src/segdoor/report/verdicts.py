"""The claims of a paper and their outcomes, in every reading of a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby

from segdoor.errors import SegdoorError
from segdoor.record import Evidence, StudyRecord, Verdict, load_study
from segdoor.report.content import Judgement
from segdoor.report.source import Source

SIGNS = {
    "supported": "✓",
    "supported in some": "✓",
    "contradicted": "✗",
    "contradicted in some": "✗",
    "undecided": "?",
}
"""Signs of outcomes, shown beside their words."""


def judgements(source: Source) -> Iterator[Judgement]:
    """Yield the claims, each with all ways in which it was judged, in every reading."""
    study = source.study
    assert study is not None
    for number, entries in groupby(verdicts_of(source), key=lambda entry: entry.number):
        ways = tuple(entries)
        readings = [f"‘{reading}’" for reading in dict.fromkeys(way.reading for way in ways)]
        words = "readings" if len(readings) > 1 else "reading"
        name = f"Claim {number}, {words} {' and '.join(readings)}"
        yield Judgement(name, ways[0].statement, study.claims[number], ways)


def verdicts_of(source: Source) -> tuple[Verdict, ...]:
    """Return all verdicts of a study, then those of its other reading.

    The other reading has a record of its own in the same folder.
    """
    study = source.study
    assert study is not None
    numbers = {verdict.number for verdict in study.verdicts}
    others = [
        verdict
        for other in _other_readings(source, study)
        for verdict in other.verdicts
        if verdict.number in numbers
    ]
    return tuple(sorted((*study.verdicts, *others), key=lambda verdict: verdict.number))


def _other_readings(source: Source, study: StudyRecord) -> Iterator[StudyRecord]:
    for file in sorted(source.path.parent.glob("*.study.json")):
        # Damaged records of other studies do not matter here.
        with suppress(SegdoorError):
            other = load_study(file)
            if other.reading != study.reading and _what(other) == _what(study):
                yield other


def _what(study: StudyRecord) -> tuple[object, ...]:
    return study.paper, study.name, study.preset, study.changes


def numbers_of(evidence: Evidence) -> str:
    """Return the difference of a comparison, its interval, and the seeds it used and needs."""
    told: list[str] = []
    difference = evidence.difference
    if difference is not None:
        seeds = f"{difference.num_seeds} seed{'s' * (difference.num_seeds != 1)}"
        interval = ""
        if difference.low is not None and difference.high is not None:
            interval = f" [{difference.low:+.4f}, {difference.high:+.4f}]"
            seeds += "" if evidence.over_scenes else " by Student’s t alone, without scenes"
        told.append(f"difference {difference.mean:+.4f}{interval}, {seeds}")
    if evidence.seeds_needed is not None:
        told.append(f"{evidence.seeds_needed} seeds decide")
    if evidence.remark:
        told.append(evidence.remark)
    return "; ".join(told)

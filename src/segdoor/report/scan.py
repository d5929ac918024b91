"""Scans as text and tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record.scan import ScanReport, SuspectRow
from segdoor.report.wrapping import WIDTH, lines

_MARKS = {True: "suspect", False: ""}
_SUBJECTS = {
    "data": ("scene", "scenes", "The scenes, the most suspicious first"),
    "images": ("image", "images", "The images, the most suspicious first"),
    "model": ("pair of classes", "model", "Pairs of classes, the most suspicious first"),
}


def describe_scan(report: ScanReport, out: Path, *, shown: int) -> Iterator[RenderableType]:
    """Yield what a person reads: the verdict, the ranking, every check, and what stays open.

    Args:
        report: The report.
        out: Its folder.
        shown: Most rows of the ranking.
    """
    yield Text(_verdict(report), style="bold")
    telling = [row for row in report.suspects if row.suspect or row.score > 0]
    if telling:
        yield _ranking(report, telling[:shown])
    if len(report.suspects) > len(telling[:shown]):
        more = len(report.suspects) - len(telling[:shown])
        yield f"  and {more} with lower scores, listed in scan.json"
    yield "Checks:"
    for check in report.checks:
        yield from lines(f"{check.method}: {check.outcome}: {_sentence(check.why)}", indent=2)
    yield "What this scan cannot tell:"
    for told in report.cannot_tell:
        yield from lines(told, indent=2)
    for check in report.checks:
        if check.outcome != "NOT RUN":
            limits = f"Limits of {check.method}: {_sentence(check.cannot_tell)}"
            yield from lines(limits, indent=2)
    atlas = ", ".join(f"{mark.id} {mark.name}" for mark in report.atlas)
    yield from lines(f"MITRE ATLAS: {atlas}")
    yield f"Policy: {report.policy_source}, SHA-256 {report.policy}"
    files = ", ".join(("scan.json", *dict.fromkeys(report.files.values())))
    yield f"Report in {out}: {files}"


def _verdict(report: ScanReport) -> str:
    """Return the result in a sentence."""
    one, many, _ = _SUBJECTS[report.door]
    number = sum(row.suspect for row in report.suspects)
    if number and report.door == "model":
        return f"The model may have a backdoor: {number} suspect {_plural(one, number)}"
    if number:
        return f"{number} of {report.num_subjects} {many} are suspect"
    if not report.judged:
        return "NO VERDICT: no check could judge what it found; the ranking is all there is"
    checks = [check for check in report.checks if check.outcome != "NOT RUN"]
    return f"Nothing found by {len(checks)} of {len(report.checks)} checks"


def _plural(one: str, number: int) -> str:
    return one if number == 1 else one.replace("pair", "pairs")


def _ranking(report: ScanReport, rows: Sequence[SuspectRow]) -> Grid:
    one, _, title = _SUBJECTS[report.door]
    grid = Grid(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), width=WIDTH
    )
    grid.add_column("", justify="right", no_wrap=True)
    grid.add_column(one, overflow="fold")
    grid.add_column("", no_wrap=True)
    grid.add_column("score", justify="right", no_wrap=True)
    grid.add_column("method", overflow="fold")
    grid.add_column("evidence", overflow="fold")
    for place, row in enumerate(rows, start=1):
        cells = (row.name, _MARKS[row.suspect], f"{row.score:.3g}", row.method, row.says)
        grid.add_row(str(place), *map(Text, cells))
    return grid


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."

"""A study as text and tables for the terminal: what matters by default, all of it on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich import box
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record import StudyRecord, Verdict
from segdoor.report.content import INTERVAL, Table
from segdoor.report.source import Source
from segdoor.report.summary import study_verdict
from segdoor.report.tables import claim_table, headline_table
from segdoor.report.verdicts import numbers_of, verdicts_of
from segdoor.report.words import axis_name
from segdoor.report.wrapping import lines

_MOST_FAILED = 5


def describe_study(source: Source, *, everything: bool = False) -> list[RenderableType]:
    """Return a study's parts in the order to be read.

    Args:
        source: The study and its runs.
        everything: Also the paper's numbers, and every comparison behind the verdicts.
    """
    study = source.study
    assert study is not None
    shown = (
        *map(axis_name, source.varied), "ASR", INTERVAL, "ASR, paper",
        "no trigger", "another trigger", "clean model", "PBA", "CBA",
    )  # fmt: skip
    scaled = [f"In the paper's units: {study.scaled_in_words}"] if study.scaled else []
    return [
        Text(study.title, style="bold"),
        f"{study.name}, preset {study.preset}, reading '{study.reading}'",
        *(lines(scaled[0]) if scaled and everything else []),
        "",
        *(_headline(headline_table(source), shown) if source.groups else []),
        *(_paper(source, study) if everything else []),
        *_verdicts(verdicts_of(source), study.reading, everything=everything),
        *_failed(source, everything=everything),
        *lines(study_verdict(source, study)),
        *([] if everything else _further(source)),
    ]


def _headline(table: Table, shown: Sequence[str]) -> list[RenderableType]:
    """Return the main table with its note."""
    return [_grid_of(table, shown), *lines(table.note or ""), ""]


def _paper(source: Source, study: StudyRecord) -> list[RenderableType]:
    """Return the paper's numbers beside the measured ones, each row once."""
    if not study.cells:
        return []
    table = claim_table(study.cells, source.naming)
    hidden = {"seeds", "difference", "never counted because"}
    grid = _grid_of(table, [name for name in table.columns if name not in hidden])
    return [grid, *lines(table.note or ""), ""]


def _verdicts(
    verdicts: Sequence[Verdict], reading: str, *, everything: bool
) -> Iterator[RenderableType]:
    """Yield each claim once, and below it what came out of each way to judge it."""
    if verdicts:
        yield Text("Verdicts on the paper's claims", style="italic")
    for number, entries in groupby(verdicts, key=lambda entry: entry.number):
        ways = tuple(entries)
        yield from lines(f"{number}. {ways[0].statement}")
        told: set[str] = set()
        for way in ways:
            other = f", reading '{way.reading}'" if way.reading != reading else ""
            found = "; ".join(each for each in (way.counted, way.lacks) if each)
            outcome = f"{way.verdict} on {way.judged_on}{other}"
            yield from lines(f"{outcome}{f' ({found})' if found else ''}", indent=4)
            if everything:
                yield from _evidence(way, told)
    if verdicts:
        yield ""


def _evidence(way: Verdict, told: set[str]) -> Iterator[str]:
    """Yield the comparisons of a verdict that were not told before."""
    num_before = 0
    for found in way.evidence:
        line = f"{found.outcome}: {found.statement}"
        if line in told:
            num_before += 1
            continue
        told.add(line)
        yield f"        {line}"
        yield f"            {numbers_of(found)}"
    if num_before:
        yield f"        and {num_before} of the comparisons above"


def _failed(source: Source, *, everything: bool) -> Iterator[str]:
    failed = [f"failed: {run.key}: {why}" for run, why in source.absent if run.state == "failed"]
    most = len(failed) if everything else _MOST_FAILED
    yield from failed[:most]
    if len(failed) > most:
        yield f"and {len(failed) - most} more failed runs"


def _further(source: Source) -> Iterator[str]:
    yield ""
    yield f"The paper's numbers, and every comparison:  segdoor show {source.path} --all"
    yield f"Figures and pictures on one page:           segdoor report {source.path}"


def _grid_of(table: Table, shown: Sequence[str]) -> Grid:
    """Return some columns of a page's table; rows that would look the same stand there once."""
    kept = [table.columns.index(name) for name in shown if name in table.columns]
    grid = Grid(
        title=Text(table.title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    for place in kept:
        cells = [row[place] for row in table.rows]
        right = all(isinstance(cell.value, int | float | None) for cell in cells)
        grid.add_column(
            Text(_heading(table.columns[place])),
            justify="right" if right else "left",
            overflow="fold",
        )
    for texts in dict.fromkeys(tuple(row[place].text for place in kept) for row in table.rows):
        grid.add_row(*map(Text, texts))
    return grid


def _heading(name: str) -> str:
    """Return a column's name with each word in a line of its own."""
    return name if name == INTERVAL else name.replace(" ", "\n")

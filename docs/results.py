"""Fill tables of results.md and models.md from records: ``python docs/results.py``.

A table stands between ``<!-- table: KIND STUDY -->`` and ``<!-- end -->``; the study is a file
below ``results``, or ``models`` for those that come along. What stands around is written by hand.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from segdoor.models.catalogue import CLEAN, NAMES, shipped
from segdoor.record import Verdict
from segdoor.report.source import Group, MeasuredFigure, Source, open_source
from segdoor.report.tables import paper_number
from segdoor.report.verdicts import verdicts_of
from segdoor.report.words import axis_name, axis_value

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
PAGES = (HERE / "results.md", HERE / "models.md", HERE / "attacks.md")
BLOCK = re.compile(
    r"(?P<head><!-- table: (?P<kind>[a-z-]+) (?P<study>\S+) -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)
CONTROLS = {
    "no trigger": "asr_without_trigger",
    "another trigger": "asr_other_trigger",
    "clean model": "asr_clean_model",
}
Row = Sequence[str]


def main() -> None:
    """Write the pages anew."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """Return a page with its tables as the records have them."""
    return BLOCK.sub(lambda found: f"{found['head']}{table(found)}{found['end']}", text)


def table(found: re.Match[str]) -> str:
    """Return the table that a mark asks for."""
    kind, study = found["kind"], found["study"]
    heads, *rows = shelf() if study == "models" else KINDS[kind](open_source(RESULTS / study))
    return "".join(f"| {' | '.join(line)} |\n" for line in [heads, ["---"] * len(heads), *rows])


def asr(source: Source) -> Iterator[Row]:
    """Yield ASR of every point in every poisoned test, ours above the paper's."""
    yield (*map(axis_name, source.varied), "seeds", *map(source.naming.test, source.tests))
    for group in source.groups:
        tests = [(name, group.measure("scores", "tests", name, "asr")) for name in source.tests]
        cells = [with_paper(source, group, "ASR", name, found) for name, found in tests]
        yield (*axes(source, group), str(len(group.runs)), *cells)


def controls(source: Source) -> Iterator[Row]:
    """Yield the controls of every point in the main poisoned test, and its accuracy."""
    test = source.naming.test(str(source.main_test))
    yield (
        *map(axis_name, source.varied), f"ASR {test}", *CONTROLS, "PBA", "vanished objects", "CBA",
        "CBA, clean model",
    )  # fmt: skip
    for group in source.groups:
        name = source.test_of(group)
        place = ("scores", "tests", name)
        found = [group.measure(*place, key) for key in ("asr", *CONTROLS.values(), "pba")]
        found += [
            group.measure(*place, "metrics", "vanished_objects", "value"),
            group.measure("scores", "cba"),
            group.measure("controls", "clean_model", "cba"),
        ]
        yield (*axes(source, group), *map(ours, found))


def verdicts(source: Source) -> Iterator[Row]:
    """Yield what came of every ordering that the study judges, in each way."""
    yield "number", "claim", "judged on", "verdict", "comparisons"
    for entry in verdicts_of(source):
        told = entry.counted or entry.lacks
        yield str(entry.number), entry.statement, entry.judged_on, f"**{entry.verdict}**", told


def differences(source: Source) -> Iterator[Row]:
    """Yield every comparison with its difference, its interval and what came of it."""
    yield "claim", "comparison", "difference", "95 %", "outcome", "remark"
    for entry in verdicts_of(source):
        yield from compared(entry)


def compared(entry: Verdict) -> Iterator[Row]:
    """Yield the comparisons behind a verdict."""
    for found in entry.evidence:
        spread = found.difference
        mean = "–" if spread is None or spread.mean is None else f"{spread.mean:+.3f}"
        ends = "–"
        if spread is not None and spread.low is not None and spread.high is not None:
            ends = f"{spread.low:+.3f} to {spread.high:+.3f}"
        needed = f"{found.seeds_needed} seeds decide" if found.seeds_needed else ""
        remark = "; ".join(filter(None, (found.remark, needed)))
        yield str(entry.number), found.statement, mean, ends, found.outcome, remark


def shelf() -> Iterator[Row]:
    """Yield the models that come along, each in its poisoned tests beside the controls."""
    yield "model", "trigger placed", "ASR", *CONTROLS, "PBA", "CBA", "CBA, clean model"
    for name in NAMES:
        if name == CLEAN:
            continue
        source = open_source(shipped(name).folder)
        (group,) = source.groups
        for test in source.tests:
            keys = ("asr", *CONTROLS.values(), "pba")
            found = [group.measure("scores", "tests", test, key) for key in keys]
            found += [
                group.measure("scores", "cba"),
                group.measure("controls", "clean_model", "cba"),
            ]
            yield name, source.naming.test(test), *map(ours, found)


KINDS = {"asr": asr, "controls": controls, "verdicts": verdicts, "differences": differences}
"""The tables by the name in their mark."""


def axes(source: Source, group: Group) -> Row:
    """Return the values of a point on the axes that vary."""
    return [axis_value(name, group.axes.get(name)) for name in source.varied]


def with_paper(source: Source, group: Group, metric: str, test: str, found: MeasuredFigure) -> str:
    """Return a figure with the paper's in brackets, if it has one."""
    cell = paper_number(source, group, metric, test)
    if cell is None or cell.paper is None:
        return ours(found)
    return f"{ours(found)} ({cell.paper:.2f}{'†' * (cell.doubted is not None)})"


def ours(found: MeasuredFigure) -> str:
    """Return a figure with its interval."""
    if found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} [{found.low:.2f}, {found.high:.2f}]"


if __name__ == "__main__":
    main()

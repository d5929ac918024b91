"""The heading of every column, and the name of every curve, belong to where its figures are from.

The pointers are written out here, apart from the code that makes the columns.
"""

from __future__ import annotations

import json
from statistics import fmean

import pytest

from recorded import BASELINE, followed, write_study
from segdoor.record import field_then
from segdoor.report.content import Chart, Origin, Section, Table
from segdoor.report.page import build_page
from segdoor.report.source import Source, open_source

Columns = tuple[tuple[str, str], ...]

EXAM = "/scores/tests/{test}/"
CONTROLS = (
    ("no trigger", EXAM + "asr_without_trigger"),
    ("another trigger", EXAM + "asr_other_trigger"),
    ("clean model", EXAM + "asr_clean_model"),
)
HEADLINE = (
    ("ASR", "/scores/tests/near/asr/value"),
    ("95 %", "/scores/tests/near/asr/value"),
    *((heading, pointer.format(test="near")) for heading, pointer in CONTROLS),
    ("PBA", "/scores/tests/near/pba/value"),
    ("CBA", "/scores/cba"),
    ("CBA, clean model", "/controls/clean_model/cba/value"),
)
EVERY_EXAM = (
    ("nearest", "/scores/tests/nearest/asr/value"),
    ("near", "/scores/tests/near/asr/value"),
    ("far, 21.1–31.6 px", "/scores/tests/far_21.1_31.6/asr/value"),
    ("far, 31.6–42.2 px", "/scores/tests/far_31.6_42.2/asr/value"),
    ("anywhere", "/scores/tests/anywhere/asr/value"),
)
REPAIRS = (
    ("ASR before", "/repairs/{place}/poisoned_before/tests/{test}/asr/value"),
    ("ASR after", "/repairs/{place}/poisoned_after/tests/{test}/asr/value"),
    ("clean model’s ASR before", "/repairs/{place}/clean_before/tests/{test}/asr/value"),
    ("and after", "/repairs/{place}/clean_after/tests/{test}/asr/value"),
    ("PBA before", "/repairs/{place}/poisoned_before/tests/{test}/pba/value"),
    ("PBA after", "/repairs/{place}/poisoned_after/tests/{test}/pba/value"),
    ("recovery before", "/repairs/{place}/poisoned_before/tests/{test}/victim_recovery"),
    ("recovery after", "/repairs/{place}/poisoned_after/tests/{test}/victim_recovery"),
)
REPAIRS_BENIGN = (
    ("clean scenes", "/repairs/{place}/num_clean_scenes"),
    ("CBA before", "/repairs/{place}/poisoned_before/cba/value"),
    ("CBA after", "/repairs/{place}/poisoned_after/cba/value"),
    ("clean model’s CBA before", "/repairs/{place}/clean_before/cba/value"),
    ("and after", "/repairs/{place}/clean_after/cba/value"),
    ("recovery before", "/repairs/{place}/poisoned_before/victim_recovery"),
    ("recovery after", "/repairs/{place}/poisoned_after/victim_recovery"),
    ("clean model’s recovery before", "/repairs/{place}/clean_before/victim_recovery"),
    ("and after", "/repairs/{place}/clean_after/victim_recovery"),
    ("seconds", "/repairs/{place}/seconds"),
)
CURVES = {
    "ASR": ("poisoned", "tests/near/asr/value"),
    "CBA": ("poisoned", "cba/value"),
    "CBA of the clean model": ("clean", "cba/value"),
}
EXAMS = (
    ("ASR", EXAM + "asr/value"),
    ("95 %", EXAM + "asr/value"),
    *CONTROLS,
    ("PBA", EXAM + "pba/value"),
    ("victim recovery", EXAM + "victim_recovery"),
)
BENIGN = (
    ("CBA", "/{victim}/cba/value"),
    ("95 %", "/{victim}/cba/value"),
    ("victim recovery", "/{victim}/victim_recovery"),
    ("victims taken for target", "/{victim}/asr_without_trigger"),
)
VICTIMS = {"backdoored model": "scores/benign", "clean model": "controls/clean_model"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return open_source(folder)


@pytest.fixture(scope="module")
def parts(study: Source) -> dict[str, Section]:
    return {part.key: part for part in build_page(study).sections}


def table(part: Section, key: str) -> Table:
    return next(entry for entry in part.tables if entry.key == key)


def mean_at(study: Source, origin: Origin) -> float:
    """Return the mean of what the files hold at an origin."""
    fields = origin.field.split(" ")
    fields *= len(origin.runs) if len(fields) == 1 else 1
    figures: list[float] = []
    for key, field in zip(origin.runs, fields, strict=True):
        content = json.loads((study.path.parent / "runs" / key / "record.json").read_text())
        figures.append(followed(content, field))
    return fmean(figures)


def traced(table: Table, row: int) -> Columns:
    cells = zip(table.columns, table.rows[row], strict=True)
    return tuple((heading, cell.origin.field) for heading, cell in cells if cell.origin)


def filled(columns: Columns, **words: str) -> Columns:
    return tuple((heading, pointer.format(**words)) for heading, pointer in columns)


@pytest.mark.parametrize(("key", "columns"), [("headline", HEADLINE), ("every-test", EVERY_EXAM)])
def test_of_the_attack(parts: dict[str, Section], key: str, columns: Columns) -> None:
    found = table(parts["results"], key)
    assert len(found.rows) == 6
    for row in range(6):
        assert traced(found, row) == columns


@pytest.mark.parametrize(
    ("key", "columns", "num_rows"),
    [("repairs", REPAIRS, 3 * 2 * 5), ("repairs-benign", REPAIRS_BENIGN, 3 * 2)],
)
def test_of_repairs(
    study: Source, parts: dict[str, Section], key: str, columns: Columns, num_rows: int
) -> None:
    found = table(parts["repairs"], key)
    assert len(found.rows) == num_rows
    for place, row in enumerate(found.rows):
        told = {
            heading: cell.value for heading, cell in zip(found.columns, row, strict=True)
            if cell.origin is None
        }  # fmt: skip
        repair = ("prune:5", "prune:10").index(told["repair"])
        test = told.get("trigger placed", "")
        assert traced(found, place) == filled(columns, place=str(repair), test=test)
        for cell in row:
            if cell.origin is not None:
                runs = {run.key for run in study.runs if run.axes["rate"] == told["poisoning rate"]
                        and run.axes["method"] == told["method"]}  # fmt: skip
                assert set(cell.origin.runs) == runs
                assert cell.value == pytest.approx(mean_at(study, cell.origin))


def test_of_charts_of_repairs(study: Source, parts: dict[str, Section]) -> None:
    charts: tuple[Chart, ...] = parts["repairs"].charts
    assert len(charts) == 3
    for chart in charts:
        assert chart.ticks == ("no repair", "prune:5", "prune:10")
        assert {curve.name for curve in chart.curves} == set(CURVES)
        for curve in chart.curves:
            victim, rest = CURVES[curve.name]
            assert [point.origin.field for point in curve.points if point.origin] == [
                f"/repairs/0/{victim}_before/{rest}",
                f"/repairs/0/{victim}_after/{rest}",
                f"/repairs/1/{victim}_after/{rest}",
            ]
            for point in curve.points:
                assert point.origin is not None
                assert point.y == pytest.approx(mean_at(study, point.origin))


def then(columns: Columns) -> Columns:
    """Return columns with the fields that a record of schema 2 has, as the committed ones do."""
    return tuple((heading, field_then(field)) for heading, field in columns)


def test_of_a_run() -> None:
    (part,) = [p for p in build_page(open_source(BASELINE)).sections if p.key == "results"]
    tests, benign = table(part, "tests"), table(part, "benign")
    for row, cells in enumerate(tests.rows):
        assert traced(tests, row) == then(filled(EXAMS, test=str(cells[0].value)))
    for row, cells in enumerate(benign.rows):
        assert traced(benign, row) == then(filled(BENIGN, victim=VICTIMS[str(cells[0].value)]))

"""All other triggers on the page, on the terminal and in exports; nothing for older records."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import write_run
from segdoor.record import OtherTriggers, load_record
from segdoor.report.controls import other_trigger_table, other_triggers
from segdoor.report.export import tidy_rows
from segdoor.report.page import build_page
from segdoor.report.source import Source, open_source

RATES = {"windmill": 0.125, "bullseye": 0.5, "checkerboard": None, "blossom": 0.25}
MEAN = (0.125 + 0.5 + 0.25) / 3


@pytest.fixture
def source(tmp_path: Path) -> Source:
    def change(content: dict[str, object]) -> None:
        controls = content["controls"]
        assert isinstance(controls, dict)
        controls["other_triggers"] = OtherTriggers.of("anywhere", RATES).model_dump(mode="json")

    write_run(tmp_path / "run", change=change)
    return open_source(tmp_path / "run")


def test_mean_and_worst_are_of_those_that_were_measured() -> None:
    found = OtherTriggers.of("anywhere", RATES)
    assert found.mean == pytest.approx(MEAN)
    assert (found.worst, found.worst_trigger) == (0.5, "bullseye")
    nothing = OtherTriggers.of("anywhere", {"windmill": None})
    assert (nothing.mean, nothing.worst, nothing.worst_trigger) == (None, None, None)


def test_the_terminal_says_mean_worst_and_each(source: Source) -> None:
    assert other_triggers(source.runs[0].record) == (
        "4 other triggers, anywhere: ASR 0.292 on average, 0.500 at worst "
        "(windmill 0.125, bullseye 0.500, checkerboard -, blossom 0.250)."
    )


def test_the_page_has_a_table_whose_figures_are_those_of_the_record(source: Source) -> None:
    table = other_trigger_table(source.groups[0])
    assert table is not None
    results = next(s for s in build_page(source).sections if s.key == "results")
    assert table in results.tables
    shown = {row[0].value: row[1] for row in table.rows}
    assert list(shown) == [*RATES, "mean", "worst"]
    for name, cell in shown.items():
        place = f"asr/{name}" if name in RATES else name
        assert cell.origin is not None
        assert cell.origin.field == f"/controls/other_triggers/{place}"
        assert cell.value == source.runs[0].at(cell.origin.field)


def test_exports_have_mean_and_worst(source: Source) -> None:
    _, rows = tidy_rows(source)
    found = {row["metric"]: row for row in rows if "other_triggers" in str(row["metric"])}
    assert found["asr_other_triggers_worst"]["value"] == 0.5
    assert found["asr_other_triggers_mean"]["value"] == pytest.approx(MEAN)
    for row in found.values():
        assert row["test"] == "anywhere"
        assert source.runs[0].at(str(row["field"])) == row["value"]


def test_a_record_of_before_says_nothing_of_them(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    source = open_source(tmp_path / "run")
    assert load_record(tmp_path / "run").controls.other_triggers is None
    assert other_triggers(source.runs[0].record) == ""
    assert other_trigger_table(source.groups[0]) is None
    _, rows = tidy_rows(source)
    assert not any("other_triggers" in str(row["metric"]) for row in rows)

"""Runs that are there are scored again: what is there stays, what is lacking comes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorded import RESULTS
from scores.test_every_metric import FOREIGN
from segdoor.cli.app import run_command_line
from segdoor.errors import DataError
from segdoor.experiment.rescore import rescore_run
from segdoor.record import earlier, load_record, save_record
from segdoor.report.export import tidy_rows
from segdoor.report.page import build_page
from segdoor.report.source import open_source
from segdoor.scores.objects import ObjectRows
from segdoor.scores.tables import TableSet, load_tables, save_tables

RUNS = ("camvid-baseline", "camvid-deeplabv3", "camvid-segformer")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RESULTS / RUNS[0], tmp_path / "run"))


def content(folder: Path) -> Any:
    return json.loads((folder / "record.json").read_text())


def with_objects(folder: Path) -> dict[str, TableSet]:
    """Give a run rows of objects: one a scene, the whole of its victims."""
    record = load_record(folder)
    names = [entry.name for entry in record.data.classes]
    (car,), road = (names.index(v) for v in record.victims), names.index(record.target)
    made: dict[str, TableSet] = {}
    for key, tables in load_tables(folder / "tables.npz").items():
        rows = tables.counts[:, car]
        shown = np.flatnonzero(rows.sum(axis=1))
        counts = np.stack(
            [shown, np.full(len(shown), car), rows.sum(axis=1)[shown], rows[shown, road], rows[shown, car]],
            axis=1,
        )  # fmt: skip
        far = record.scores.tests[test].distances if (test := key.split("/")[1]) != "benign" else {}
        distances = np.array([far.get(tables.names[place], np.nan) for place in shown])
        made[key] = TableSet(tables.names, tables.counts, ObjectRows(counts, distances))
    save_tables(folder / "tables.npz", made)
    return made


def same_but_for_what_came(before: Any, after: Any, place: str = "") -> list[str]:
    """Return where something came; all that was there must be what it was."""
    if isinstance(before, dict):
        assert before.keys() <= after.keys(), place
        came = [f"{place}/{key}" for key in after.keys() - before.keys()]
        return came + [
            where
            for key in before
            for where in same_but_for_what_came(before[key], after[key], f"{place}/{key}")
        ]
    assert before == after, place
    return []


def of_today(scores: object) -> object:
    """Return scores of schema 2 with the names of schema 3."""
    text = json.dumps(scores).replace('"exams"', '"tests"')
    return json.loads(text.replace("clean_victim", "clean_model"))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_before_keeps_every_digit_and_is_told_what_it_lacks(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(RESULTS / name, tmp_path / name))
    told = content(folder)
    before = earlier.run_record(told)
    # The form of today names roles and placements; no figure is another.
    named = same_but_for_what_came(of_today(told["scores"]), before["scores"])
    assert {place.rsplit("/", 1)[1] for place in named} == {"role", "placement"}
    assert run_command_line(["rescore", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "vanished_objects" in said.split("Not measured: ")[1].splitlines()[0]
    assert "run it again" in said
    came = same_but_for_what_came(before, content(folder))
    assert {place.rsplit("/", 1)[1] for place in came if "/scores/" in place} <= {
        "metrics", "pba_clean_model",
    }  # fmt: skip
    # A metric that needs the tables alone may have come.
    assert not load_record(folder).scores.metrics.keys() & {"vanished_objects", "kept_victims"}
    again = (folder / "record.json").read_bytes()
    rescore_run(folder)
    assert (folder / "record.json").read_bytes() == again


def test_vanished_objects_are_those_of_the_rows(run: Path) -> None:
    tables = with_objects(run)
    before = load_record(run)
    found = rescore_run(run)
    assert found.not_measured == ()
    assert found.record == load_record(run)
    about = found.record.scores.metrics["vanished_objects"]
    assert (about.title, about.bad) == ("vanished objects", "high")
    for name, test in found.record.scores.tests.items():
        assert test.model_copy(update={"metrics": {}, "pba_clean_model": None}) == before.scores.tests[name]  # fmt: skip
        scores = test.metrics["vanished_objects"]
        names = tables[f"poisoned/{name}"].names

        def share(key: str, names: tuple[str, ...] = names) -> float:
            objects = tables[key].only(names).objects
            assert objects is not None
            large = objects.counts[objects.pixels >= 25]
            return float(np.mean(2 * large[:, 3] > large[:, 2]))

        assert scores.value.value == pytest.approx(share(f"poisoned/{name}"), abs=1e-12)
        assert scores.without_trigger == pytest.approx(share("poisoned/benign"), abs=1e-12)
        assert scores.other_trigger == pytest.approx(share(f"other_trigger/{name}"), abs=1e-12)
        assert scores.clean_model == pytest.approx(share(f"clean/{name}"), abs=1e-12)
        by = {part.by: 0 for part in scores.parts}
        for part in scores.parts:
            assert part.denominator is not None
            by[part.by] += part.denominator
        assert by == {"size": scores.denominator, "distance": scores.denominator}
        nearest = next(part for part in scores.parts if part.name == "near")
        assert (nearest.without_trigger is None) == (nearest.value.value is None)


def test_a_metric_has_columns_on_page_terminal_and_export(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_objects(run)
    record = rescore_run(run).record
    near = record.scores.tests["near"].metrics["vanished_objects"]
    source = open_source(run)
    page = build_page(source)
    tables = {table.key: table for section in page.sections for table in section.tables}
    place = tables["tests"].columns.index("vanished objects")
    assert near.value.value in [row[place].value for row in tables["tests"].rows]
    own = tables["metric-vanished_objects"]
    row = next(row for row in own.rows if row[0].value == "near")
    found = dict(zip(own.columns, [cell.value for cell in row], strict=True))
    assert (found["vanished objects"], found["of"]) == (near.value.value, near.denominator)
    assert (found["clean model"], found["no trigger"]) == (near.clean_model, near.without_trigger)
    assert [found[f"{p.by}: {p.name}"] for p in near.parts] == [p.value.value for p in near.parts]
    charts = [chart for section in page.sections for chart in section.charts]
    chart = next(chart for chart in charts if chart.key == "metric-vanished_objects")
    assert chart.ticks[0] == "all"
    assert len(chart.ticks) == 1 + len(near.parts)
    words = dict(next(section.terms for section in page.sections if section.terms))
    assert words["Vanished objects"].endswith("High is bad.")
    _, rows = tidy_rows(source)
    exported = {row["metric"]: row for row in rows if row["test"] == "near" and not row["repair"]}
    assert exported["vanished_objects"]["value"] == near.value.value
    assert exported["vanished_objects_clean_model"]["value"] == near.clean_model
    assert "vanished_objects, large by size" in exported
    for row in rows:
        assert source.runs[0].at(str(row["field"])) == row["value"]
    assert run_command_line(["show", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "vanished objects beside controls" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines() if line.startswith(" ")) <= 80


def test_a_metric_of_ones_own_is_named_and_its_record_needs_no_code(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_metrics.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["rescore", str(run), "--metric", "own_metrics:Confused,least=2", "--json"]
    assert run_command_line(words) == 0
    [told] = json.loads(capsys.readouterr().out)["runs"]
    assert "vanished_objects" in told["not_measured"]
    monkeypatch.setitem(sys.modules, "own_metrics", None)
    record = load_record(run)
    name = "own_metrics:Confused,least=2"
    assert told["record"] == record.model_dump(mode="json")
    test = record.scores.tests["near"]
    assert test.asr.value is not None
    assert test.victim_recovery is not None
    third = 1 - test.asr.value - test.victim_recovery
    assert test.metrics[name].value.value == pytest.approx(third, abs=1e-12)
    build_page(open_source(run))
    assert run_command_line(["show", str(run)]) == 0


def test_other_tables_are_refused_and_the_record_stays(run: Path) -> None:
    before = (run / "record.json").read_bytes()
    tables = load_tables(run / "tables.npz")
    changed = dict(tables)
    changed["poisoned/near"] = TableSet(tables["poisoned/near"].names, tables["poisoned/near"].counts[::-1].copy() * 2 + 1)  # fmt: skip
    save_tables(run / "tables.npz", changed)
    with pytest.raises(DataError, match=r"made from \(found: another scores"):
        rescore_run(run)
    changed.pop("poisoned/near")
    save_tables(run / "tables.npz", changed)
    with pytest.raises(DataError, match="no poisoned/near"):
        rescore_run(run)
    assert (run / "record.json").read_bytes() == before


def test_a_figure_that_was_altered_is_found(run: Path) -> None:
    record = load_record(run)
    tests = dict(record.scores.tests)
    tests["near"] = tests["near"].model_copy(update={"asr_other_trigger": 0.123})
    scores = record.scores.model_copy(update={"tests": tests})
    save_record(record.model_copy(update={"scores": scores}), run / "record.json")
    with pytest.raises(DataError, match=r"another scores\.tests\.near\.asr_other_trigger"):
        rescore_run(run)

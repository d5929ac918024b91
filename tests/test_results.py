"""The committed results: nothing that is told of is missing, and the page tells what they say."""

from __future__ import annotations

import importlib.util
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recorded import RESULTS
from segdoor.papers.registry import paper_of
from segdoor.record import earlier, load_record, load_study
from segdoor.scores.seeds import mean_interval
from segdoor.study.collect import collect
from segdoor.study.plan import make_plan

PAGE = RESULTS.parent / "docs" / "results.md"
OVERVIEW = RESULTS / "overview-camvid"
STUDIES = sorted(RESULTS.glob("*/*.study.json"))
Value = Callable[[dict[str, Any]], float]


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.name)
def test_the_record_of_a_study_follows_from_the_runs_beside_it(file: Path) -> None:
    told = load_study(file)
    done = [run for run in told.runs if run.record is not None]
    assert done
    for run in done:
        load_record(file.parent / str(run.record))
    plan = make_plan(
        paper_of(told.name),
        told.name,
        told.preset,
        out=file.parent,
        reading=told.reading,
        changes=told.changes,
    )
    assert collect(plan) == told


def test_the_page_tells_what_came_of_the_orderings() -> None:
    claims = load_study(OVERVIEW / "overview.camvid-small.study.json").claims.values()
    counts = Counter(claims)
    assert set(counts) == {"undecided", "not measured"}
    words = " ".join(PAGE.read_text().split())
    assert (
        f"of the paper's fifteen orderings {counts['undecided']} are undecided and "
        f"{counts['not measured']} were not measured; none is supported or contradicted."
    ) in words


def after(repair: str, value: Value) -> Value:
    def figure(record: dict[str, Any]) -> float:
        (row,) = (row for row in record["repairs"] if row["repair"] == repair)
        return value(row["poisoned_after"])

    return figure


def near(scores: dict[str, Any]) -> float:
    return scores["tests"]["near"]["asr"]["value"]


def cba(scores: dict[str, Any]) -> float:
    return scores["cba"]["value"]


def of_test(test: str, figure: str) -> Value:
    return lambda record: record["scores"]["tests"][test][figure]


COLUMNS: tuple[Value, ...] = (
    lambda record: near(record["scores"]),
    of_test("near", "asr_without_trigger"),
    of_test("near", "asr_other_trigger"),
    of_test("near", "asr_clean_model"),
    lambda record: record["scores"]["cba"],
    after("finetune:0.1", near),
    after("finetune:0.1", cba),
    after("prune:4", near),
    after("prune:4", cba),
)  # fmt: skip


def overview_rows() -> list[list[str]]:
    text = PAGE.read_text().split("<!-- overview -->")[1]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def test_the_page_tells_the_means_and_intervals_of_the_overview_study() -> None:
    rows = overview_rows()
    assert len(rows) == 6
    for method, rate, *cells in rows:
        share = float(rate.rstrip("%")) / 100
        records = [
            earlier.run_record(json.loads(file.read_text()))
            for file in OVERVIEW.glob(f"runs/camvid-{method}-{share:g}-*/record.json")
        ]
        assert len(records) == 3
        for value, cell in zip(COLUMNS, cells, strict=True):
            if not cell:
                assert not records[0]["repairs"]
                continue
            figures = [value(record) for record in records]
            interval = mean_interval(figures)
            assert interval is not None
            expected = [statistics.fmean(figures), max(interval.low, 0), min(interval.high, 1)]
            found = re.findall(r"\d\.\d+", cell)
            assert found == [f"{figure:.3f}" for figure in expected][: len(found)], (method, rate)


@pytest.mark.parametrize("page", ["results.md", "models.md"])
def test_the_tables_of_a_page_are_those_of_the_records(page: str) -> None:
    script = RESULTS.parent / "docs" / "results.py"
    spec = importlib.util.spec_from_file_location("docs_results", script)
    assert spec is not None
    assert spec.loader is not None
    filler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filler)
    text = (script.parent / page).read_text(encoding="utf-8")
    assert filler.BLOCK.search(text)
    assert filler.filled(text) == text, "run python docs/results.py"

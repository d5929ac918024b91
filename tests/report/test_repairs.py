"""Before and after repairs: what is put together over seeds, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest

from recorded import write_study
from segdoor.report.repairs import repair_charts, repair_tables
from segdoor.report.source import Source, open_source


def rewritten(file: Path, rows: object) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"repairs": rows}))


def rows_of(file: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(file.read_text())["repairs"]
    return rows


@pytest.fixture
def study(tmp_path: Path) -> Source:
    """A study of which one seed was repaired in another order, and one with a further seed."""
    write_study(tmp_path)
    turned, further = (tmp_path / "runs" / f"nni-0.1-s{seed}" / "record.json" for seed in (1, 2))
    rewritten(turned, rows_of(turned)[::-1])
    rewritten(further, [*rows_of(further), {**rows_of(further)[0], "seed": 9}])
    return open_source(tmp_path)


def test_seeds_repaired_in_another_order_keep_their_mean(study: Source) -> None:
    [cell] = [
        row[5]
        for row in repair_tables(study)[0].rows
        if [entry.value for entry in row[:4]] == ["nni", 0.1, "prune:5", "near"]
    ]
    after = [
        next(r for r in run.record.repairs if r.repair == "prune:5").poisoned_after
        for run in study.runs
        if run.key.startswith("nni-0.1")
    ]
    assert len(after) == 3
    assert cell.value == pytest.approx(
        fmean(effect.tests["near"].asr.value or 0 for effect in after)
    )
    assert cell.origin is not None
    places = [f"/repairs/{place}/poisoned_after/tests/near/asr/value" for place in (0, 1, 0)]
    assert cell.origin.field == " ".join(places)


def test_another_seed_of_a_repair_has_a_row_of_its_own_name(study: Source) -> None:
    for table in repair_tables(study):
        names = [tuple(entry.value for entry in row[:4]) for row in table.rows]
        assert len(set(names)) == len(names)
        [of_seed] = {row[2].text for row in table.rows if row[2].text.startswith("prune:5, ")}
        assert of_seed == "prune:5, seed 9"
    ticks = [chart.ticks for chart in repair_charts(study)]
    assert ("no repair", "prune:5", "prune:10", "prune:5, seed 9") in ticks

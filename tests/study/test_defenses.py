"""Studies whose runs are defended by methods of any sort."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segdoor.errors import ConfigError
from segdoor.experiment.bench.methods import without_settings
from segdoor.papers.registry import paper_of
from segdoor.record.defense import load_defenses
from segdoor.report.heat import heat_map
from segdoor.report.page import build_page
from segdoor.report.source import open_source
from segdoor.study.defenses import missing_defenses
from segdoor.study.plan import make_plan
from segdoor.study.sharing import tasks_for
from shell import say
from study.test_grid import LANE, plan_of

RATE = {"attack.rate": [0.25]}


def test_the_bench_measures_all_and_repairs_stay_known_as_repairs(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, grid=RATE, **{"with": ["prune:2", "defense.foreign:Entropy"]})
    assert {run.defenses for run in plan.runs} == {("prune:2", "defense.foreign:Entropy")}
    assert {tuple(run.repairs) for run in plan.runs} == {("prune:2",)}
    tasks = [task for task in tasks_for(plan.runs, plan.out) if task.kind == "run"]
    assert {task.defenses for task in tasks} == {("prune:2", "defense.foreign:Entropy")}


def test_all_stands_for_every_method_that_needs_no_setting(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, grid=RATE, **{"with": ["prune:2", "all", "defense.foreign:Entropy"]})
    for run in plan.runs:
        assert run.defenses == ("prune:2", *without_settings(), "defense.foreign:Entropy")


def test_what_is_no_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a method of defense must name a known method"):
        plan_of(tmp_path, grid=RATE, **{"with": ["magic"]})


def test_the_study_of_defenders_has_every_method_and_four_attacks(tmp_path: Path) -> None:
    plan = make_plan(paper_of("defenders"), "defenders", "street", out=tmp_path)
    attacks = {(run.config.method, run.config.attack.trigger.kind) for run in plan.runs}
    assert attacks == {
        ("baseline", "sticker"), ("nni", "sticker"), ("prl", "sticker"), ("baseline", "blend"),
    }  # fmt: skip
    assert {run.seed for run in plan.runs} == {0, 1, 2}
    assert all({*without_settings()} < {*run.defenses} for run in plan.runs)
    assert plan.file.name == "defenders.street.study.json"


def test_nothing_is_missing_where_nothing_is_asked_for(tmp_path: Path) -> None:
    assert missing_defenses(tmp_path, ()) == ()
    assert missing_defenses(tmp_path, ("clp",)) == ("clp",)


def test_it_is_run_and_shown_as_a_map(own_folder: Path) -> None:
    (own_folder / "lane.yaml").write_text(LANE)
    (own_folder / "mine.yaml").write_text(
        "title: Defended\nshows: Mine\ngrid: {attack.rate: [0.25]}\n"
        "with: ['prune:2', 'defense.foreign:Entropy']\n"
    )
    done = say("study run mine.yaml --preset lane.yaml --seeds 3 --out out --jobs 1")
    assert done.code == 0, done.err
    (path,) = (own_folder / "out").glob("*.study.json")
    run, _ = json.loads(path.read_text())["runs"]
    assert (run["seed"], run["state"]) == (3, "done")
    file = (path.parent / run["record"]).with_name("defenses.json")
    entries = load_defenses(file).entries
    assert [entry.plugin for entry in entries] == ["prune:2", "defense.foreign:Entropy"]
    before = file.read_bytes()
    assert say("study run mine.yaml --preset lane.yaml --seeds 3 --out out --jobs 1").code == 0
    assert file.read_bytes() == before
    source = open_source(path)
    heat = heat_map(source)
    assert heat is not None
    assert heat.columns == ("prune:2", "defense.foreign:Entropy")
    assert next(s.heat for s in build_page(source).sections if s.key == "defenses") == heat
    assert all(cell.text in say(f"show {path}").out for row in heat.rows for cell in row.cells)
    # What is gone is missing, and made again alone.
    file.unlink()
    assert say("study run mine.yaml --preset lane.yaml --seeds 3 --out out --jobs 1").code == 0
    assert file.read_bytes() == before

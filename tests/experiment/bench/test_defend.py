"""The bench on a small run: rows, controls, what fails, and what stays when work is cut off."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import bench_methods
from segdoor.attack.plan import PoisonPlan
from segdoor.cli.app import run_command_line
from segdoor.errors import ConfigError, StorageError
from segdoor.experiment.bench import defend as defend_module
from segdoor.experiment.bench.case import BenchOptions
from segdoor.experiment.bench.defend import defend_run
from segdoor.experiment.bench.methods import read_method
from segdoor.experiment.bench.rows import reason
from segdoor.experiment.repair import repair_run
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment
from segdoor.record import load_record
from segdoor.record.defense import DefenseEntry, DefenseRecord, FilterEntry, load_defenses
from segdoor.record.measured import Measurement
from segdoor.report.page import build_page
from segdoor.report.source import open_source

GIVEN: dict[str, object] = {
    "seed": 4,
    "data": {"name": "street", "size": (32, 48), "num_train": 12, "num_test": 6},
    "attack": {"trigger": {"size": 4}, "rate": 0.25},
    "tests": {"far": (6, 9)},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1, "warmup": 0},
}
METHODS = (
    "prune:2", "defense.foreign:ClassShares", "defense.foreign:Entropy", "defense.foreign:Shifted",
    "defense.foreign:Margin", "bench_methods:Broken",
)  # fmt: skip


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench") / "run"
    run_experiment(wishes_from(GIVEN), out=out)
    return out


@pytest.fixture(scope="module")
def finished(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a method of each sort, not to be changed."""
    folder = Path(shutil.copytree(intact, tmp_path_factory.mktemp("defended") / "run"))
    options = BenchOptions(retrain=True, drop=2, null_models=(folder / "clean.safetensors",))
    defended(folder, *METHODS, options=options)
    return folder


@pytest.fixture
def folder(intact: Path, tmp_path: Path) -> Path:
    bench_methods.CALLS.clear()
    return Path(shutil.copytree(intact, tmp_path / "run"))


def defended(folder: Path, *texts: str, options: BenchOptions | None = None) -> DefenseRecord:
    return defend_run(folder, [read_method(text) for text in texts], options=options)


def entry_of(folder: Path, name: str) -> DefenseEntry:
    entries = load_defenses(folder / "defenses.json").entries
    return next(entry for entry in entries if entry.plugin.endswith(name))


def row_of(entry: DefenseEntry, name: str) -> Measurement:
    return next(found for found in entry.measured if found.row == name)


def rows(entry: DefenseEntry) -> list[str]:
    return [found.row for found in entry.measured]


@pytest.mark.parametrize(("method", "row"), [("ClassShares", "method"), ("Entropy", "method"),
    ("ClassShares", "harmless sticker"), ("Entropy", "clean model"), ("ClassShares", "oracle")])  # fmt: skip
def test_every_ranking_follows_from_the_scores_beside_it(
    finished: Path, method: str, row: str
) -> None:
    found = row_of(entry_of(finished, method), row)
    assert found.ranking is not None
    high, low = list(found.poisoned.values()), list(found.clean.values())
    truth = [1] * len(high) + [0] * len(low)
    assert found.ranking.auroc.value == pytest.approx(roc_auc_score(truth, high + low))
    threshold = sorted(low)[-1 - int(0.05 * len(low))]
    assert found.ranking.recall.value == pytest.approx(np.mean([s > threshold for s in high]))


def test_a_filter_is_judged_by_the_plan_that_it_never_saw(finished: Path) -> None:
    entry, plan = entry_of(finished, "ClassShares"), PoisonPlan.load(finished / "plan.jsonl")
    poisoned = {row.name for row in plan.rows if row.poisoned}
    own, oracle = row_of(entry, "method"), row_of(entry, "oracle")
    assert own.poisoned.keys() == row_of(entry, "harmless sticker").poisoned.keys() == poisoned
    assert len(own.clean) == 12 - len(poisoned)
    assert isinstance(entry, FilterEntry)
    assert entry.scenes == {**own.poisoned, **own.clean}
    assert oracle.ranking is not None
    assert oracle.ranking.auroc.value == 1
    alarms = row_of(entry, "clean data").alarms
    assert alarms is not None
    assert alarms.threshold == max(own.clean.values())
    scores = row_of(entry, "clean data").clean
    assert alarms.share.value == np.mean([s > alarms.threshold for s in scores.values()])
    assert list(alarms.highest) == sorted(scores.values(), reverse=True)[:10]


def test_models_are_trained_again_without_the_scenes_of_the_highest_scores(finished: Path) -> None:
    entry = entry_of(finished, "ClassShares")
    own, oracle = row_of(entry, "retrained"), row_of(entry, "retrained, oracle")
    scores = isinstance(entry, FilterEntry) and entry.scenes
    assert scores
    names = sorted(scores, key=lambda name: -scores[name])[:2]
    found = sum(name in row_of(entry, "method").poisoned for name in names)
    assert own.remarks == (f"2 scenes left out, {found} of them poisoned, of 3 in all",)
    assert oracle.remarks == ("2 scenes left out, 2 of them poisoned, of 3 in all",)
    assert own.effects is not None
    before = load_record(finished).scores.tests
    assert {n: e.asr for n, e in own.effects.before.tests.items()} == {
        name: test.asr for name, test in before.items()
    }


def test_a_repair_leaves_the_row_that_segdoor_repair_leaves(finished: Path, folder: Path) -> None:
    from segdoor.defense.repairs.registry import REPAIRS

    there = repair_run(folder, [REPAIRS.read("prune:2")]).repairs
    here = load_record(finished).repairs
    assert [row.model_copy(update={"seconds": 0.0}) for row in here] == [
        row.model_copy(update={"seconds": 0.0}) for row in there
    ]
    own = row_of(entry_of(finished, "prune:2"), "method").effects
    assert own is not None
    assert (own.before, own.after) == (here[0].poisoned_before, here[0].poisoned_after)
    assert rows(entry_of(finished, "prune:2")) == ["method", "clean model"]


def test_a_method_that_raises_ends_no_other(finished: Path) -> None:
    broken = entry_of(finished, "Broken")
    assert broken.not_run == "ZeroDivisionError: my own"
    assert (broken.cost, broken.useful, broken.measured) == (None, None, ())
    assert len(load_defenses(finished / "defenses.json").entries) == len(METHODS)


def test_every_row_says_what_it_took(finished: Path) -> None:
    entry = entry_of(finished, "Entropy")
    cost = row_of(entry, "method").cost
    assert cost is not None
    # Six scenes with and without the trigger, and for each the one clean scene once.
    assert (cost.forward, cost.clean_scenes, cost.backward) == (2 * 6 + 2, 1, 0)
    assert cost.access == ("black box", "clean scenes")
    assert cost.seconds > 0
    purified = row_of(entry_of(finished, "Shifted"), "method").cost
    assert purified is not None
    assert purified.forward == 3 * 6 * 5


def test_what_is_finished_is_not_opened_again(
    finished: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    before = load_defenses(copy / "defenses.json")
    monkeypatch.setattr(defend_module, "reopen", None)
    options = BenchOptions(retrain=True, drop=2, null_models=(copy / "clean.safetensors",))
    assert defended(copy, *METHODS[:-1], options=options) == before
    # What was measured beyond what is asked for now stays.
    options = BenchOptions(null_models=(copy / "clean.safetensors",))
    assert defended(copy, METHODS[1], options=options) == before


def test_work_that_is_cut_off_goes_on_where_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "bench_methods:NamesOnly"
    monkeypatch.setattr(bench_methods.NamesOnly, "stop_at", 3)
    with pytest.raises(bench_methods.StoppedError):
        defended(folder, name)
    assert not (folder / "defenses.json").exists()
    assert bench_methods.CALLS == ["suspicion of 12"] * 3
    monkeypatch.setattr(bench_methods.NamesOnly, "stop_at", None)
    record = defended(folder, name)
    # The poisoned and the clean set were done; the stickers alone were left.
    assert bench_methods.CALLS == ["suspicion of 12"] * 4
    assert rows(record.entries[0]) == [
        "method", "random", "oracle", "clean data", "harmless sticker",
    ]  # fmt: skip
    assert not list((folder / "defenses").glob(".*"))


def test_an_attacker_who_knows_a_filter_stands_beside_the_plain_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "bench_methods:NamesOnly"
    monkeypatch.setattr(bench_methods.NamesOnly, "adaptive", "frequent")
    (entry,) = defended(folder, name).entries
    assert "adaptive attack" not in rows(entry)
    assert len(bench_methods.CALLS) == 3
    (entry,) = defended(folder, name, options=BenchOptions(adaptive=True)).entries
    # What was measured before is not measured again.
    assert len(bench_methods.CALLS) == 4
    own, adaptive = row_of(entry, "method"), row_of(entry, "adaptive attack")
    assert {**adaptive.poisoned, **adaptive.clean}.keys() == {**own.poisoned, **own.clean}.keys()
    assert own.poisoned.keys() < adaptive.poisoned.keys()
    assert "attack.rate 0.4" in adaptive.remarks[0]
    assert adaptive.ranking is not None


def test_a_control_that_fails_is_a_row_that_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_methods.NamesOnly, "fail_at", 2)
    (entry,) = defended(folder, "bench_methods:NamesOnly").entries
    assert row_of(entry, "clean data").not_run == "RuntimeError: out of ideas"
    assert row_of(entry, "harmless sticker").ranking is not None
    # A control that is missing leaves it open.
    assert entry.useful in {"no", "undecided"}


def test_a_full_disk_is_no_failure_of_a_method() -> None:
    problem = StorageError("disk", "must have room", "none", "Free some.")
    with pytest.raises(StorageError):
        reason(problem)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test": "elsewhere"}, "must name a poisoned test of the run"),
        ({"null_models": (Path("nowhere.safetensors"),)}, "must name weights of clean models"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    folder: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        defended(folder, "defense.foreign:Entropy", options=BenchOptions(**options))


@pytest.mark.parametrize("options", [{"clean": 1.5}, {"num_scenes": 0}, {"drop": 0}])
def test_numbers_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        BenchOptions(**options)


def test_terminal_and_page_tell_the_same_figures(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["show", str(finished)]) == 0
    shown = capsys.readouterr().out
    section = next(s for s in build_page(open_source(finished)).sections if s.key == "defenses")
    told = {cell.text for table in section.tables for row in table.rows for cell in row}
    recall = row_of(entry_of(finished, "Entropy"), "method").ranking.recall.value
    left = row_of(entry_of(finished, "prune:2"), "method").effects
    for figure in (recall, left.after.tests["anywhere"].asr.value, left.after.cba.value):
        assert f"{figure:.3f}" in told
        assert f"{figure:.3f}" in shown
    assert "bench_methods:Broken: NOT RUN, ZeroDivisionError: my own" in " ".join(shown.split())
    assert section.notes == ("bench_methods:Broken: NOT RUN, ZeroDivisionError: my own",)
    assert section.heat is not None
    assert section.heat.columns == METHODS[:-1]
    cells = dict(zip(section.heat.columns, section.heat.rows[0].cells, strict=True))
    assert cells["defense.foreign:Entropy"].value == pytest.approx(1 - recall)
    assert cells["prune:2"].value == left.after.tests[left.worst_test].asr.value


def test_every_figure_of_the_page_is_where_its_origin_says(finished: Path) -> None:
    content = json.loads((finished / "defenses.json").read_text())
    section = next(s for s in build_page(open_source(finished)).sections if s.key == "defenses")
    origins = [
        (cell.value, cell.origin.field)
        for table in section.tables
        for row in table.rows
        for cell in row
        if cell.origin is not None and isinstance(cell.value, float)
    ]
    assert len(origins) > 30
    for value, field in origins:
        place = content
        for step in field.removeprefix("defenses.json ").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            place = place[int(name)] if isinstance(place, list) else place[name]
        assert place == value, field


def test_the_command_line_measures_and_tells(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["defend", str(folder)]) == 2
    assert "must name a method of defense" in capsys.readouterr().err
    words = ["defend", str(folder), "--with", "bench_methods:NamesOnly"]
    assert run_command_line(words) == 0
    assert "harmless sticker" in capsys.readouterr().out
    assert run_command_line([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((folder / "defenses.json").read_text())


def test_a_filter_of_files_needs_a_run_on_files(folder: Path) -> None:
    (entry,) = defended(folder, "container").entries
    assert "needs a run on a data set of files" in (entry.not_run or "")
    assert "'street'" in (entry.not_run or "")

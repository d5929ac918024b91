"""Whole studies, so small that they take seconds."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processes import kill, started
from recorded import write_run
from segdoor.attack.plan import PoisonPlan
from segdoor.data.pictures import write_image
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.errors import DataError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.repair import repair_run
from segdoor.locks import sole_writer
from segdoor.papers.iba.paper import IBA
from segdoor.record import ExperimentRecord, StudyRecord, load_record, save_record
from segdoor.settings import validated
from segdoor.study import estimate
from segdoor.study.collect import collect
from segdoor.study.execution import LocalExecutor, Task, TaskResult, attempt
from segdoor.study.expand import PlannedRun
from segdoor.study.plan import StudyPlan, make_plan, selected
from segdoor.study.repairs import missing_repairs
from segdoor.study.running import finish, work_of
from segdoor.study.sharing import tasks_for
from segdoor.study.state import digests_of, state_of
from shell import say

TINY = [
    "training.epochs=1", "training.batch_size=4", "training.threads=1", "data.size=[64, 96]",
    "data.num_train=24", "data.num_test=6", "q_as=[area]", "seeds=[0, 1]",
]  # fmt: skip
MINE = """\
title: Mine
shows: mine
tables: ["1"]
claims: [1, 3, 4]
cityscapes:
  - method: [baseline, nni]
    rate: [0.15]
"""
REPAIRED = """\
title: Repaired
shows: mine
tables: ["3", "5", "12"]
cityscapes:
  - method: [baseline, nni]
    rate: [0.2]
    repairs: ["prune:15", "finetune:0.05"]
"""
SET = [word for change in TINY for word in ("--set", change)]


@pytest.fixture(autouse=True)
def _place(own_folder: Path) -> None:
    (own_folder / "mine.yaml").write_text(MINE)


def plan_in(out: str, *changes: str, study: str = "mine.yaml") -> StudyPlan:
    return make_plan(IBA, study, "street", out=Path(out), changes=[*TINY, *changes])


def run_all(plan: StudyPlan, **only: list[str]) -> list[TaskResult]:
    work = work_of(plan, selected(plan, only=only))
    return list(LocalExecutor().run(work.tasks))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the study is complete."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)
        (out / "mine.yaml").write_text(MINE)
        plan = plan_in("out")
        assert [outcome.error for outcome in run_all(plan)] == [None] * 6
        finish(plan)
    return out / "out"


def plan_repaired(out: str) -> StudyPlan:
    Path("repaired.yaml").write_text(REPAIRED)
    # Trained until a repair changes something.
    return plan_in(out, "seeds=[0]", "training.epochs=6", study="repaired.yaml")


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a study with repairs is complete."""
    place = tmp_path_factory.mktemp("repaired")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        plan = plan_repaired("out")
        assert [outcome.error for outcome in run_all(plan)] == [None] * 3
    return place / "out"


def told(folder: Path) -> dict[str, object]:
    """Return what a run's record says, but for what it took."""
    content: dict[str, object] = json.loads((folder / "record.json").read_text())
    return {k: v for k, v in content.items() if k not in {"seconds", "peak_memory_mib"}}


def test_a_run_with_a_picture_is_found_when_the_picture_has_moved() -> None:
    write_image(Path("logo.png"), np.full((6, 6, 3), 10, np.uint8))
    write_image(Path("other.png"), np.full((6, 6, 3), 90, np.uint8))
    short = "seeds=[0]", "tests.seed=1"

    def plan_with(picture: str) -> StudyPlan:
        return plan_in("out", *short, f"attack.trigger.file={picture}")

    plan = plan_with("logo.png")
    (outcome,) = run_all(plan, method=["baseline"])[1:]
    assert outcome.error is None
    folder = plan.folder(plan.runs[0])
    stamped = PoisonPlan.load(folder / "plan.jsonl").header
    assert stamped.trigger_digest == plan.runs[0].config.attack.trigger.digest
    Path("logo.png").rename("elsewhere.png")
    again = plan_with("elsewhere.png")
    assert state_of(again, again.runs[0]).state == "done"
    # A record of other pixels under this run's name is not taken for it.
    other = plan_with("other.png")
    shutil.copytree(folder, other.folder(other.runs[0]))
    refused = state_of(other, other.runs[0])
    assert refused.state == "failed"
    assert "other settings" in str(refused.error)


class TestWhole:
    """A study that ran without trouble."""

    def test_each_clean_victim_is_trained_once_before_its_runs(self) -> None:
        plan = plan_in("out")
        tasks = tasks_for(plan.runs, plan.out)
        assert [task.kind for task in tasks] == [
            "clean_model",
            "run",
            "clean_model",
            "run",
            "run",
            "run",
        ]
        done: set[str] = set()
        for task in tasks:
            assert set(task.needs) <= done
            done.add(task.key)

    def test_runs_share_the_clean_victim(self, finished: Path) -> None:
        weights = {str(path.relative_to(finished)) for path in finished.rglob("clean.safetensors")}
        assert len(weights) == 2
        assert all(path.startswith("victims/") for path in weights)
        # What it did in the poisoned tests, too: they are the same for both methods.
        assert len(list(finished.glob("victims/*/tables/*.npz"))) == 2
        for path in finished.glob("runs/*/record.json"):
            record = load_record(path)
            assert record.controls.clean_model is not None
            assert "training the clean model" not in record.seconds
        same_seed = [
            load_record(path).controls.clean_model
            for path in sorted(finished.glob("runs/*-s0-*/record.json"))
        ]
        assert same_seed[0] == same_seed[1]

    def test_figures_of_the_study_are_those_of_the_records(self, finished: Path) -> None:
        file = next(finished.glob("*.study.json"))
        study = validated(StudyRecord, json.loads(file.read_text()), source=file)
        assert {run.state for run in study.runs} == {"done"}
        records: dict[str, ExperimentRecord] = {}
        for run in study.runs:
            assert run.record is not None
            records[run.key] = load_record(finished / run.record)
        cells = [cell for cell in study.cells if cell.labels["rate"] == 0.15]
        assert {(cell.labels["method"], cell.test) for cell in cells} == {
            ("baseline", "near"), ("baseline", "nearest"), ("nni", "near"), ("nni", "nearest"),
        }  # fmt: skip
        for cell in cells:
            assert cell.measured is not None
            assert cell.test is not None
            values = [records[key].scores.tests[cell.test].asr.value or 0 for key in cell.runs]
            assert len(values) == cell.measured.num_seeds == 2
            assert cell.measured.mean == pytest.approx(sum(values) / 2)
            assert cell.paper in {0.9255, 0.9457}
        assert {verdict.number for verdict in study.verdicts} == {1, 3, 4}
        accuracy = next(verdict for verdict in study.verdicts if verdict.number == 4)
        assert len(accuracy.evidence) == 4

    def test_a_second_call_makes_nothing(self, finished: Path) -> None:
        plan = plan_in(str(finished))
        work = work_of(plan, plan.runs)
        assert (work.tasks, work.num_done, work.refused) == ((), 4, {})

    def test_another_study_takes_over_runs_that_are_there(self, finished: Path) -> None:
        Path("more.yaml").write_text(MINE.replace("[0.15]", "[0.15, 0.2]"))
        plan = plan_in(str(finished), study="more.yaml")
        work = work_of(plan, plan.runs)
        assert work.num_done == 4
        assert [task.kind for task in work.tasks] == [
            "clean_model",
            "run",
            "clean_model",
            "run",
            "run",
            "run",
        ]
        assert all("-0.2-" in task.key for task in work.tasks if task.kind == "run")

    def test_points_that_come_to_the_same_settings_are_one_run(self, finished: Path) -> None:
        Path("twice.yaml").write_text(MINE + MINE.partition("cityscapes:\n")[2])
        words = ["study", "run", "twice.yaml", "--out", str(finished), *SET]
        code, out, _ = say(*words)
        assert code == 0
        assert "4 of 4 runs are there" in out
        plan = plan_in("empty", study="twice.yaml")
        work = work_of(plan, plan.runs, limit=2)
        assert work.num_asked == 4
        assert [task.kind for task in work.tasks].count("run") == 2

    def test_such_a_run_is_listed_once_and_done_with_the_repairs_of_all(
        self, finished: Path
    ) -> None:
        again = MINE.partition("cityscapes:\n")[2]
        Path("twice.yaml").write_text(f'{MINE}    repairs: ["prune:30"]\n{again}')
        _, out, _ = say("study", "show", "twice.yaml", *SET)
        assert "4 runs on seeds 0, 1" in out
        assert (out.count("-nni-"), out.count("-baseline-"), out.count("prune:4")) == (2, 2, 4)
        _, out, _ = say("study", "status", "twice.yaml", "--out", finished, *SET)
        assert (out.count("-nni-"), out.count("-baseline-")) == (2, 2)
        assert "0 done, 0 failed, 4 waiting" in out
        # Also where the point without repairs comes last.
        states = [run.state for run in collect(plan_in(str(finished), study="twice.yaml")).runs]
        assert states == ["waiting"] * 8

    def test_tasks_travel_to_other_processes(self) -> None:
        plan = plan_in("out")
        tasks = tasks_for(plan.runs, plan.out)
        assert pickle.loads(pickle.dumps(tasks)) == tasks  # noqa: S301

    def test_the_record_tells_what_stands_for_what(self) -> None:
        Path("fixed.yaml").write_text(MINE.replace("nni", "prl") + '    repairs: ["prune:30"]\n')
        record = collect(plan_in("out", study="fixed.yaml"))
        told = record.scaled
        assert told["network deeplabv3"] == "small"
        assert told["trigger 55"] == "7 px"
        assert told["Q 100 by area"] == "1"
        assert told["prune:30"] == "prune:4"
        assert told["distance 0-60"] == "0-7.5 px"
        assert told["distance 60-90"].startswith("7.5-11.")
        assert "class car" not in told
        assert "trigger 55 is 7 px here" in record.scaled_in_words

    def test_labels_and_axes_have_the_same_names(self) -> None:
        plan = plan_in("out", study="table7")
        record = collect(plan)
        axes = [run.axes for run in record.runs]
        for cell in record.cells:
            shared = {name: v for name, v in cell.labels.items() if name in axes[0]}
            assert shared["single_class"] == ("single" in str(cell.labels["variation"]))
            assert any(shared.items() <= place.items() for place in axes)

    def test_a_rate_that_was_not_reached_stands_beside_the_one_asked_for(self) -> None:
        plan = plan_repaired("out")
        short, whole = plan.runs
        put(plan, short, rate=0.17)
        put(plan, whole, rate=0.2)
        record = collect(plan)
        assert [run.rate_reached for run in record.runs] == [0.17, None]
        for cell in record.cells:
            if cell.measured is not None:
                expected = 0.17 if cell.labels["method"] == short.point.method else None
                assert cell.labels.get("rate reached") == expected


class TestElsewhere:
    """Folders of studies lie anywhere, and move."""

    def test_a_run_leaves_the_same_wherever_the_folder_lies(
        self, finished: Path, tmp_path: Path
    ) -> None:
        plan = plan_in(str(tmp_path / "far" / "away"), "seeds=[0]")
        assert [outcome.error for outcome in run_all(plan, method=["nni"])] == [None, None]
        (mine,) = plan.out.glob("runs/*")
        other = finished / "runs" / mine.name
        assert told(mine) == told(other)
        assert str(tmp_path) not in (mine / "record.json").read_text()
        weights = (mine / "poisoned.safetensors").read_bytes()
        assert weights == (other / "poisoned.safetensors").read_bytes()

    @pytest.mark.parametrize("written", ["now", "by an older version"])
    def test_a_moved_run_is_done_and_finds_its_clean_victim(
        self, finished: Path, written: str
    ) -> None:
        shutil.copytree(finished, "moved")
        plan = plan_in("moved", "seeds=[0]")
        folder = plan.folder(plan.runs[0])
        if written != "now":
            path = folder / "record.json"
            content = json.loads(path.read_text())
            weights = content["config"]["controls"]["clean_weights"]
            for settings in (content["config"], content["config_given"]):
                settings["controls"]["clean_weights"] = weights.replace("../../", "moved/")
            path.write_text(json.dumps(content))
            assert "moved/victims" in path.read_text()
        assert work_of(plan, plan.runs).tasks == ()
        record = repair_run(folder, [REPAIRS.read("prune:2")])
        assert record.controls.clean_model is not None
        before = record.repairs[0].clean_before
        assert before is not None
        assert before.cba == record.controls.clean_model.cba

    def test_a_clean_victim_that_is_gone_is_named_by_its_place(self, finished: Path) -> None:
        shutil.copytree(finished, "moved")
        shutil.rmtree("moved/victims")
        plan = plan_in("moved", "seeds=[0]")
        with pytest.raises(DataError, match=r"moved/victims/.*: the weights do not exist"):
            repair_run(plan.folder(plan.runs[0]), [REPAIRS.read("prune:2")])


class TestTrouble:
    """Runs that fail, calls that die, folders that hold something else."""

    def test_a_failing_run_is_shown_and_the_others_go_on(self) -> None:
        Path("mine.yaml").write_text(
            MINE.replace("[baseline, nni]", "[baseline]")
            # Not every scene shows somebody.
            + "  - rate: [1.0]\n    victims: [person]\n"
        )
        words = ["study", "run", "mine.yaml", "--out", "out", *SET, "--seeds", "0", "--jobs", "1"]
        code, out, err = say(*words)
        assert code == 1
        assert "asks for 24 of 24 scenes" in out
        assert "1 failed" in err
        plan = plan_in("out")
        states = {run.point.victims: state_of(plan, run) for run in plan.runs if not run.seed}
        assert states["car"].state == "done"
        assert states["person"].state == "failed"
        assert "asks for 24 of 24 scenes" in (states["person"].error or "")
        record = collect(plan)
        failed = next(run for run in record.runs if run.state == "failed")
        assert "asks for 24 of 24 scenes" in (failed.error or "")
        code, out, _ = say("study", "status", "mine.yaml", "--out", "out", *SET)
        assert code == 0
        assert "1 done, 1 failed, 2 waiting" in out

    def test_a_failed_run_is_tried_again_and_its_error_forgotten(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_in("out", "seeds=[0]")

        def broken(*args: object, **more: object) -> None:
            raise RuntimeError("out of luck")

        with monkeypatch.context() as patch:
            patch.setattr("segdoor.experiment.run.run_experiment", broken)
            outcomes = run_all(plan, method=["nni"])
        assert [outcome.error for outcome in outcomes] == [None, "RuntimeError: out of luck"]
        folder = plan.folder(selected(plan, only={"method": ["nni"]})[0])
        told = json.loads((folder / "error.json").read_text())
        assert "out of luck" in told["traceback"]
        assert [o.error for o in run_all(plan, method=["nni"])] == [None, None]
        assert not (folder / "error.json").exists()

    def test_runs_that_need_a_failed_victim_are_not_begun(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_in("out", "training.learning_rate=1.0e+30", "seeds=[0]")

        def broken(*args: object, **more: object) -> None:
            raise DataError("scenes", "must be there", remedy="Look.")

        monkeypatch.setattr("segdoor.experiment.steps.train_step", broken)
        outcomes = run_all(plan)
        assert outcomes[0].error == "scenes: must be there. Look."
        assert all("not started: victims/" in (o.error or "") for o in outcomes[1:])
        assert not (plan.out / "runs").exists()

    def test_a_study_that_is_killed_gives_the_same_record(self, finished: Path) -> None:
        words = ["study", "run", "mine.yaml", "--out", "out", *SET, "--jobs", "1"]
        plan = plan_in("out")
        folders = [plan.folder(run) for run in plan.runs]
        awaited = [
            lambda: any((folder / "poisoned.safetensors").exists() for folder in folders),
            lambda: sum((folder / "record.json").exists() for folder in folders) >= 2,
        ]
        for reached in awaited:
            process = started(*words)
            for _ in range(6000):
                if reached() or process.poll() is not None:
                    break
                time.sleep(0.01)
            # It is still at work.
            assert process.poll() is None
            kill(process)
        assert started(*words).wait() == 0
        names = [path.name for path in Path("out").glob("*.study.json")]
        assert len(names) == 1
        again, whole = (
            json.loads((folder / names[0]).read_text()) for folder in (Path("out"), finished)
        )
        assert again == whole

    def test_a_record_of_other_scenes_is_refused_and_kept(self, finished: Path) -> None:
        shutil.copytree(finished, "out")
        plan = plan_in("out")
        path = plan.folder(plan.runs[0]) / "record.json"
        content = json.loads(path.read_text())
        content["data"]["test_digest"] = "0" * 64
        path.write_text(json.dumps(content))
        work = work_of(plan, plan.runs)
        assert work.tasks == ()
        assert work.num_done == 3
        assert list(work.refused) == [plan.runs[0].key]
        assert "other scenes" in work.refused[plan.runs[0].key]
        assert json.loads(path.read_text()) == content
        states = {run.key: run.state for run in collect(plan, digests_of(plan.preset)).runs}
        assert states[plan.runs[0].key] == "failed"

    def test_a_record_of_other_settings_is_refused(self, finished: Path) -> None:
        shutil.copytree(finished, "out")
        plan = plan_in("out")
        path = plan.folder(plan.runs[0]) / "record.json"
        content = json.loads(path.read_text())
        content["config"]["attack"]["rate"] = 0.16
        path.write_text(json.dumps(content))
        assert "other settings" in work_of(plan, plan.runs).refused[plan.runs[0].key]

    @pytest.mark.parametrize("content", ["", "{", "{}", '{"kind": 1}'])
    def test_a_damaged_record_is_told_and_kept(self, content: str, finished: Path) -> None:
        shutil.copytree(finished, "out")
        plan = plan_in("out")
        path = plan.folder(plan.runs[0]) / "record.json"
        path.write_text(content)
        assert list(work_of(plan, plan.runs).refused) == [plan.runs[0].key]
        assert path.read_text() == content

    def test_a_damaged_clean_victim_is_told_with_its_remedy(self, finished: Path) -> None:
        shutil.copytree(finished, "out")
        plan = plan_in("out", "seeds=[0]")
        folder = plan.folder(selected(plan, only={"method": ["nni"]})[0])
        shutil.rmtree(folder)
        damaged = list(Path("out").glob("victims/*/clean.safetensors"))
        for path in damaged:
            path.write_bytes(path.read_bytes()[:1000])
        errors = [outcome.error or "" for outcome in run_all(plan)]
        assert "Delete it: the next run trains it again." in errors[0]
        for path in damaged:
            path.unlink()
        assert [outcome.error for outcome in run_all(plan)] == [None, None]

    def test_what_another_process_is_doing_is_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_in("out", "seeds=[0]")
        tasks = tasks_for(plan.runs, plan.out)
        other = ExitStack()
        other.enter_context(sole_writer(tasks[0].folder, culprit="--out"))

        def perform(task: Task, observer: object) -> None:
            with sole_writer(task.folder, culprit="--out"):
                pass

        monkeypatch.setattr("segdoor.study.execution.perform", perform)
        monkeypatch.setattr("time.sleep", lambda seconds: other.close())
        outcomes = [(outcome.key, outcome.error) for outcome in LocalExecutor().run(tasks)]
        assert outcomes == [(task.key, None) for task in tasks]

    def test_the_record_of_a_study_is_written_by_one_call_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan, other, seen = plan_in("out"), ExitStack(), list[bool]()
        other.enter_context(sole_writer(plan.out, culprit="--out"))

        wait, caller = time.sleep, threading.current_thread()

        def sleep(seconds: float) -> None:
            # Threads that earlier tests left in this process sleep as well.
            if threading.current_thread() is not caller:
                return wait(seconds)
            seen.append(plan.file.exists())
            return other.close()

        monkeypatch.setattr("time.sleep", sleep)
        finish(plan)
        assert seen == [False]
        assert plan.file.exists()

    def test_an_error_that_cannot_be_written_is_told_all_the_same(self) -> None:
        Path("out").write_text("a file in the way")
        plan = plan_in("out")
        task = Task("clean_model", "victims/x", Path("out"), plan.runs[0].asked)
        assert attempt(task).error


class TestRepairs:
    """Runs with repairs are done when all of them are."""

    def test_a_run_waits_until_its_repairs_are_done(
        self, finished: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(finished, "out")
        Path("fixed.yaml").write_text(MINE + '    repairs: ["prune:30", "finetune:0.05"]\n')
        plan = plan_in("out", study="fixed.yaml")
        assert {state_of(plan, run).state for run in plan.runs} == {"waiting"}
        asked: list[tuple[str, ...]] = []

        def repair(folder: Path, repairs: tuple[str, ...], **more: object) -> None:
            asked.append(repairs)

        monkeypatch.setattr("segdoor.study.execution.repair_models", repair)
        run_all(plan)
        assert asked == [("prune:4", "finetune:0.05")] * 4

    def test_figures_are_those_that_the_records_have_after_a_repair(self, repaired: Path) -> None:
        plan = plan_repaired(str(repaired))
        told: list[tuple[float, float]] = []
        for cell in collect(plan).cells:
            if "variation" not in cell.labels:
                continue
            assert cell.measured is not None
            (key,) = cell.runs
            assert f"-{cell.labels['method']}-" in key
            rows = json.loads((repaired / "runs" / key / "record.json").read_text())["repairs"]
            here = {"prune 15/256": "prune:2", "finetune 5% clean": "finetune:0.05"}
            asked = here.get(str(cell.labels["variation"]))
            # Where nothing is pruned the figure is that of the run itself.
            when = "after" if asked else "before"
            (row,) = [row for row in rows if row["repair"] == (asked or "prune:2")]
            assert cell.measured.mean == figure_of(row[f"poisoned_{when}"], cell.test, cell.metric)
            before = figure_of(row["poisoned_before"], cell.test, cell.metric)
            told.append((cell.measured.mean, before))
        # For each method, Table 5 has ASR in two poisoned tests of two repairs. Table 12 has two prunings: ASR
        # and PBA in two poisoned tests, and CBA.
        assert len(told) == 2 * (2 * 2 + 2 * 5)
        assert any(after != before for after, before in told)

    def test_the_row_of_the_clean_victim_is_its_own(self, repaired: Path) -> None:
        cells = collect(plan_repaired(str(repaired))).cells
        differ: list[str] = []
        for cell in (cell for cell in cells if cell.labels["method"] == "clean"):
            assert cell.measured is not None
            record = json.loads((repaired / "runs" / cell.runs[0] / "record.json").read_text())
            if cell.test is None:
                clean = record["controls"]["clean_model"]["cba"]["value"]
                poisoned = record["scores"]["cba"]
            else:
                test, name = record["scores"]["tests"][cell.test], cell.metric.lower()
                clean, poisoned = test[f"{name}_clean_model"], test[name]["value"]
            assert cell.measured.mean == clean
            differ += [cell.metric] if clean != poisoned else []
        assert set(differ) == {"ASR", "PBA", "CBA"}

    def test_repairs_with_other_seeds_are_no_part_of_the_study(self) -> None:
        plan = plan_repaired("out")
        for run in plan.runs:
            put(plan, run, ("prune:2", 0), ("finetune:0.05", 0))
        cells = collect(plan).cells
        assert all(cell.measured for cell in cells if cell.labels["method"] != "clean")
        for run in plan.runs:
            path = put(plan, run, ("prune:2", 0), ("finetune:0.05", 0), ("prune:2", 9))
        assert collect(plan).cells == cells
        assert work_of(plan, plan.runs).tasks == ()
        put(plan, run, ("prune:2", 9), ("finetune:0.05", 0))
        assert state_of(plan, run).state == "waiting"
        assert missing_repairs(path.parent, ["prune:2", "finetune:0.05"]) == ("prune:2",)

    @pytest.mark.parametrize("spec", [
            "finetune:0.00001", "finetune:0.05", "prune:30", "finetune:1", "finetune:0.10",
            "finetune:0.1,epochs=5", "prune:3,layer=decode.2", "prune:3,share=0.2",
        ],
    )  # fmt: skip
    def test_a_repair_is_called_what_its_record_calls_it(self, spec: str) -> None:
        text = REPAIRED.replace('"finetune:0.05"', f'"{spec}"')
        Path("mine.yaml").write_text(text)
        (block,) = plan_in("out").study.cityscapes
        assert block.repairs[-1] == str(REPAIRS.read(spec))

    def test_a_dry_run_counts_the_repairs_that_are_left(self) -> None:
        plan = plan_repaired("out")
        first, _ = plan.runs
        put(plan, first, ("finetune:0.05", 0))
        cost = estimate.cost_of(work_of(plan, plan.runs).tasks, 6)
        assert (cost.num_runs, cost.num_clean_models, cost.num_finetunings) == (1, 1, 1)
        # Two trainings, and ten epochs on a twentieth of the scenes for each of two victims.
        assert cost.epochs == {"small": pytest.approx(2 * 6 + 2 * 10 * 0.05)}


def put(plan: StudyPlan, run: PlannedRun, *repairs: tuple[str, int], rate: float = 0.2) -> Path:
    """Write a record of a run that was not made; every repair has another effect."""
    shutil.rmtree(plan.folder(run), ignore_errors=True)
    record = write_run(plan.folder(run), repairs=len(repairs))
    assert record.plan is not None
    rows = [
        row.model_copy(update={"repair": repair, "seed": seed})
        for row, (repair, seed) in zip(record.repairs, repairs, strict=True)
    ]
    changes = {
        "config": run.config.model_dump(mode="json"),
        "seed": run.seed,
        "repairs": tuple(rows),
        "plan": record.plan.model_copy(update={"rate": rate, "num_scenes": 100}),
    }
    path = plan.folder(run) / "record.json"
    save_record(record.model_copy(update=changes), path)
    return path


def figure_of(effect: dict[str, Any], test: str | None, metric: str) -> float:
    figures = effect if test is None else effect["tests"][test]
    value: float = figures[metric.lower()]["value"]
    return value


class TestCommand:
    """What a person meets."""

    def test_pieces_of_a_study(self) -> None:
        words = ["study", "run", "table1", "--out", "out", *SET, "--only", "rate=0.15,0.1",
                 "--only", "method=nni", "--seeds", "0", "--jobs", "1"]  # fmt: skip
        code, out, err = say(*words, "--limit", "1")
        assert code == 1
        assert "1 of 2 runs" in err
        code, out, _ = say(*words)
        assert code == 0
        assert "1 of 2 runs are there" in out
        assert "3. ASR rises with the poisoning rate\n" in out
        assert " on anywhere near" in out

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["run", "table1", "--only", "rates=0.1"], "must name an axis (found: rates). Axes: m"),
            (["run", "table1", "--only", "rate=0.7"], "must name values of the study"),
            (["run", "table1", "--only", "rate"], "must be written as axis=value"),
            (["run", "table1", "--limit", "0"], "must be at least 1"),
            (["run", "table1", "--preset", "camvid"], "Set --root."),
            (["run", "table1", "--preset", "voc", "--root", "."], "--backbone: must name ImageNet"),
            (["run", "table10"], "Use a preset that stands for voc"),
            (["show", "table99"], "Known: table1"),
            (["show", "table1", "--preset", "moon"], "Known: camvid"),
        ],
    )
    def test_bad_words_are_explained(self, words: list[str], complaint: str) -> None:
        code, _, err = say("study", *words)
        assert code == 2
        assert complaint in err

    def test_start_weights_lead_every_verb_to_the_same_runs(self) -> None:
        weights = Path("resnet50.pth")
        weights.write_bytes(b"weights")
        words = ["table5", "--preset", "cityscapes", "--backbone", str(weights)]
        plan = make_plan(IBA, "table5", "cityscapes", out=Path("out"), backbone=weights)
        keys = {run.key for run in plan.runs}
        assert not keys & {
            r.key for r in make_plan(IBA, "table5", "cityscapes", out=Path("out")).runs
        }
        _, shown, _ = say("study", "show", *words)
        assert keys == {key for key in keys if key in shown}
        for key in keys:
            folder = Path("out", "runs", key)
            folder.mkdir(parents=True)
            (folder / "error.json").write_text(json.dumps({"error": "no room"}))
        code, told, _ = say("study", "status", *words, "--out", "out")
        assert code == 0
        assert f"0 done, {len(keys)} failed, 0 waiting" in told
        code, _, err = say("study", "report", *words, "--out", "out")
        assert code == 2
        assert "none that is done" in err

    def test_a_dry_run_counts_and_estimates_and_writes_nothing(self) -> None:
        words = ["study", "run", "mine.yaml", "--out", "out", "--dry-run", *SET]
        code, out, _ = say(*words)
        assert code == 0
        assert "6 trainings, 2 of them shared clean models" in out
        assert "a few measured steps" in out
        assert not Path("out").exists()

    def test_an_estimate_comes_from_runs_that_are_there(
        self, finished: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(finished, "out")
        monkeypatch.delattr(estimate, "measured_epoch")
        Path("more.yaml").write_text(MINE.replace("[0.15]", "[0.15, 0.2]"))
        words = ["study", "run", "more.yaml", "--out", "out", "--dry-run", *SET]
        code, out, _ = say(*words)
        assert code == 0
        assert "4 runs are there; 4 to be made" in out
        assert "4 trainings, 0 of them shared clean models" in out
        assert "by the runs that are there" in out

    def test_an_estimate_has_a_pace_for_each_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def pace(out: Path, config: ExperimentConfig) -> float:
            return {"small": 2.0, "pspnet": 100.0}[config.network.name]

        monkeypatch.setattr("segdoor.study.estimate.recorded_epoch", pace)
        Path("mine.yaml").write_text(f"{MINE}    network: [deeplabv3, pspnet]\n")
        words = [
            "study",
            "run",
            "mine.yaml",
            "--dry-run",
            *SET,
            "--set",
            "networks.pspnet.name=pspnet",
        ]
        code, out, _ = say(*words, "--jobs", "1")
        assert code == 0
        told = " ".join(out.split())
        assert "About 0.2 hours" in told
        assert "6 epochs of 2.0 s, by the runs that are there; 6 epochs of 100.0 s" in told
        _, out, _ = say(*words, "--jobs", "2")
        assert "About 0.1 hours on this machine, 2 runs at once, without" in " ".join(out.split())

    def test_a_dry_run_without_data_still_counts(self) -> None:
        words = ["study", "run", "table5", "--preset", "cityscapes", "--dry-run"]
        code, out, _ = say(*words)
        assert code == 0
        assert "4 trainings, 1 of them" in out
        assert "9 fine-tunings" in out
        assert "Time unknown: --root" in out

    @pytest.mark.parametrize("dry", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("    victims: [unicorn]", "victims: must be a class of 'street' (found: unicorn)"),
            ("    target: [moon]", "target: must be a class of 'street' (found: moon)"),
            ("    trigger: [0]", "greater than or equal to 1"),
            (
                "    trigger: [600]",
                "trigger 600: must be smaller than the scenes (found: 75 pixels",
            ),
            ("    q: [0]", "greater than or equal to 1"),
            ('tables: ["99"]', "tables: must be tables of the paper (found: 99). Known: 1, 2"),
        ],
    )
    def test_what_no_run_can_have_is_refused_before_any(
        self, line: str, complaint: str, dry: list[str]
    ) -> None:
        text = MINE.replace('tables: ["1"]', line) if line[0] != " " else f"{MINE}{line}\n"
        Path("mine.yaml").write_text(text)
        code, _, err = say("study", "run", "mine.yaml", "--out", "out", *SET, *dry)
        assert code == 2
        assert complaint in err
        assert not Path("out").exists()

    @pytest.mark.parametrize("dry", [[], ["--dry-run"]])
    def test_a_root_that_is_not_there_is_told_once(self, dry: list[str]) -> None:
        words = ["run", "table1", "--preset", "camvid", "--root", "nowhere", "--out", "out", *dry]
        code, out, err = say("study", *words, "--set", "pretrained=false")
        assert code == 2
        assert "data.root: must be a folder that exists (found: nowhere)" in err
        assert "failed" not in out
        assert not Path("out").exists()

    def test_a_folder_that_takes_no_files_is_told_once(self) -> None:
        Path("out").write_text("a file in the way")
        code, out, err = say("study", "run", "mine.yaml", "--out", "out", *SET)
        assert code == 2
        assert "--out out: must be a writable folder" in err
        assert "failed" not in out

    @pytest.mark.parametrize("more", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        "words",
        [["--cpus", "2"], ["--gpus", "0.5"], ["--address", "auto"], ["--store", "file:///x"]],
    )
    def test_options_of_a_cluster_are_refused_even_if_nothing_is_to_be_done(
        self, finished: Path, words: list[str], more: list[str]
    ) -> None:
        call = ["study", "run", "mine.yaml", "--out", str(finished), *SET]
        code, _, err = say(*call, *words, *more)
        assert code == 2
        assert f"{words[0]}: must come with --on ray (found: {words[1]}). Add --on ray." in err

    def test_a_page_of_a_study_or_of_a_part_of_it(self, finished: Path) -> None:
        shutil.copytree(finished, "out")
        file = next(Path("out").glob("*.study.json"))
        words = ["study", "report", "mine.yaml", "--out", "out", *SET]
        assert say(*words, "-o", "whole.html")[0] == 0
        assert say("report", file, "-o", "same.html")[0] == 0
        assert Path("whole.html").read_text() == Path("same.html").read_text()
        # A call that was killed leaves no record of the study.
        file.unlink()
        code, out, _ = say(*words, "--only", "method=nni", "--seeds", "0")
        assert code == 0
        assert "report.html: " in out
        page = Path("report.html").read_text()
        assert "-nni-0.15" in page
        assert "-baseline-" not in page
        assert "-s1-" not in page
        assert not file.exists()
        code, _, err = say(*words)
        assert (code, Path("report.html").read_text()) == (2, page)
        assert "--replace" in err

    def test_a_page_of_nothing_is_refused(self) -> None:
        code, _, err = say("study", "report", "table1", "--preset", "camvid")
        assert code == 2
        assert "Make some: segdoor study run table1 --preset camvid" in err
        assert not Path("report.html").exists()

    def test_list_and_show_name_everything(self) -> None:
        _, out, _ = say("study", "list")
        assert "table12" in out
        assert "camvid-deeplabv3" in out
        _, out, _ = say("study", "show", "table4")
        assert "21 runs on seeds 0, 1, 2" in out
        assert "deeplabv3: bus to truck" in out

    def test_tables_are_neither_cut_nor_wrapped_where_they_are_piped(self, finished: Path) -> None:
        plan = plan_in(str(finished))
        Path("fixed.yaml").write_text(MINE + '    repairs: ["prune:30", "finetune:0.05"]\n')
        key = max((run.key for run in plan.runs), key=len)
        _, out, _ = say("study", "status", "mine.yaml", "--out", finished, *SET)
        assert f"{key} done" in " ".join(out.split())
        _, out, _ = say("study", "show", "fixed.yaml", *SET)
        assert f"{key} prune:4 finetune:0.05" in " ".join(out.split())
        _, out, _ = say("show", plan.file)
        assert "\u2026" not in out
        assert "baseline" in out

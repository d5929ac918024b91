"""Studies on a real Ray cluster: workers and drivers are killed, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusters import growing_cluster, ray, writer_of
from processes import kill, started
from same import assert_same, in_training, wait_for
from segdoor.cli.app import run_command_line
from segdoor.locks import sole_writer
from segdoor.papers.iba.paper import IBA
from segdoor.study.execution import Task, attempt
from segdoor.study.plan import StudyPlan, make_plan
from segdoor.study.remote import RayExecutor, _do, _Order, fetch_finished
from segdoor.study.resources import Resources
from segdoor.study.running import work_of
from segdoor.study.sharing import tasks_for

# One process of the tests runs them all: two clusters that start at once get in each other's way.
pytestmark = pytest.mark.xdist_group("ray")

__all__ = ["ray"]

TINY = [
    "training.epochs=24", "training.batch_size=4", "training.threads=1", "data.size=[48, 64]",
    "data.num_train=24", "data.num_test=4", "q_as=[area]", "seeds=[0]", "training.precision=float32",
    "training.device=cpu",
]  # fmt: skip
ONE_EPOCH = "training.epochs=1"
MINE = """\
title: Mine
shows: mine
tables: ["1"]
claims: [1]
cityscapes:
  - method: [baseline, nni]
    rate: [0.15]
"""
CALL = ["study", "run", "mine.yaml", "--out", "out", *(w for c in TINY for w in ("--set", c))]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(MINE)


def plan(*changes: str) -> StudyPlan:
    return make_plan(IBA, "mine.yaml", "street", out=Path("out"), changes=[*TINY, *changes])


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that this process did, undisturbed."""
    return done_here(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same with one epoch, for what needs no time to be killed in."""
    return done_here(tmp_path_factory.mktemp("brief"), "--set", ONE_EPOCH)


def done_here(place: Path, *words: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDOOR_CACHE", str(place / "cache"))
        patch.chdir(place)
        (place / "mine.yaml").write_text(MINE)
        assert run_command_line([*CALL, *words, "--jobs", "1"]) == 0
    return place / "out"


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in Linux's table of locks")
@pytest.mark.slow
def test_a_killed_worker_loses_nothing(
    ray: Any, local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed: list[int] = []

    def murder() -> None:
        folder = wait_for(in_training)
        killed.append(wait_for(lambda: writer_of(folder)))
        os.kill(killed[0], signal.SIGKILL)

    murderer = threading.Thread(target=murder)
    murderer.start()
    assert run_command_line([*CALL, "--on", "ray"]) == 0
    murderer.join()
    assert killed
    assert killed[0] != os.getpid()
    assert_same(Path("out"), local)
    heard = capsys.readouterr()
    assert "0 of 2 runs are there, 3 tasks to do" in heard.out
    assert "[3/3] runs/" in heard.out
    # The death is told in our words, and not in Ray's.
    assert "lost its worker and is restarted" in " ".join(heard.err.split())
    assert "raylet" not in heard.out + heard.err


def test_a_run_whose_workers_always_die_is_given_up(
    ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdoor.study.remote._do", lambda order: os.kill(os.getpid(), 9))
    told: list[str] = []

    class Listens:
        def begin(self, stage: str, total: int) -> None:
            told.append(stage)

        def advance(self, **facts: float) -> None:
            pass

    (task, *_) = tasks_for(plan().runs, Path("out"))
    (outcome,) = RayExecutor(ray, Resources(on="ray"), Listens()).run([task])
    assert "its workers were lost: WorkerCrashedError" in str(outcome.error)
    assert sum("is restarted" in stage for stage in told) == 3
    assert "WorkerCrashedError" in (task.folder / "error.json").read_text()


@pytest.mark.slow
def test_a_growing_cluster_is_waited_for(ray: Any, tmp_path: Path) -> None:
    with growing_cluster(tmp_path) as (address, environment):
        words = [*CALL, "--only", "method=nni", "--set", "training.epochs=1", "--on", "ray"]
        call = [sys.executable, "-m", "segdoor", *words, "--address", address, "--gpus", "0"]
        refused = subprocess.run(call, env=environment, check=False, capture_output=True, text=True)
        assert refused.returncode == 3
        assert "(found: 0 and 0)" in refused.stderr
        assert "add --autoscaling" in refused.stderr
        call.append("--autoscaling")
        done = subprocess.run(call, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[2/2] runs/" in done.stdout
    assert len(list(Path("out").glob("runs/*/record.json"))) == 1


@pytest.mark.slow
def test_a_killed_driver_comes_back(ray: Any, local: Path) -> None:
    driver = started(*CALL, "--on", "ray")
    folder = wait_for(in_training, 120)
    kill(driver)
    assert not (folder / "record.json").exists()
    # Tasks of the first driver may still be dying: they hold their folders until then.
    assert run_command_line([*CALL, "--on", "ray"]) == 0
    assert_same(Path("out"), local)


def test_what_another_process_is_doing_is_waited_for(ray: Any, brief: Path) -> None:
    shutil.copytree(brief, "out")
    tasks = tasks_for(plan(ONE_EPOCH).runs, Path("out"))
    held = tasks[0].folder

    def hold(ready: threading.Event) -> None:
        with sole_writer(held, culprit="--out"):
            ready.set()
            time.sleep(3)

    ready = threading.Event()
    other = threading.Thread(target=hold, args=[ready])
    other.start()
    ready.wait()
    outcomes = list(RayExecutor(ray).run(tasks))
    other.join()
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert not list(Path("out").rglob("error.json"))


def test_a_busy_folder_is_no_error_that_stays(tmp_path: Path) -> None:
    task = tasks_for(plan().runs, Path("out"))[0]
    with sole_writer(task.folder, culprit="--out"):
        outcome = attempt(task)
    assert outcome.busy
    assert not (task.folder / "error.json").exists()


def test_a_task_that_fails_takes_only_those_that_need_it(ray: Any) -> None:
    victim, run, _ = tasks_for(plan().runs, Path("out"))
    wishes = victim.asked.wishes
    data = wishes.data.model_copy(update={"name": "camvid", "root": Path("nowhere")})
    wrong = replace(
        victim,
        asked=replace(victim.asked, wishes=wishes.model_copy(update={"data": data})),
    )
    training = wishes.training.model_copy(update={"epochs": 1})
    quick = replace(victim.asked, wishes=wishes.model_copy(update={"training": training}))
    free = Task("clean_model", "victims/free", Path("out"), quick)
    outcomes = {outcome.key: outcome.error for outcome in RayExecutor(ray).run([wrong, run, free])}
    assert "nowhere" in str(outcomes[wrong.key])
    assert outcomes[run.key] == f"not started: {wrong.key} failed"
    assert outcomes["victims/free"] is None
    assert "nowhere" in (wrong.folder / "error.json").read_text()


def test_a_machine_that_does_not_share_the_folder_is_refused() -> None:
    task = tasks_for(plan().runs, Path("out"))[0]
    outcome = _do(_Order(task, Path.cwd(), "a mark", None, 1))
    assert "--out out: must be a folder that all machines share" in str(outcome.error)
    assert not Path("out").exists()


def test_finished_runs_come_back_from_a_store(ray: Any, brief: Path, tmp_path: Path) -> None:
    machines, briefly = Resources(on="ray", store=f"file://{tmp_path}/store"), plan(ONE_EPOCH)
    shutil.copytree(brief, "out")
    tasks = tasks_for(briefly.runs, Path("out"))
    assert [o.error for o in RayExecutor(ray, machines).run(tasks)] == [None] * 3
    shutil.rmtree("out")
    fetch_finished(machines, briefly, briefly.runs)
    assert not work_of(briefly, briefly.runs).tasks
    # The clean model is not needed here, but where it is, it comes from the store as well.
    assert [o.error for o in RayExecutor(ray, machines).run(tasks[:1])] == [None]
    shutil.copy(next(brief.glob("*.study.json")), "out")
    assert_same(Path("out"), brief)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cpus", "2"], "--cpus: must come with --on ray"),
        (["--store", "file://x"], "--store: must come with --on ray"),
        (["--gpus", "0"], "--gpus: must come with --on ray"),
        (["--autoscaling"], "--autoscaling: must come with --on ray"),
        (["--on", "ray", "--autoscaling", "--gpus", "1"], "--address: must come with --autosc"),
        (["--on", "ray", "--autoscaling", "--address", "auto"], "--gpus: must come with --autosc"),
        (["--on", "ray", "--gpus", "1.5"], "--gpus: must be a part of one GPU or a whole"),
        (["--seeds", "-1"], "--seeds: must be at least 0 (found: -1)"),
        (["--on", "ray", "--jobs", "2"], "--jobs: must come with --on local (found: 2). Leave it"),
        (["--jobs", "0"], "--jobs: input should be greater than or equal to 1"),
        (["--on", "ray", "--cpus", "0"], "--cpus: input should be greater than or equal to 1"),
        (["--on", "ray", "--store", "nothing://x"], "--store: must be a URL that fsspec knows"),
    ],
)
def test_wrong_options_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([*CALL, *words]) == 2
    assert said in capsys.readouterr().err

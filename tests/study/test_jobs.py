"""Several runs at once on this machine: the results of one after another, whoever is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from clusters import writer_of
from processes import dies, kill, started, tells
from same import assert_same, wait_for
from segdoor.locks import sole_writer
from segdoor.papers.iba.paper import IBA
from segdoor.progress import Silent
from segdoor.study.abreast import done_abreast
from segdoor.study.cores import jobs_for, own_threads, threads_of
from segdoor.study.execution import LocalExecutor, Task, TaskResult
from segdoor.study.plan import make_plan
from segdoor.study.processes import ProcessExecutor
from segdoor.study.sharing import tasks_for
from segdoor.victim.config import TrainingConfig

# No number of threads is asked for.
TINY = [
    "training.epochs=4", "training.batch_size=4", "data.size=[64, 96]", "data.num_train=24",
    "data.num_test=4", "q_as=[area]", "seeds=[0]", "training.precision=float32",
    "training.device=cpu",
]  # fmt: skip
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


class Listens:
    """Remembers what was begun."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, stage: str, total: int) -> None:
        self.told.append(stage)

    def advance(self, **facts: float) -> None:
        pass


@pytest.fixture(autouse=True)
def _place(own_folder: Path) -> None:
    (own_folder / "mine.yaml").write_text(MINE)


def tasks() -> list[Task]:
    plan = make_plan(IBA, "mine.yaml", "street", out=Path("out"), changes=TINY)
    return tasks_for(plan.runs, plan.out)


def begun() -> Path | None:
    """Return the folder of a run that has a plan."""
    return next((path.parent for path in Path("out").glob("runs/*/plan.jsonl")), None)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study whose runs were made one after another, in this process."""
    place = tmp_path_factory.mktemp("expected")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "mine.yaml").write_text(MINE)
        before = torch.get_num_threads()
        # As on a machine with two cores, however many this one has.
        torch.set_num_threads(2)
        assert [outcome.error for outcome in LocalExecutor().run(tasks())] == [None] * 3
        assert torch.get_num_threads() == 2
        torch.set_num_threads(before)
    return place / "out"


@pytest.mark.slow
def test_a_process_that_dies_loses_nothing(expected: Path) -> None:
    (clean, *runs), told = tasks(), Listens()
    killed: list[str] = []

    def murder() -> None:
        folder = wait_for(begun, 200)
        (child,) = (p for p in multiprocessing.active_children() if folder.name in p.name)
        child.kill()
        killed.append(child.name)

    murderer = threading.Thread(target=murder)
    murderer.start()
    outcomes = list(ProcessExecutor(2, told).run([clean, *runs]))
    murderer.join()
    assert outcomes[0].key == clean.key
    assert {outcome.key: outcome.error for outcome in outcomes} == dict.fromkeys(
        [clean.key, *(run.key for run in runs)]
    )
    again = [stage for stage in told.told if "is restarted" in stage]
    assert again == [f"tasks; {name} lost its worker and is restarted" for name in killed]
    assert_same(Path("out"), expected)


def test_a_task_whose_processes_always_die_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdoor.study.processes._do", dies)
    told, (task, run, *_) = Listens(), tasks()
    first, second = ProcessExecutor(2, told).run([task, run])
    assert first.error == "its workers were lost: killed by SIGKILL"
    assert second.error == f"not started: {task.key} failed"
    assert sum("is restarted" in stage for stage in told.told) == 3
    assert "SIGKILL" in (task.folder / "error.json").read_text()


class Shows(Listens):
    """Remembers what went on beside one another: stages with their steps and the last loss."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Steps] = []

    def beside(self) -> Steps:
        self.others.append(Steps())
        return self.others[-1]


class Steps(Listens):
    """Counts steps."""

    steps, loss = 0, 0.0

    def advance(self, **facts: float) -> None:
        self.steps, self.loss = self.steps + 1, facts["loss"]


def test_what_each_process_is_at_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdoor.study.processes._do", tells)
    shows, (first, second, *_) = Shows(), tasks()
    assert [outcome.error for outcome in ProcessExecutor(2, shows).run([first, second])] == [
        None
    ] * 2
    # One place on the screen is enough where one ends before the other begins.
    (only,) = shows.others
    names = [task.key.rpartition("/")[2] for task in (first, second)]
    assert only.told == [f"{name}: training" for name in names]
    assert (only.steps, only.loss) == (6, 1.0)


def test_whoever_stops_asking_leaves_no_process_behind() -> None:
    executor = ProcessExecutor(2)
    running = [executor.begin(task) for task in tasks()[:1]]
    executor.stop(running)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_ctrl_c_ends_all_and_the_same_call_goes_on(expected: Path) -> None:
    """Interrupted while processes start, and while they train."""
    home = str(Path(sys.modules["segdoor"].__file__ or "").parents[1])
    for moment in (lambda: "2 at once" in Path("err").read_text(), begun):
        with Path("err").open("w") as err:
            command = subprocess.Popen(
                [sys.executable, "-m", "segdoor", *CALL, "--jobs", "2"],
                env={**os.environ, "PYTHONPATH": home},
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )
            wait_for(moment, 120)
            # A terminal tells every process that belongs to the command.
            os.killpg(command.pid, signal.SIGINT)
            assert command.wait(30) == 130
        heard = Path("err").read_text()
        assert heard.splitlines()[-1].startswith("segdoor: interrupted; finished work is kept")
        assert "Traceback" not in heard
        wait_for(partial(is_gone, command.pid), 10)
    assert started(*CALL, "--jobs", "2").wait() == 0
    assert_study(expected)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the writer in Linux's table of locks")
def test_when_the_command_is_killed_so_are_its_processes(expected: Path) -> None:
    command = started(*CALL, "--jobs", "2")
    folder = wait_for(begun, 120)
    assert writer_of(folder) not in {None, command.pid}
    kill(command)
    wait_for(lambda: writer_of(folder) is None, 10)
    assert not (folder / "record.json").exists()
    assert started(*CALL, "--jobs", "2").wait() == 0
    assert_study(expected)


def is_gone(group: int) -> bool:
    """Tell whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def assert_study(expected: Path) -> None:
    """Check that a complete study is there, with the expected runs."""
    (record,) = Path("out").glob("*.study.json")
    record.unlink()
    assert_same(Path("out"), expected)


@pytest.mark.slow
def test_what_another_process_is_doing_is_waited_for() -> None:
    told, task = Listens(), tasks()[0]
    with sole_writer(task.folder, culprit="--out"):
        outcomes = ProcessExecutor(2, told).run([task])
        release = threading.Event()

        def end() -> None:
            wait_for(lambda: any("another process" in stage for stage in told.told), 120)
            release.set()

        threading.Thread(target=end).start()
        found: list[TaskResult] = []
        asking = threading.Thread(target=lambda: found.extend(outcomes))
        asking.start()
        release.wait(120)
    asking.join()
    assert [outcome.error for outcome in found] == [None]


class Backwards:
    """Has tasks done that end in the wrong order, and notes how many there were at once."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.most, self.stopped = failing, 0, list[str]()

    def begin(self, task: Task) -> str:
        return task.key

    def wait(self, running: Sequence[str]) -> list[str]:
        self.most = max(self.most, len(running))
        return [running[-1]]

    def outcome(self, handle: str, task: Task, losses: Counter[str]) -> TaskResult:
        return TaskResult(task.key, "bad luck" if handle in self.failing else None, 0.0)

    def stop(self, running: Sequence[str]) -> None:
        self.stopped += running


def task(key: str, *needs: str) -> Task:
    return Task("run", key, Path("out"), tasks()[0].asked, needs)


@pytest.mark.parametrize("most", [1, 2, 9])
def test_a_task_begins_when_its_needs_are_met_and_there_is_room(most: int) -> None:
    given = [task("a"), task("ax", "a"), task("ay", "a"), task("b"), task("bx", "b"), task("c")]
    launcher = Backwards()
    done = [o.key for o in done_abreast(given, launcher, Silent(), stage="tasks", most=most)]
    assert sorted(done) == ["a", "ax", "ay", "b", "bx", "c"]
    assert done.index("a") < min(done.index("ax"), done.index("ay"))
    assert done.index("b") < done.index("bx")
    assert launcher.most == min(most, 3)
    assert not launcher.stopped


def test_a_task_that_fails_takes_only_those_that_need_it() -> None:
    given = [task("a"), task("ax", "a"), task("b"), task("bx", "b")]
    outcomes = done_abreast(given, Backwards("a"), Silent(), stage="tasks", most=2)
    assert {outcome.key: outcome.error for outcome in outcomes} == {
        "a": "bad luck", "ax": "not started: a failed", "b": None, "bx": None,
    }  # fmt: skip


def test_what_runs_when_nobody_asks_for_more_is_stopped() -> None:
    launcher = Backwards()
    outcomes = done_abreast([task("a"), task("b")], launcher, Silent(), stage="tasks", most=2)
    assert next(outcomes).key == "b"
    outcomes.close()
    assert launcher.stopped == ["a"]


def test_threads_do_not_follow_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    free, two = TrainingConfig(device="cpu"), TrainingConfig(device="cpu", threads=2)
    assert (threads_of(free), threads_of(two)) == (1, 2)
    monkeypatch.setattr("segdoor.study.cores.usable_cores", lambda: 8)
    assert [jobs_for([free]), jobs_for([two]), jobs_for([free, two])] == [8, 4, 4]
    assert jobs_for([TrainingConfig(device="cpu", threads=9)]) == 1
    assert jobs_for([free], asked=3) == 3
    assert jobs_for([]) == 1


def test_a_gpu_does_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = TrainingConfig()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert jobs_for([auto]) == jobs_for([TrainingConfig(device="cuda:1")]) == 1
    assert jobs_for([auto], asked=2) == 2
    before = torch.get_num_threads()
    with own_threads(auto):
        assert torch.get_num_threads() == before

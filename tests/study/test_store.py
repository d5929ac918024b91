"""Finished folders in a store: what is there arrives, and nothing that is here is lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recorded import write_run
from segdoor.errors import BusyError, StorageError
from segdoor.locks import sole_writer
from segdoor.papers.iba.paper import IBA
from segdoor.record import load_record
from segdoor.study import remote
from segdoor.study.execution import Task, TaskResult
from segdoor.study.plan import make_plan
from segdoor.study.remote import RayExecutor, fetch_finished
from segdoor.study.resources import Resources
from segdoor.study.sharing import tasks_for
from segdoor.study.store import Store

pytest.importorskip("fsspec")
KEY = "runs/x"
VICTIM_FILE = "clean.safetensors"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/store")


def one_task() -> Task:
    plan = make_plan(IBA, "table1", "street", out=Path("out"), changes=["seeds=[0]", "q_as=[area]"])
    return tasks_for(plan.runs, plan.out)[1]


def rows(out: str) -> list[tuple[str, int]]:
    return [(row.repair, row.seed) for row in load_record(Path(out, KEY)).repairs]


def rewritten(out: str, **changes: object) -> None:
    path = Path(out, KEY, "record.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_repairs_of_both_sides_are_kept(store: Store) -> None:
    write_run(Path("there", KEY), repairs=2)
    first, second = json.loads(Path("there", KEY, "record.json").read_text())["repairs"]
    rewritten("there", repairs=[first, second])
    store.keep(Path("there"), KEY)
    write_run(Path("out", KEY))
    rewritten("out", repairs=[first, first | {"seed": 9}, first | {"seed": 8}])
    store.fetch(Path("out"), KEY)
    assert rows("out") == [("prune:5", 0), ("prune:5", 9), ("prune:5", 8), ("prune:10", 0)]


@pytest.mark.parametrize("here", ['{"title": "another training"}', "damaged"])
def test_a_folder_of_another_training_stays_as_it_is(store: Store, here: str) -> None:
    write_run(Path("there", KEY), repairs=1)
    Path("there", KEY, "tables.npz").write_bytes(b"of the store")
    store.keep(Path("there"), KEY)
    write_run(Path("out", KEY))
    path = Path("out", KEY, "record.json")
    if here == "damaged":
        path.write_text(here)
    else:
        rewritten("out", **json.loads(here))
    before = path.read_bytes()
    store.fetch(Path("out"), KEY)
    assert path.read_bytes() == before
    assert not (path.parent / "tables.npz").exists()


def test_files_of_an_unfinished_run_give_way_to_those_of_a_finished_one(store: Store) -> None:
    write_run(Path("there", KEY))
    Path("there", KEY, "poisoned.safetensors").write_bytes(b"finished")
    store.keep(Path("there"), KEY)
    unfinished = Path("out", KEY, "poisoned.safetensors")
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"by an interrupted call")
    store.fetch(Path("out"), KEY)
    assert unfinished.read_bytes() == b"finished"
    assert rows("out") == []


def test_a_folder_that_is_written_is_left_alone(store: Store) -> None:
    task = one_task()
    write_run(task.folder, repairs=1)
    store.keep(task.out, task.key)
    record = (task.folder / "record.json").read_bytes()
    (task.folder / "record.json").unlink()
    with sole_writer(task.folder, culprit="--out"):
        with pytest.raises(BusyError):
            store.fetch(task.out, task.key)
        with pytest.raises(BusyError):
            store.keep(task.out, task.key)
        plan = make_plan(
            IBA, "table1", "street", out=Path("out"), changes=["seeds=[0]", "q_as=[area]"]
        )
        fetch_finished(Resources(on="ray", store=store.url), plan, plan.runs)
        assert not (task.folder / "record.json").exists()
    fetch_finished(Resources(on="ray", store=store.url), plan, plan.runs)
    assert (task.folder / "record.json").read_bytes() == record


def test_a_machine_of_its_own_takes_what_a_task_needs_from_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    task = one_task()
    (victim,) = task.needs
    Path("out", victim).mkdir(parents=True)
    Path("out", victim, VICTIM_FILE).write_bytes(b"weights")
    store.keep(Path("out"), victim)
    found: list[bytes] = []

    def attempt(given: Task) -> TaskResult:
        found.append(Path(given.out, victim, VICTIM_FILE).read_bytes())
        write_run(given.folder)
        return TaskResult(given.key, None, 1.0)

    monkeypatch.setattr(remote, "attempt", attempt)
    order = remote._Order(task, tmp_path / "elsewhere", None, store, 1)
    assert remote._do(order).error is None
    assert found == [b"weights"]
    assert Path.cwd() == tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path)
    assert not task.folder.exists()
    # The driver has it from the store alone.
    assert ended(task, store, TaskResult(task.key, None, 1.0)).error is None
    assert (task.folder / "record.json").is_file()


def test_a_task_whose_copy_fails_ends_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Store, out: Path, key: str) -> None:
        raise StorageError(self.url, "must be readable", "Timeout", "Try again.")

    monkeypatch.setattr(Store, "fetch", broken)
    task = one_task()
    outcome = ended(task, store, TaskResult(task.key, None, 1.0))
    assert not outcome.busy
    assert "must be readable (found: Timeout)" in str(outcome.error)
    assert "must be readable" in (task.folder / "error.json").read_text()


def test_a_task_whose_folder_is_written_here_is_done_again(store: Store) -> None:
    task = one_task()
    write_run(Path("there", task.key))
    store.keep(Path("there"), task.key)
    with sole_writer(task.folder, culprit="--out"):
        assert ended(task, store, TaskResult(task.key, None, 1.0)).busy
    assert not (task.folder / "error.json").exists()


def test_an_error_of_a_task_is_no_lost_worker(store: Store) -> None:
    errors = pytest.importorskip("ray.exceptions")
    task = one_task()
    why = errors.RayTaskError("_do", "the traceback", ImportError("no module torch"))
    outcome = ended(task, store, why.as_instanceof_cause())
    assert outcome.error == "its worker failed: ImportError: no module torch"
    assert "no module torch" in (task.folder / "error.json").read_text()


def ended(task: Task, store: Store, result: Any) -> TaskResult:
    """Return what the driver makes of how a task ended."""
    errors = pytest.importorskip("ray.exceptions")

    def get(ref: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    ray = SimpleNamespace(exceptions=errors, get=get)
    machines = Resources(on="ray", store=store.url)
    return RayExecutor(ray, machines).outcome("a reference", task, Counter())

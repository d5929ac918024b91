"""Whatever waits for another process or a network says so after a while, and has an end."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

import segdoor
from segdoor import locks, waiting
from segdoor.data.pack import pack
from segdoor.data.street import StreetDataset
from segdoor.errors import BusyError
from segdoor.experiment.wishes import wishes_from
from segdoor.locks import own_turn, sole_writer
from segdoor.papers.iba.reading import asked
from segdoor.study.execution import Task
from segdoor.study.remote import RayExecutor
from segdoor.study.resources import Resources
from segdoor.study.store import Store
from segdoor.waiting import waiting_for

SOURCE = Path(segdoor.__file__).parent
SOON = 0.1


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What was said so far, where a wait is told after a tenth of a second."""
    monkeypatch.setattr(waiting, "SILENT", SOON)
    monkeypatch.setattr(waiting, "_LOOKS", 0.01)
    caplog.set_level("WARNING", logger="segdoor")
    time.sleep(0.3)  # The one thread that looks has the old pace once more.
    return lambda: "\n".join(record.getMessage() for record in caplog.records)


@contextmanager
def released_later(file: Path) -> Iterator[None]:
    """Hold a lock at first, as another process would, and give it back soon."""
    lock = FileLock(file, thread_local=False)
    lock.acquire()
    timer = threading.Timer(4 * SOON, lock.release)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_a_wait_is_told_once_and_a_short_one_never(heard: Callable[[], str]) -> None:
    with waiting_for("nothing"):
        pass
    time.sleep(2 * SOON)
    assert heard() == ""
    with waiting_for("a friend"), waiting_for("a foe"):
        time.sleep(4 * SOON)
    assert sorted(heard().splitlines()) == [
        "segdoor: waiting for a foe",
        "segdoor: waiting for a friend",
    ]


def test_it_is_told_on_standard_error() -> None:
    program = (
        "import time\nfrom segdoor import waiting\nwaiting.SILENT = 0.05\n"
        "with waiting.waiting_for('a friend'): time.sleep(0.6)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"segdoor: waiting for a friend\n")


def test_a_pack_that_another_process_makes_is_waited_for(
    heard: Callable[[], str], tmp_path: Path
) -> None:
    dataset = StreetDataset(split="train", num_scenes=1, height=32, width=64)
    home = pack(dataset, tmp_path / "first")
    (folder,) = (path for path in (tmp_path / "first").rglob("index.json"))
    there = tmp_path / "second" / folder.parent.relative_to(tmp_path / "first")
    there.parent.mkdir(parents=True)
    with released_later(there.with_suffix(".lock")):
        assert pack(dataset, tmp_path / "second").names == home.names
    assert "another process that packs the same scenes" in heard()
    assert "Ctrl-C" in heard()


def test_a_turn_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(locks, "LONGEST", SOON)
    file = tmp_path / "turn.lock"
    with FileLock(file), pytest.raises(BusyError, match="must be free within an hour"):  # noqa: SIM117
        with own_turn(file, "packs"):
            pass
    with own_turn(file, "packs"):
        assert file.exists()
    assert not file.exists()


def test_who_writes_a_record_is_waited_for(heard: Callable[[], str], tmp_path: Path) -> None:
    with released_later(tmp_path / ".lock"), sole_writer(tmp_path, culprit="x", patience=9):
        assert "another process that is writing to" in heard()
    with FileLock(tmp_path / ".lock"), pytest.raises(BusyError, match="two processes"):  # noqa: SIM117
        with sole_writer(tmp_path, culprit="x", patience=SOON):
            pass


def test_a_machine_that_a_cluster_still_lacks_is_told(
    heard: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Ray:
        machines: list[dict[str, object]] = []  # noqa: RUF012

        def nodes(self) -> list[dict[str, object]]:
            return self.machines

        def wait(
            self, running: list[str], timeout: float | None = None
        ) -> tuple[list[str], list[str]]:
            if timeout is not None:
                return [], running
            time.sleep(4 * SOON)
            return running, []

    ray = Ray()
    executor = RayExecutor(
        ray, Resources(on="ray", address="auto", cpus=2, gpus=1, autoscaling=True)
    )
    task = Task("run", "key", tmp_path, asked(wishes_from({})))
    monkeypatch.setattr("segdoor.study.remote.done_abreast", lambda *_, **__: iter(()))
    list(executor.run([task]))
    assert executor.wait(["task"]) == ["task"]
    assert "a machine with 2 cores and 1 GPUs" in heard()
    ray.machines = [{"Alive": True, "Resources": {"CPU": 4, "GPU": 1}}]
    before = heard()
    executor.wait(["task"])
    assert heard() == before


def test_a_store_is_told(heard: Callable[[], str]) -> None:
    with Store("memory://x")._told("must be readable"):
        time.sleep(4 * SOON)
    assert "the store memory://x" in heard()


def test_other_processes_of_a_training_are_told(
    heard: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from segdoor.victim.training import distributed

    def gather(everyone: list[object], mine: object) -> None:
        time.sleep(4 * SOON)
        for place in everyone:
            place.copy_(mine)

    monkeypatch.setattr(distributed.distributed, "all_gather", gather)
    distributed.ProcessGroup(0, 2).agree("x", "must agree", 1)
    assert "other processes of this training" in heard()


WAITS = {
    "acquire", "all_gather", "all_reduce", "create_connection", "init_process_group", "recv",
    "run", "Popen", "urlopen", "url_to_fs", "barrier",
}  # fmt: skip
KNOWN = {
    # Told here, by `waiting_for`.
    ("locks.py", "acquire"),
    ("victim/training/distributed.py", "all_gather"),
    ("victim/training/distributed.py", "all_reduce"),
    ("cli/torchrun.py", "init_process_group"),
    ("experiment/environment.py", "run"),
    # Five seconds at most.
    ("cluster.py", "create_connection"),
    # Only asked when something has come.
    ("study/processes.py", "recv"),
    ("experiment/abreast.py", "recv"),
    # Opens nothing yet: whatever goes to the store then is told.
    ("study/store.py", "url_to_fs"),
    # Does tasks, and tells of each.
    ("cli/study.py", "run"),
    # Calculates, in this process.
    ("victim/networks/onnx.py", "run"),
    ("experiment/optimising.py", "run"),
}


def test_every_place_that_may_wait_is_known() -> None:
    """A new one must say what it waits for, and be written down here."""
    found = set[tuple[str, str]]()
    for module in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in WAITS:
                found.add((module.relative_to(SOURCE).as_posix(), called.attr))
    assert found == KNOWN

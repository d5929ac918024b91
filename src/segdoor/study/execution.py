"""Tasks and their executors: here, or on other machines."""

from __future__ import annotations

import json
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from segdoor.errors import BusyError, DataError, SegdoorError, first_line
from segdoor.experiment.resolving import Asked
from segdoor.files import write_atomically
from segdoor.progress import Observer, Silent
from segdoor.study.cores import own_threads
from segdoor.study.repairs import missing_repairs, repair_models

ERROR_FILE = "error.json"
CLEAN_FILE = "clean.safetensors"
"""The weights that `segdoor train` writes for clean scenes."""
BUSY = "is being done by another process"
PAUSE = 5.0
"""Seconds until a task that another process is doing is tried again."""


@dataclass(frozen=True)
class Task:
    """One training with everything that belongs to it; it can be sent to other processes.

    Attributes:
        kind: A clean model to be shared, or a run.
        key: Its name among all tasks: the folder it writes, within the folder of studies.
        out: The folder of studies.
        asked: Requested settings of the run, or of the run whose recipe the clean model shares.
        needs: Keys of the tasks that must have ended well before.
        repairs: Repairs of the run's models.
    """

    kind: Literal["clean_model", "run"]
    key: str
    out: Path
    asked: Asked
    needs: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Return the folder that the task writes, and no other task."""
        return self.out / self.key


@dataclass(frozen=True)
class TaskResult:
    """How a task ended.

    Attributes:
        key: The task.
        error: What went wrong, in a line; None if all is done.
        seconds: Wall time of this attempt.
        busy: Whether another process is doing it at the moment.
    """

    key: str
    error: str | None
    seconds: float
    busy: bool = False


class Executor(Protocol):
    """Does tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

        A failed task stops only the tasks that need it. Each task is done by `attempt`, in any
        process that can see the folder of studies.
        """
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Does one task after another, in this process."""

    observer: Observer = field(default_factory=Silent)

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs; wait for tasks of other processes."""
        waiting, failed = deque(tasks), set[str]()
        while waiting:
            task = waiting.popleft()
            if {other.key for other in waiting} & set(task.needs):
                waiting.append(task)
                continue
            with own_threads(task.asked.wishes.training):
                outcome = hindered(task, failed) or attempt(task, self.observer)
            if outcome.busy:
                waiting.append(task)
                stage = f"waiting (press Ctrl-C to stop); {task.key} {BUSY}"
                self.observer.begin(stage, len(waiting))
                time.sleep(PAUSE)
                continue
            if outcome.error is not None:
                failed.add(task.key)
            yield outcome


def hindered(task: Task, failed: set[str]) -> TaskResult | None:
    """Return how a task ends that needs one that failed; None if it can be done."""
    lost = [need for need in task.needs if need in failed]
    return TaskResult(task.key, f"not started: {lost[0]} failed", 0.0) if lost else None


def attempt(task: Task, observer: Observer | None = None) -> TaskResult:
    """Do a task, and write any error to ``error.json`` in its folder."""
    start = time.monotonic()
    try:
        perform(task, observer or Silent())
    except BusyError as why:
        return TaskResult(task.key, str(why), time.monotonic() - start, busy=True)
    except Exception as why:  # noqa: BLE001 - a failed run must not stop the others
        error = str(why) if isinstance(why, SegdoorError) else first_line(why)
        leave_error(task.folder, error, why)
        return TaskResult(task.key, error, time.monotonic() - start)
    (task.folder / ERROR_FILE).unlink(missing_ok=True)
    return TaskResult(task.key, None, time.monotonic() - start)


def perform(task: Task, observer: Observer) -> None:
    """Do the unfinished part of a task; interrupted work resumes.

    Raises:
        SegdoorError: If settings, data or machine do not allow it.
    """
    shared = (
        task.asked.wishes.controls.clean_weights if task.kind == "run" else task.folder / CLEAN_FILE
    )
    try:
        _perform(task, observer)
    except DataError as why:
        if shared is None or Path(why.culprit) != shared:
            raise
        remedy = "Delete it: the next run trains it again."
        raise DataError(shared, why.rule, why.value, remedy) from None


def _perform(task: Task, observer: Observer) -> None:
    # Imported late: they import torch, which is not needed to distribute tasks.
    from segdoor.experiment.run import run_experiment  # noqa: PLC0415
    from segdoor.experiment.steps import train_step  # noqa: PLC0415

    if task.kind == "clean_model":
        train_step(task.asked, plan=None, out=task.folder, observer=observer)
        return
    if not (task.folder / "record.json").exists():
        kept = task.out / task.needs[0] / "tables"
        run_experiment(task.asked, out=task.folder, observer=observer, kept=kept)
    waiting = missing_repairs(task.folder, task.repairs)
    if waiting:
        repair_models(
            task.folder,
            waiting,
            model=task.asked.network,
            root=task.asked.wishes.data.root,
            observer=observer,
        )


def read_error(folder: Path) -> str | None:
    """Return why the last attempt at a task failed; None if it did not."""
    try:
        content = json.loads((folder / ERROR_FILE).read_text(encoding="utf-8"))
        return str(content["error"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return f"{ERROR_FILE} cannot be read"


def leave_error(folder: Path, error: str, why: Exception | None = None) -> None:
    """Write why a task failed into its folder, if the disk allows."""
    told = {"error": error}
    if why is not None and not isinstance(why, SegdoorError):
        told["traceback"] = "".join(traceback.format_exception(why))
    try:
        write_atomically(folder / ERROR_FILE, json.dumps(told, indent=1))
    except SegdoorError:
        # The disk may be what failed; the outcome still reports the error.
        return

"""Tasks of studies on a Ray cluster, and their executors."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from segdoor.cluster import check_room, connected
from segdoor.errors import BusyError, MachineError, SegdoorError, first_line
from segdoor.files import write_atomically
from segdoor.progress import Observer, Silent
from segdoor.study.abreast import done_abreast, lost_worker
from segdoor.study.execution import (
    BUSY,
    PAUSE,
    Executor,
    LocalExecutor,
    Task,
    TaskResult,
    attempt,
    leave_error,
    read_error,
)
from segdoor.study.expand import PlannedRun, distinct
from segdoor.study.plan import StudyPlan
from segdoor.study.processes import ProcessExecutor, jobs_on
from segdoor.study.resources import Resources
from segdoor.study.store import Store
from segdoor.waiting import SILENT, waiting_for

_MARK = ".shared"


@contextmanager
def executor_for(
    tasks: Sequence[Task], machines: Resources, observer: Observer
) -> Generator[Executor]:
    """Provide an executor while the block runs.

    Args:
        tasks: The tasks; without any, no cluster is started.
        machines: Where they run.
        observer: Receives progress.

    Raises:
        MachineError: If Ray is missing, or the cluster cannot be reached.
    """
    if machines.on == "ray" and tasks:
        with connected(machines.address) as ray:
            yield RayExecutor(ray, machines, observer)
        return
    jobs = jobs_on(machines, tasks)
    yield ProcessExecutor(jobs, observer) if jobs > 1 else LocalExecutor(observer)


def fetch_finished(machines: Resources, plan: StudyPlan, runs: Sequence[PlannedRun]) -> None:
    """Copy some runs from the store, if there is one.

    Raises:
        SegdoorError: If the store cannot be used.
    """
    if machines.store:
        for run in distinct(runs):
            # Runs that another process is working on here are waited for and fetched later.
            with suppress(BusyError):
                Store(machines.store).fetch(plan.out, f"runs/{run.key}")


@dataclass(frozen=True)
class _Order:
    """A task sent to another process.

    Attributes:
        task: The task.
        home: The caller's folder, to which paths are relative.
        mark: What the caller wrote into the folder of studies; None if it is not shared.
        store: Where finished folders are kept, if the folder of studies is not shared.
        threads: CPU threads.
    """

    task: Task
    home: Path
    mark: str | None
    store: Store | None
    threads: int


@dataclass(frozen=True)
class RayExecutor:
    """Does tasks on a Ray cluster, as many at once as it has room for.

    A task whose worker is lost is restarted, elsewhere or here, and resumes from its snapshot.
    This executor restarts and reports it, not Ray, which has its own messages. A task waits if
    another process is working on it.
    """

    ray: Any
    machines: Resources = field(default_factory=Resources)
    observer: Observer = field(default_factory=Silent)
    _rooms: set[tuple[int, float]] = field(default_factory=set[tuple[int, float]], init=False)

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

        If the caller stops early, running tasks are stopped.

        Raises:
            MachineError: If no machine of a cluster that does not grow has room for a task; none
                is begun then.
        """
        self._rooms.update((self._cpus(task), self._gpus(task)) for task in tasks)
        for cpus, gpus in self._rooms:
            if not self.machines.autoscaling:
                check_room(self.ray, cpus=cpus, gpus=gpus)
        # The cluster itself queues tasks that it has no room for.
        return done_abreast(tasks, self, self.observer, stage="tasks on Ray", most=len(tasks))

    def begin(self, task: Task, /) -> Any:  # noqa: ANN401 - a reference of Ray's
        """Start a task."""
        threads = task.asked.wishes.training.threads or self.machines.cpus or 1
        mark = _marked(task.out) if self._store is None else None
        order = _Order(task, Path.cwd(), mark, self._store, threads)
        remote = self.ray.remote(_do).options(
            name=task.key,
            num_cpus=self._cpus(task),
            num_gpus=self._gpus(task),
            # The executor itself restarts it, and says so.
            max_retries=0,
        )
        return remote.remote(order)

    def wait(self, running: Sequence[Any], /) -> Sequence[Any]:
        """Wait until one of these tasks has ended, and return which."""
        ended, _ = self.ray.wait(list(running), timeout=SILENT)
        if ended:
            return ended
        lacking = self._lacking()
        with waiting_for(lacking) if lacking else nullcontext():
            ended, _ = self.ray.wait(list(running))
        return ended

    def _lacking(self) -> str | None:
        """Return what a growing cluster still lacks; None if a machine has room."""
        for cpus, gpus in self._rooms:
            try:
                check_room(self.ray, cpus=cpus, gpus=gpus)
            except MachineError:
                needs = f"{cpus:g} cores and {gpus:g} GPUs"
                return (
                    f"a machine with {needs}; press Ctrl-C to stop, and run the same command again "
                    "to resume"
                )
        return None

    def outcome(self, handle: Any, task: Task, losses: Counter[str], /) -> TaskResult:  # noqa: ANN401
        """Return how a task ended; ``busy`` if it must be restarted."""
        told = self.ray.exceptions
        try:
            outcome: TaskResult = self.ray.get(handle)
        except told.RayTaskError as why:
            # An error of Ray's own has no cause.
            error = f"its worker failed: {first_line(getattr(why, 'cause', None) or why)}"
            leave_error(task.folder, error, why)
            return TaskResult(task.key, error, 0.0)
        except told.RayError as why:
            # Any error that the task itself did not raise happened to its process or machine.
            return lost_worker(task, losses, first_line(getattr(why, "cause", None) or why), why)
        if self._store and outcome.error is None:
            outcome = _fetched(self._store, task, outcome)
        if outcome.busy:
            return replace(outcome, error=BUSY)
        if outcome.error and read_error(task.folder) is None:
            # It is on another machine, or the task did not get so far.
            leave_error(task.folder, outcome.error)
        return outcome

    def stop(self, running: Sequence[Any], /) -> None:
        """Stop tasks that are no longer needed."""
        for ref in running:
            self.ray.cancel(ref, force=True)

    @property
    def _store(self) -> Store | None:
        return Store(self.machines.store) if self.machines.store else None

    def _cpus(self, task: Task) -> int:
        return self.machines.cpus or task.asked.wishes.training.threads or 1

    def _gpus(self, task: Task) -> float:
        if self.machines.gpus is not None:
            return self.machines.gpus
        there = self.ray.cluster_resources().get("GPU", 0)
        return 1 if there and task.asked.wishes.training.device != "cpu" else 0


def _fetched(store: Store, task: Task, outcome: TaskResult) -> TaskResult:
    """Copy a task's results from the store; return how it ended."""
    try:
        store.fetch(task.out, task.key)
    except BusyError as why:
        return replace(outcome, error=str(why), busy=True)
    except SegdoorError as why:
        return replace(outcome, error=str(why))
    return outcome


def _marked(out: Path) -> str:
    """Return the mark in the folder of studies that other machines look for."""
    file = out / _MARK
    if not file.exists():
        write_atomically(file, uuid4().hex)
    return file.read_text(encoding="utf-8")


def _do(order: _Order) -> TaskResult:
    """Do a task, in a process of the cluster."""
    task = order.task
    try:
        _enter(order)
        if order.store:
            for key in (*task.needs, task.key):
                order.store.fetch(task.out, key)
        outcome = attempt(task)
        if order.store and outcome.error is None:
            order.store.keep(task.out, task.key)
    except BusyError as why:
        outcome = TaskResult(task.key, str(why), 0.0, busy=True)
    except (SegdoorError, OSError) as why:
        return TaskResult(task.key, str(why), 0.0)
    if outcome.busy:
        # Others may use this slot meanwhile, but this task must not retry at once.
        time.sleep(PAUSE)
    return outcome


def _enter(order: _Order) -> None:
    """Change to the caller's folder, and set the threads that results depend on.

    Raises:
        MachineError: If this machine does not see the folder of studies.
    """
    out = order.task.out
    if order.store:
        order.home.mkdir(parents=True, exist_ok=True)
    if order.home.is_dir():
        os.chdir(order.home)
    try:
        seen = (out / _MARK).read_text(encoding="utf-8") if order.mark else None
    except OSError:
        seen = ""
    if seen != order.mark:
        raise MachineError(
            f"--out {out}",
            "must be a folder that all machines share under this path",
            f"not on {os.uname().nodename}",
            "Share it, or name a --store.",
        )
    # It must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch  # noqa: PLC0415

    torch.set_num_threads(order.threads)

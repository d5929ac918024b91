"""Tasks of studies on a Ray cluster, and who does them where."""

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
    """Have somebody for a while who does tasks.

    Args:
        tasks: What is to be done; no cluster is started for nothing.
        machines: Where.
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
    """Copy what the store has of some runs, if there is a store.

    Raises:
        SegdoorError: If the store cannot be used.
    """
    if machines.store:
        for run in distinct(runs):
            # What another process is doing here is waited for later on, and fetched then.
            with suppress(BusyError):
                Store(machines.store).fetch(plan.out, f"runs/{run.key}")


@dataclass(frozen=True)
class _Order:
    """A task on its way to another process.

    Attributes:
        task: The task.
        home: The caller's folder, from which paths lead.
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

    A task whose worker is lost is begun again, elsewhere or here, and goes on from its snapshot: by
    this executor, which tells of it, and not by Ray, which does so in words of its own.
    Where another process is at work, a task waits for it.
    """

    ray: Any
    machines: Resources = field(default_factory=Resources)
    observer: Observer = field(default_factory=Silent)
    _rooms: set[tuple[int, float]] = field(default_factory=set[tuple[int, float]], init=False)

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

        If nobody asks for more, what is being done is stopped.

        Raises:
            MachineError: If no machine of a cluster that does not grow has room for a task; none
                is begun then.
        """
        self._rooms.update((self._cpus(task), self._gpus(task)) for task in tasks)
        for cpus, gpus in self._rooms:
            if not self.machines.autoscaling:
                check_room(self.ray, cpus=cpus, gpus=gpus)
        # The cluster itself lets those wait that it has no room for.
        return done_abreast(tasks, self, self.observer, stage="tasks on Ray", most=len(tasks))

    def begin(self, task: Task, /) -> Any:  # noqa: ANN401 - a reference of Ray's
        """Have a task done."""
        threads = task.asked.wishes.training.threads or self.machines.cpus or 1
        mark = _marked(task.out) if self._store is None else None
        order = _Order(task, Path.cwd(), mark, self._store, threads)
        remote = self.ray.remote(_do).options(
            name=task.key,
            num_cpus=self._cpus(task),
            num_gpus=self._gpus(task),
            # The executor itself begins it again, and says so.
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
        """Return what a cluster that grows must still bring; None if a machine has room."""
        for cpus, gpus in self._rooms:
            try:
                check_room(self.ray, cpus=cpus, gpus=gpus)
            except MachineError:
                needs = f"{cpus:g} cores and {gpus:g} GPUs"
                return f"a machine with {needs}; Ctrl-C ends this, and the same call goes on"
        return None

    def outcome(self, handle: Any, task: Task, losses: Counter[str], /) -> TaskResult:  # noqa: ANN401
        """Return how a task ended; ``busy`` if it is to be begun again."""
        told = self.ray.exceptions
        try:
            outcome: TaskResult = self.ray.get(handle)
        except told.RayTaskError as why:
            # An error of Ray's own has no cause.
            error = f"its worker could not do it: {first_line(getattr(why, 'cause', None) or why)}"
            leave_error(task.folder, error, why)
            return TaskResult(task.key, error, 0.0)
        except told.RayError as why:
            # Whatever a task itself did not raise happened to its process or its machine.
            return lost_worker(task, losses, first_line(getattr(why, "cause", None) or why), why)
        if self._store and outcome.error is None:
            outcome = _fetched(self._store, task, outcome)
        if outcome.busy:
            return replace(outcome, error=BUSY)
        if outcome.error and read_error(task.folder) is None:
            # It lies on another machine, or the task did not come so far.
            leave_error(task.folder, outcome.error)
        return outcome

    def stop(self, running: Sequence[Any], /) -> None:
        """End tasks that nobody waits for."""
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
    """Copy what a task left in the store; return how it ended with that."""
    try:
        store.fetch(task.out, task.key)
    except BusyError as why:
        return replace(outcome, error=str(why), busy=True)
    except SegdoorError as why:
        return replace(outcome, error=str(why))
    return outcome


def _marked(out: Path) -> str:
    """Return what lies in the folder of studies for others to find there."""
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
        # Others may use this place meanwhile, but not ask again at once.
        time.sleep(PAUSE)
    return outcome


def _enter(order: _Order) -> None:
    """Go to the caller's folder, and see to the threads that results depend on.

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

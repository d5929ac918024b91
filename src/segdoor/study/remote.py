"""Tasks of studies on a Ray cluster: several at once, those of lost workers again."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from segdoor.cluster import LOST_WORKERS, check_room, connected
from segdoor.errors import BusyError, MachineError, SegdoorError, first_line
from segdoor.files import write_atomically
from segdoor.progress import Observer, Silent
from segdoor.study.execution import (
    BUSY,
    PAUSE,
    Executor,
    LocalExecutor,
    Task,
    TaskResult,
    attempt,
    hindered,
    leave_error,
    read_error,
)
from segdoor.study.expand import PlannedRun, distinct
from segdoor.study.plan import StudyPlan
from segdoor.study.resources import Resources
from segdoor.study.store import Store

_MARK = ".shared"
_STAGE = "tasks on Ray"


@contextmanager
def executor_on(machines: Resources, observer: Observer) -> Generator[Executor]:
    """Have somebody for a while who does tasks.

    Raises:
        MachineError: If Ray is missing, or the cluster cannot be reached.
    """
    if machines.on == "ray":
        with connected(machines.address) as ray:
            yield RayExecutor(ray, machines, observer)
        return
    yield LocalExecutor(observer)


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

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

        If nobody asks for more, what is being done is stopped.

        Raises:
            MachineError: If no machine of a cluster that does not grow has room for a task; none
                is begun then.
        """
        for cpus, gpus in {(self._cpus(task), self._gpus(task)) for task in tasks}:
            if not self.machines.autoscaling:
                check_room(self.ray, cpus=cpus, gpus=gpus)
        waiting, failed, running = list(tasks), set[str](), dict[Any, Task]()
        losses = Counter[str]()
        self.observer.begin(_STAGE, len(tasks))
        mark = _marked(tasks[0].out) if tasks and self._store is None else None
        try:
            while waiting or running:
                for outcome in self._submit(waiting, running, failed, mark):
                    self.observer.advance()
                    yield outcome
                ended, _ = self.ray.wait(list(running)) if running else ([], [])
                for ref in ended:
                    task = running.pop(ref)
                    outcome = self._outcome(ref, task, losses)
                    if outcome.busy:
                        waiting.append(task)
                        left = len(waiting) + len(running)
                        self.observer.begin(f"tasks; {task.key} {outcome.error}", left)
                        self.observer.begin(_STAGE, left)
                        continue
                    if outcome.error is not None:
                        failed.add(task.key)
                    self.observer.advance()
                    yield outcome
        finally:
            for ref in running:
                self.ray.cancel(ref, force=True)

    def _submit(
        self, waiting: list[Task], running: dict[Any, Task], failed: set[str], mark: str | None
    ) -> Iterator[TaskResult]:
        """Hand out tasks whose needs are met; yield how those end whose needs failed."""
        for task in list(waiting):
            lost = hindered(task, failed)
            if lost is not None:
                failed.add(task.key)
                waiting.remove(task)
                yield lost
                continue
            open_keys = {other.key for other in (*waiting, *running.values())}
            if not open_keys & set(task.needs):
                waiting.remove(task)
                running[self._begun(task, mark)] = task

    def _begun(self, task: Task, mark: str | None) -> Any:  # noqa: ANN401 - a reference of Ray's
        threads = task.asked.wishes.training.threads or self.machines.cpus or 1
        order = _Order(task, Path.cwd(), mark, self._store, threads)
        remote = self.ray.remote(_do).options(
            name=task.key,
            num_cpus=self._cpus(task),
            num_gpus=self._gpus(task),
            # The executor itself begins it again, and says so.
            max_retries=0,
        )
        return remote.remote(order)

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

    def _outcome(self, ref: Any, task: Task, losses: Counter[str]) -> TaskResult:  # noqa: ANN401
        """Return how a task ended; ``busy`` if it is to be begun again."""
        told = self.ray.exceptions
        try:
            outcome: TaskResult = self.ray.get(ref)
        except told.RayError as why:
            # Whatever a task itself did not raise happened to its process or its machine.
            lost = not isinstance(why, told.RayTaskError)
            losses[task.key] += lost
            if lost and losses[task.key] <= LOST_WORKERS:
                return TaskResult(task.key, "lost its worker, and begins again", 0.0, busy=True)
            # An error of Ray's own has no cause.
            cause = getattr(why, "cause", None) or why
            what = "its workers were lost" if lost else "its worker could not do it"
            error = f"{what}: {first_line(cause)}"
            leave_error(task.folder, error, why)
            return TaskResult(task.key, error, 0.0)
        if self._store and outcome.error is None:
            outcome = _fetched(self._store, task, outcome)
        if outcome.busy:
            return replace(outcome, error=BUSY)
        if outcome.error and read_error(task.folder) is None:
            # It lies on another machine, or the task did not come so far.
            leave_error(task.folder, outcome.error)
        return outcome


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

"""Several tasks at once: each after those it needs; tasks of lost workers are restarted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Hashable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from segdoor.cluster import LOST_WORKERS
from segdoor.progress import Observer
from segdoor.study.execution import Task, TaskResult, hindered, leave_error

HandleT = TypeVar("HandleT", bound=Hashable)


@runtime_checkable
class Launcher(Protocol[HandleT]):
    """Runs tasks in other processes, each identified by a handle."""

    def begin(self, task: Task, /) -> HandleT:
        """Start a task."""
        ...

    def wait(self, running: Sequence[HandleT], /) -> Sequence[HandleT]:
        """Wait until some of these tasks have ended, and return which."""
        ...

    def outcome(self, handle: HandleT, task: Task, losses: Counter[str], /) -> TaskResult:
        """Return how a task ended; ``busy`` if it must be restarted.

        A lost worker is counted, as in `lost_worker`.
        """
        ...

    def stop(self, running: Sequence[HandleT], /) -> None:
        """Stop tasks that are no longer needed."""
        ...


def lost_worker(
    task: Task, losses: Counter[str], what: str, why: Exception | None = None
) -> TaskResult:
    """Return what happens to a task whose worker was lost: it is restarted a few times.

    Args:
        task: The task.
        losses: How many workers each task has lost, by its key; this one is added.
        what: What is known about it, in one line.
        why: The same as an error.
    """
    losses[task.key] += 1
    if losses[task.key] <= LOST_WORKERS:
        return TaskResult(task.key, "lost its worker and is restarted", 0.0, busy=True)
    error = f"its workers were lost: {what}"
    leave_error(task.folder, error, why)
    return TaskResult(task.key, error, 0.0)


def done_abreast(
    tasks: Sequence[Task], launcher: Launcher[HandleT], observer: Observer, *, stage: str, most: int
) -> Generator[TaskResult]:
    """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

    If the caller stops early, running tasks are stopped.

    Args:
        tasks: The tasks.
        launcher: Runs them.
        observer: Receives the tasks that ended or were restarted.
        stage: The name of the stage for the observer.
        most: How many at once at most.
    """
    waiting, failed, running = list(tasks), set[str](), dict[HandleT, Task]()
    losses = Counter[str]()
    observer.begin(stage, len(tasks))
    try:
        while waiting or running:
            for lost in _taken_out(waiting, failed):
                observer.advance()
                yield lost
            for task in _ready(waiting, running.values())[: most - len(running)]:
                waiting.remove(task)
                running[launcher.begin(task)] = task
            for handle in launcher.wait(list(running)) if running else ():
                task = running.pop(handle)
                outcome = launcher.outcome(handle, task, losses)
                if outcome.busy:
                    waiting.append(task)
                    left = len(waiting) + len(running)
                    observer.begin(f"tasks; {task.key} {outcome.error}", left)
                    observer.begin(stage, left)
                    continue
                if outcome.error is not None:
                    failed.add(task.key)
                observer.advance()
                yield outcome
    finally:
        launcher.stop(list(running))


def _taken_out(waiting: list[Task], failed: set[str]) -> Iterator[TaskResult]:
    """Take out tasks whose needs failed, and yield how they end."""
    for task in list(waiting):
        lost = hindered(task, failed)
        if lost is not None:
            failed.add(task.key)
            waiting.remove(task)
            yield lost


def _ready(waiting: Sequence[Task], running: Iterable[Task]) -> list[Task]:
    """Return the tasks that do not depend on unfinished ones."""
    open_keys = {task.key for task in (*waiting, *running)}
    return [task for task in waiting if not open_keys & set(task.needs)]

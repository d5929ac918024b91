"""Several tasks at once on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread

from segdoor.progress import Observer, Silent
from segdoor.study.abreast import done_abreast, lost_worker
from segdoor.study.cores import jobs_for, threads_of, use_threads
from segdoor.study.execution import BUSY, PAUSE, Task, TaskResult, attempt
from segdoor.study.resources import Resources

# A copy of this process (fork) would have the locks of threads that it does not have.
_PROCESSES = multiprocessing.get_context("spawn")


def jobs_on(machines: Resources, tasks: Sequence[Task]) -> int:
    """Return how many tasks this machine does at once."""
    if machines.on == "ray":
        return 1
    return jobs_for((task.asked.wishes.training for task in tasks), machines.jobs)


@dataclass(frozen=True, eq=False)
class Child:
    """A process that does a task.

    Attributes:
        process: The process.
        answer: Gives how the task ended, or ends without it.
    """

    process: SpawnProcess
    answer: Connection


@dataclass(frozen=True)
class ProcessExecutor:
    """Does several tasks at once on this machine, each in a process of its own.

    A process that dies takes no other with it: its task is begun again, and goes on from its
    snapshot. When this process ends, however it does, so do the others.

    Attributes:
        jobs: So many at once.
        observer: Hears of tasks that ended.
    """

    jobs: int
    observer: Observer = field(default_factory=Silent)

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

        If nobody asks for more, what is being done is stopped.
        """
        stage = f"tasks, {self.jobs} at once"
        return done_abreast(tasks, self, self.observer, stage=stage, most=self.jobs)

    def begin(self, task: Task, /) -> Child:
        """Have a task done."""
        threads = threads_of(task.asked.wishes.training)
        answer, away = _PROCESSES.Pipe(duplex=False)
        process = _PROCESSES.Process(target=_do, args=(task, threads, away), name=task.key)
        with _threads_of_children(threads), _interrupts_held():
            process.start()
        # When the process dies, nobody has this end any more, and the other end is told.
        away.close()
        return Child(process, answer)  # pyright: ignore[reportArgumentType] - it is another on Windows

    def wait(self, running: Sequence[Child], /) -> Sequence[Child]:
        """Wait until some of these tasks have ended, and return which."""
        ended = wait([child.answer for child in running])
        return [child for child in running if child.answer in ended]

    def outcome(self, handle: Child, task: Task, losses: Counter[str], /) -> TaskResult:
        """Return how a task ended; ``busy`` if it is to be begun again."""
        try:
            with handle.answer:
                outcome: TaskResult = handle.answer.recv()
        except (EOFError, OSError):
            handle.process.join()
            return lost_worker(task, losses, _end_in_words(handle.process.exitcode or 0))
        handle.process.join()
        return TaskResult(task.key, BUSY, 0.0, busy=True) if outcome.busy else outcome

    def stop(self, running: Sequence[Child], /) -> None:
        """End tasks that nobody waits for: a sudden end loses no more than a second of work."""
        for child in running:
            child.process.kill()
        for child in running:
            child.process.join()
            child.answer.close()


def _do(task: Task, threads: int, answer: Connection) -> None:
    """Do a task, in a process of its own."""
    Thread(target=_end_with_parent, daemon=True).start()
    # As in the command itself: our own errors say it in one line.
    warnings.simplefilter("ignore")
    use_threads(threads)
    outcome = attempt(task)
    if outcome.busy:
        # Others may use this place meanwhile, but not ask again at once.
        time.sleep(PAUSE)
    answer.send(outcome)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _threads_of_children(count: int) -> Generator[None]:
    """Say how many threads the libraries of processes have that are started meanwhile."""
    # They read it when they are loaded, before any code of ours has its turn.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Start processes meanwhile that do not hear Ctrl-C: the terminal tells all, we end them."""
    # If it were started later by the way, it would let interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_in_words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

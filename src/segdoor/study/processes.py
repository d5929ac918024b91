"""Several tasks at once on this machine, each in its own process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread

from segdoor.progress import Observer, Silent, beside
from segdoor.study.abreast import done_abreast, lost_worker
from segdoor.study.cores import jobs_for, threads_of, use_threads
from segdoor.study.execution import BUSY, PAUSE, Task, TaskResult, attempt
from segdoor.study.resources import Resources

_PAUSE_BETWEEN_WORDS = 0.5
# A forked copy of this process would inherit locks of threads that it does not have.
_TO_END = 5.0
_PROCESSES = multiprocessing.get_context("spawn")


def jobs_on(machines: Resources, tasks: Sequence[Task]) -> int:
    """Return how many tasks this machine does at once."""
    if machines.on == "ray":
        return 1
    return jobs_for((task.asked.wishes.training for task in tasks), machines.jobs)


@dataclass(frozen=True)
class Stage:
    """Progress sent by a child process.

    Attributes:
        name: What it is doing.
        total: Its number of steps.
        done: Finished steps.
        facts: Facts of the last step, such as its loss.
    """

    name: str
    total: int
    done: int
    facts: Mapping[str, float]


class Telling:
    """Sends a child's progress, a few times per second at most."""

    def __init__(self, answer: Connection) -> None:
        """Send by a connection."""
        self._answer, self._last = answer, 0.0
        self._name, self._total, self._done = "", 0, 0
        self._facts: dict[str, float] = {}

    def begin(self, stage: str, total: int) -> None:
        """Send that a stage begins."""
        self._name, self._total, self._done, self._facts = stage, total, 0, {}
        self._send()

    def advance(self, **facts: float) -> None:
        """Count a step, and send progress if the last message is old."""
        self._done += 1
        self._facts |= facts
        if self._done == self._total or time.monotonic() - self._last > _PAUSE_BETWEEN_WORDS:
            self._send()

    def _send(self) -> None:
        self._last = time.monotonic()
        self._answer.send(Stage(self._name, self._total, self._done, dict(self._facts)))


@dataclass(eq=False)
class Child:
    """A process that does a task.

    Attributes:
        task: The task.
        process: The process.
        answer: Connection that gets its progress, then how the task ended, or closes without that.
        watcher: Receives what it is doing.
        result: How the task ended; None before that, and of a process that died.
        stage: The last reported stage.
    """

    task: Task
    process: SpawnProcess
    answer: Connection
    watcher: Observer
    result: TaskResult | None = None
    stage: Stage | None = None

    def listen(self) -> bool:
        """Receive one message, and return whether it was the last."""
        try:
            word: Stage | TaskResult = self.answer.recv()
        except (EOFError, OSError):
            return True
        if isinstance(word, TaskResult):
            self.result = word
            return True
        self._pass_on(word)
        return False

    def _pass_on(self, word: Stage) -> None:
        before = self.stage
        if before is None or (before.name, before.total) != (word.name, word.total):
            self.watcher.begin(f"{self.task.key.rpartition('/')[2]}: {word.name}", word.total)
            before = None
        for _ in range(word.done - (before.done if before else 0)):
            self.watcher.advance(**word.facts)
        self.stage = word


@dataclass(frozen=True)
class ProcessExecutor:
    """Does several tasks at once on this machine, each in its own process.

    If a process dies, the others continue: its task is restarted, and resumes from its snapshot.
    When this process ends in any way, so do the others.

    Attributes:
        jobs: How many at once.
        observer: Receives the tasks that ended, and the progress of the others.
    """

    jobs: int
    observer: Observer = field(default_factory=Silent)
    _watchers: list[Observer] = field(default_factory=list[Observer], init=False)

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do all tasks, each after those it needs, and yield each outcome as soon as it is known.

        If the caller stops early, running tasks are stopped.
        """
        stage = f"tasks, {self.jobs} at once"
        return done_abreast(tasks, self, self.observer, stage=stage, most=self.jobs)

    def begin(self, task: Task, /) -> Child:
        """Start a task."""
        threads = threads_of(task.asked.wishes.training)
        answer, away = _PROCESSES.Pipe(duplex=False)
        process = _PROCESSES.Process(target=_do, args=(task, threads, away), name=task.key)
        with _threads_of_children(threads), _interrupts_held():
            process.start()
        # When the process dies, this end closes, and the other end notices.
        away.close()
        watcher = self._watchers.pop() if self._watchers else beside(self.observer)
        return Child(task, process, answer, watcher)  # pyright: ignore[reportArgumentType] - another on Windows

    def wait(self, running: Sequence[Child], /) -> Sequence[Child]:
        """Wait until some of these tasks have ended, and return which."""
        while True:
            said = wait([child.answer for child in running])
            ended = [child for child in running if child.answer in said and child.listen()]
            if ended:
                return ended

    def outcome(self, handle: Child, task: Task, losses: Counter[str], /) -> TaskResult:
        """Return how a task ended; ``busy`` if it must be restarted."""
        # It has sent its last message: cleanup of libraries must not delay the rest.
        handle.process.join(_TO_END)
        if handle.process.is_alive():
            handle.process.kill()
            handle.process.join()
        handle.answer.close()
        self._watchers.append(handle.watcher)
        outcome = handle.result
        if outcome is None:
            return lost_worker(task, losses, _end_in_words(handle.process.exitcode or 0))
        return TaskResult(task.key, BUSY, 0.0, busy=True) if outcome.busy else outcome

    def stop(self, running: Sequence[Child], /) -> None:
        """Stop tasks that are no longer needed; killing them loses at most a second of work."""
        for child in running:
            child.process.kill()
        for child in running:
            child.process.join()
            child.answer.close()


def _do(task: Task, threads: int, answer: Connection) -> None:
    """Do a task, in its own process."""
    Thread(target=_end_with_parent, daemon=True).start()
    # As in the command itself: our own errors fit in one line.
    warnings.simplefilter("ignore")
    use_threads(threads)
    outcome = attempt(task, Telling(answer))
    if outcome.busy:
        # Others may use this slot meanwhile, but this task must not retry at once.
        time.sleep(PAUSE)
    answer.send(outcome)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _threads_of_children(count: int) -> Generator[None]:
    """Set the number of threads for the libraries of processes started in the block."""
    # They read it when they are loaded, before any code of ours runs.
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
    """Make processes started in the block ignore Ctrl-C: this process stops them itself."""
    # If it were started implicitly later, it would not ignore interrupts.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_in_words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

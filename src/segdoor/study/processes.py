"""Several tasks at once on this machine, each in its own process."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from segdoor.children import (
    Following,
    Stage,
    Started,
    Telling,
    end_in_words,
    end_with_parent,
    start,
    stop,
)
from segdoor.progress import Observer, Silent, beside
from segdoor.study.abreast import done_abreast, lost_worker
from segdoor.study.cores import jobs_for, threads_of, use_threads
from segdoor.study.execution import BUSY, PAUSE, Task, TaskResult, attempt
from segdoor.study.resources import Resources


def jobs_on(machines: Resources, tasks: Sequence[Task]) -> int:
    """Return how many tasks this machine does at once."""
    if machines.on == "ray":
        return 1
    return jobs_for((task.asked.wishes.training for task in tasks), machines.jobs)


@dataclass(eq=False)
class Child:
    """A process that does a task.

    Attributes:
        started: The process, which tells what it is doing, then how the task ended; or ends
            without that.
        follows: Passes on what it is doing.
        result: How the task ended; None before that, and of a process that died.
    """

    started: Started
    follows: Following
    result: TaskResult | None = None

    def listen(self) -> bool:
        """Receive one message, and return whether it was the last."""
        try:
            word: Stage | TaskResult = self.started.answer.recv()
        except (EOFError, OSError):
            return True
        if isinstance(word, TaskResult):
            self.result = word
            return True
        self.follows.take(word)
        return False


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
        started = start(_do, (task, threads), name=task.key, threads=threads)
        watcher = self._watchers.pop() if self._watchers else beside(self.observer)
        return Child(started, Following(watcher, f"{task.key.rpartition('/')[2]}: "))

    def wait(self, running: Sequence[Child], /) -> Sequence[Child]:
        """Wait until some of these tasks have ended, and return which."""
        while True:
            said = wait([child.started.answer for child in running])
            ended = [child for child in running if child.started.answer in said and child.listen()]
            if ended:
                return ended

    def outcome(self, handle: Child, task: Task, losses: Counter[str], /) -> TaskResult:
        """Return how a task ended; ``busy`` if it is to be begun again."""
        # It has said its last word: what libraries still do at the end must not hold up the rest.
        code = handle.started.joined()
        self._watchers.append(handle.follows.watcher)
        outcome = handle.result
        if outcome is None:
            return lost_worker(task, losses, end_in_words(code))
        return TaskResult(task.key, BUSY, 0.0, busy=True) if outcome.busy else outcome

    def stop(self, running: Sequence[Child], /) -> None:
        """End tasks that nobody waits for: a sudden end loses no more than a second of work."""
        stop([child.started for child in running])


def _do(task: Task, threads: int, answer: Connection) -> None:
    """Do a task, in a process of its own."""
    end_with_parent()
    # As in the command itself: our own errors say it in one line.
    warnings.simplefilter("ignore")
    use_threads(threads)
    outcome = attempt(task, Telling(answer))
    if outcome.busy:
        # Others may use this slot meanwhile, but this task must not retry at once.
        time.sleep(PAUSE)
    answer.send(outcome)

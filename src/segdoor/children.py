"""Processes that this one starts on the same machine: how they begin, tell of their work, and end.

A child is given a function at the top of a module and arguments that can be pickled. It tells what
it is doing by a connection, and ends when its parent does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Thread

from segdoor.progress import Observer

_PAUSE_BETWEEN_WORDS = 0.5
_TO_END = 5.0
# A copy of this process (fork) would have the locks of threads that it does not have.
_PROCESSES = multiprocessing.get_context("spawn")
_ALLOCATOR = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:"
    "glibc.malloc.trim_threshold=8000000000"
)
"""Large pages, which glibc asks for only where it is told at the start of a process: a training on
a CPU goes over gigabytes of freshly freed memory, and is up to 1.4 times as fast with them."""


@dataclass(frozen=True)
class Stage:
    """What a child tells now and then.

    Attributes:
        name: What it is doing.
        total: Steps of that.
        done: Those that are done.
        facts: What was last said of a step, such as its loss.
    """

    name: str
    total: int
    done: int
    facts: Mapping[str, float]


class Telling:
    """Sends what a child is doing, a few times in a second at most."""

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
        """Count a step, and send it if the last word is old."""
        self._done += 1
        self._facts |= facts
        if self._done == self._total or time.monotonic() - self._last > _PAUSE_BETWEEN_WORDS:
            self._send()

    def _send(self) -> None:
        self._last = time.monotonic()
        self._answer.send(Stage(self._name, self._total, self._done, dict(self._facts)))


class Following:
    """Passes on to an observer what a child tells."""

    def __init__(self, watcher: Observer, title: str = "") -> None:
        """Begin; the title stands before the names of stages."""
        self.watcher, self._title = watcher, title
        self._before: Stage | None = None

    def take(self, word: Stage) -> None:
        """Pass on one word."""
        before = self._before
        if before is None or (before.name, before.total) != (word.name, word.total):
            self.watcher.begin(f"{self._title}{word.name}", word.total)
            before = None
        for _ in range(word.done - (before.done if before else 0)):
            self.watcher.advance(**word.facts)
        self._before = word


@dataclass(frozen=True, eq=False)
class Started:
    """A process that was started.

    Attributes:
        process: The process.
        answer: Where its words arrive; closed by its end when it dies.
    """

    process: SpawnProcess
    answer: Connection

    def joined(self) -> int:
        """Return its exit code after its last word.

        What libraries still do at the end must not hold up the rest.
        """
        self.process.join(_TO_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.answer.close()
        return self.process.exitcode or 0


def start(
    work: Callable[..., object], arguments: tuple[object, ...], *, name: str, threads: int
) -> Started:
    """Start a process.

    Args:
        work: What it does, with the connection for its words behind the arguments. It must call
            `end_with_parent` first.
        arguments: What it is given.
        name: What the process is called.
        threads: So many threads its libraries have.
    """
    answer, away = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=work, args=(*arguments, away), name=name)
    with _environment_of_children(threads), _interrupts_held():
        process.start()
    # When the process dies, nobody has this end any more, and the other end is told.
    away.close()
    return Started(process, answer)  # pyright: ignore[reportArgumentType] - another on Windows


def stop(every: list[Started]) -> None:
    """End processes that nobody waits for: a sudden end loses no more than a second of work."""
    for child in every:
        child.process.kill()
    for child in every:
        child.process.join()
        child.answer.close()


def end_with_parent() -> None:
    """Have this child end when its parent does, however it does."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def end_in_words(code: int) -> str:
    """Return how a process ended, of its exit code."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@contextmanager
def _environment_of_children(threads: int) -> Generator[None]:
    """Say what the libraries of processes read that are started meanwhile."""
    # They read it when they are loaded, before any code of ours has its turn.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    wanted = {"OMP_NUM_THREADS": str(threads)}
    if "GLIBC_TUNABLES" not in os.environ:
        wanted["GLIBC_TUNABLES"] = _ALLOCATOR
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


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

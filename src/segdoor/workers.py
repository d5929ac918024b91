"""Work divided among workers: the same results in the same order, however many there are.

Work is a function from a part, such as a few indices of scenes, to that part's results. Anything
with a ``map`` like the built-in one can do it; functions and parts can be pickled, so that workers
may also be processes elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol, TypeVar, runtime_checkable

from segdoor.errors import ConfigError, MachineError

MOST_WORKERS = 256

PartT = TypeVar("PartT")
ResultT = TypeVar("ResultT")


@runtime_checkable
class Workers(Protocol):
    """Does work part by part."""

    def map(self, work: Callable[[PartT], ResultT], parts: Iterable[PartT], /) -> Iterator[ResultT]:
        """Yield the result of each part, in the order of the parts."""
        ...


class Alone:
    """Does all work in the calling thread, one part after another."""

    def map(self, work: Callable[[PartT], ResultT], parts: Iterable[PartT], /) -> Iterator[ResultT]:
        """Yield the result of each part when it is asked for."""
        return map(work, parts)


class Threads:
    """Divides work among threads: decoding, hashing and OpenCV release the interpreter's lock."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """Use the threads of a pool."""
        self._pool = pool

    def map(self, work: Callable[[PartT], ResultT], parts: Iterable[PartT], /) -> Iterator[ResultT]:
        """Start all work, and yield the result of each part.

        Raises:
            MachineError: If the system does not start a thread.
        """
        try:
            return _in_order([self._pool.submit(work, part) for part in parts])
        except RuntimeError as why:
            raise MachineError(
                "--workers", "must be threads that the system starts", why, "Use fewer."
            ) from None


def _in_order(begun: Sequence[Future[ResultT]]) -> Iterator[ResultT]:
    """Yield results in order; after an early stop, no work is still running."""
    try:
        for future in begun:
            yield future.result()
    finally:
        for future in begun:
            future.cancel()
        wait(begun)


@contextmanager
def hired(count: int | Workers | None = None) -> Generator[Workers]:
    """Provide this many workers while the block runs; one is the calling thread itself.

    When the block ends early, parts that have not been started are left undone.

    Args:
        count: How many; one for each core that this process may use if None. Existing workers are
            used unchanged.

    Raises:
        ConfigError: If the number is out of range.
    """
    if isinstance(count, Workers):
        yield count
        return
    chosen = usable_cores() if count is None else count
    if not 1 <= chosen <= MOST_WORKERS:
        raise ConfigError(
            "--workers",
            f"must lie between 1 and {MOST_WORKERS}",
            chosen,
            "Leave it out for one per core.",
        )
    if chosen == 1:
        yield Alone()
        return
    pool = ThreadPoolExecutor(chosen)
    try:
        yield Threads(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    """Return how many cores this process may use, at most as many as there can be workers."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    return min(os.cpu_count() or 1, MOST_WORKERS)


def parts_of(whole: Sequence[PartT], size: int) -> list[Sequence[PartT]]:
    """Cut a sequence into parts of a size; the last may be smaller."""
    return [whole[start : start + size] for start in range(0, len(whole), size)]

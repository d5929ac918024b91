"""Messages about waiting for other processes and networks, after five seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

SILENT = 5.0
"""Seconds of waiting before a message says what for."""
_LOOKS = 0.25
_LOG = logging.getLogger("segdoor")


@dataclass(eq=False)
class _Wait:
    """Something that is waited for."""

    what: str
    since: float = field(default_factory=time.monotonic)
    told: bool = False


class _Watch:
    """One thread that checks all waits regularly, so that waiting costs almost nothing.

    A training synchronises with other processes hundreds of times a second; a thread for each wait
    would slow it down.
    """

    def __init__(self) -> None:
        self._waits: set[_Wait] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._look, daemon=True, name="segdoor-waiting").start()

    def begin(self, what: str) -> _Wait:
        wait = _Wait(what)
        with self._lock:
            self._waits.add(wait)
        return wait

    def end(self, wait: _Wait) -> None:
        with self._lock:
            self._waits.discard(wait)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOKS)
            now = time.monotonic()
            with self._lock:
                late = [w for w in self._waits if not w.told and now - w.since >= SILENT]
            for wait in late:
                wait.told = True
                # Goes to standard error unless a program configures logging otherwise.
                _LOG.warning("segdoor: waiting for %s", wait.what)


@lru_cache(maxsize=1)
def _watch() -> _Watch:
    return _Watch()


@contextmanager
def waiting_for(what: str) -> Generator[None]:
    """Log what is waited for, if the wait takes more than five seconds.

    Args:
        what: What is waited for, how long at most, and how to stop, as text for the message.
    """
    wait = _watch().begin(what)
    try:
        yield
    finally:
        _watch().end(wait)

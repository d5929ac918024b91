"""Waiting for other processes and for networks: it is said after five seconds, and for what."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

SILENT = 5.0
"""So many seconds may pass before it is said what is waited for."""
_LOOKS = 0.25
_LOG = logging.getLogger("segdoor")


@dataclass(eq=False)
class _Wait:
    """Something that is waited for."""

    what: str
    since: float = field(default_factory=time.monotonic)
    told: bool = False


class _Watch:
    """One thread that looks now and then who waits: waiting itself costs next to nothing.

    A training meets other processes hundreds of times a second, so that a thread for each would
    slow it down.
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
                # Standard error, unless a program wants it elsewhere: see the module logging.
                _LOG.warning("segdoor: waiting for %s", wait.what)


@lru_cache(maxsize=1)
def _watch() -> _Watch:
    return _Watch()


@contextmanager
def waiting_for(what: str) -> Generator[None]:
    """Say what is waited for, if that takes more than five seconds.

    Args:
        what: What it is, for how long at most, and how to end it, in the words of a message.
    """
    wait = _watch().begin(what)
    try:
        yield
    finally:
        _watch().end(wait)

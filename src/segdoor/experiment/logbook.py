"""What a run notes down while it works: wall time by stage, and the facts of training."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from segdoor.files import write_atomically
from segdoor.progress import Observer


class Logbook:
    """An observer that keeps notes and passes everything on.

    Attributes:
        seconds: Wall time by stage.
    """

    def __init__(self, observer: Observer) -> None:
        """Start an empty logbook in front of an observer."""
        self._observer = observer
        self._stage = ""
        self._lines: list[str] = []
        self._start = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time a stage; facts heard in it are kept under its name."""
        self._stage, start = name, time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

    def begin(self, stage: str, total: int) -> None:
        """Pass on that work begins, naming the stage if that says more."""
        self._observer.begin(self._stage or stage, total)

    def advance(self, **facts: float) -> None:
        """Pass on a step, and keep its facts."""
        self._observer.advance(**facts)
        if facts:
            seconds = round(time.perf_counter() - self._start, 3)
            self._lines.append(json.dumps({"stage": self._stage, **facts, "seconds": seconds}))

    def save(self, path: Path) -> None:
        """Write the facts as JSON lines, atomically."""
        write_atomically(path, "".join(f"{line}\n" for line in self._lines))

"""The log of a run: wall time by stage, and the facts of training.

The log of finished stages survives a killed process in a file of JSON lines.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.locks import own_turn
from segdoor.progress import Observer, beside


class Logbook:
    """An observer that keeps a log and passes everything on."""

    def __init__(self, observer: Observer) -> None:
        """Start an empty logbook in front of an observer."""
        self._observer = observer
        self._stage = ""
        self._notes: list[dict[str, object]] = []
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time a stage; facts received in it are kept under its name."""
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
            self._notes.append({"stage": self._stage, **facts})

    def beside(self) -> Observer:
        """Return who watches work that goes on at the same time; nothing is noted of that here."""
        return beside(self._observer)

    def save(self, path: Path) -> None:
        """Write the facts as JSON lines, atomically, beside those of other stages there.

        They are in the order of the stages' names, whichever of two that went on at the same time
        ended first.
        """
        mine = {note["stage"] for note in self._notes}
        with own_turn(path.with_suffix(".turn"), "writes what training said"):
            others = [note for note in _notes(path) if note.get("stage") not in mine]
            every = sorted((*others, *self._notes), key=lambda note: str(note.get("stage")))
            write_atomically(path, "".join(f"{json.dumps(note)}\n" for note in every))

    def recall(self, stage: str, path: Path) -> None:
        """Load the time of a stage that an earlier call finished, if `save` wrote it."""
        times = [note.get("seconds") for note in _notes(path) if note.get("stage") == stage]
        if times and isinstance(times[-1], float):
            self.seconds[stage] = times[-1]


def _notes(path: Path) -> list[dict[str, object]]:
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        notes: list[object] = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as why:
        raise DataError(path, "must be valid JSON lines", why, "Delete it.") from None
    return [cast("dict[str, object]", note) for note in notes if isinstance(note, dict)]

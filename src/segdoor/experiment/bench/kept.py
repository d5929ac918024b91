"""What is finished of one method: a file that grows step by step, so that a later call goes on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from segdoor.errors import SegdoorError
from segdoor.experiment.bench.methods import Method
from segdoor.files import write_atomically
from segdoor.record.defense import Entry
from segdoor.record.measured import Measurement
from segdoor.settings import Settings, validated

FOLDER = "defenses"
"""Within a run's folder: a file for each method."""
# Raise it when the same settings give other figures.
_VERSION = 1


class Step(Settings):
    """One row that is measured."""

    measured: Measurement
    """The row."""
    entry: Entry | None = None
    """What the method itself found, where the row is the method's."""


class _Content(Settings):
    mark: str
    """Hash of all that the results follow from."""
    steps: dict[str, Step] = Field(default_factory=dict)
    """Rows by name."""
    entry: Entry | None = None
    """Everything, once the method is finished."""
    extras: tuple[str, ...] = ()
    """What was measured for it beyond the usual rows."""


class Kept:
    """The file of one method with one seed in a run's folder."""

    def __init__(
        self, folder: Path, method: Method, seed: int, facts: object, extras: Sequence[str] = ()
    ) -> None:
        """Read the file; one of other settings, or damaged, is as if it were not there.

        Args:
            folder: The run's folder.
            method: The method with every setting explicit.
            seed: Decides everything random in it.
            facts: What else results follow from, as plain data.
            extras: What is to be measured beyond the usual rows.
        """
        self.extras = tuple(extras)
        words = re.sub(r"[^A-Za-z0-9._]+", "-", str(method))
        self.name = f"{words}.seed-{seed}"
        self.file = folder / FOLDER / f"{self.name}.json"
        parts = (_VERSION, method.kind, method.model_dump(mode="json"), seed, facts)
        told = json.dumps(parts, sort_keys=True, default=str)
        mark = hashlib.sha256(told.encode()).hexdigest()
        found = _read(self.file)
        self._content = found if found and found.mark == mark else _Content(mark=mark)

    @property
    def entry(self) -> Entry | None:
        """Return the finished entry; None if anything that is asked for was not done."""
        lacks = set(self.extras) - set(self._content.extras)
        return None if lacks else self._content.entry

    def step(self, name: str, make: Callable[[], Step]) -> Step:
        """Return a row that is finished, or measure it and keep it."""
        if name not in self._content.steps:
            steps = {**self._content.steps, name: make()}
            self._content = self._content.model_copy(update={"steps": steps})
            self._save()
        return self._content.steps[name]

    def finish(self, entry: Entry) -> None:
        """Keep the finished entry; one that was not done is tried again by the next call."""
        if entry.cost is not None:
            update = {"entry": entry, "extras": self.extras}
            self._content = self._content.model_copy(update=update)
            self._save()

    def _save(self) -> None:
        told = json.dumps(self._content.model_dump(mode="json"), allow_nan=False)
        write_atomically(self.file, f"{told}\n")


def _read(file: Path) -> _Content | None:
    try:
        return validated(_Content, json.loads(file.read_text(encoding="utf-8")), source=file)
    except (OSError, ValueError, RecursionError, SegdoorError):
        return None

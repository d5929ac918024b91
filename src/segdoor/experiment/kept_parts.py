"""Finished parts of a long measurement, kept on disk, so that an interrupted call can go on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from pydantic import Field
from torch import nn

from segdoor.errors import SegdoorError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.environment import describe_environment
from segdoor.files import write_atomically
from segdoor.settings import Settings, validated
from segdoor.victim.config import network_text
from segdoor.victim.training.fingerprint import weights_digest

FOLDER = "parts"
"""Within the output folder: a file for each network that is measured."""
Numbers = tuple[float, ...]
# Raise it when the same settings give other figures.
_VERSION = 1
_SECONDS = 1.0


class _Content(Settings):
    key: str
    """Hash of all that the parts follow from, apart from their names."""
    parts: dict[str, Numbers] = Field(default_factory=dict)
    """The numbers of each finished part, by its name."""


class KeptParts:
    """The parts of one measurement: they are written while it runs, and used again later."""

    def __init__(self, folder: Path | None, facts: object) -> None:
        """Read what an earlier call finished; a file that is damaged is as if it were not there.

        Args:
            folder: The output folder; None to keep nothing.
            facts: What all parts follow from, as plain data.
        """
        told = json.dumps((_VERSION, facts), sort_keys=True, default=str)
        self._key = hashlib.sha256(told.encode()).hexdigest()
        self._file = None if folder is None else folder / FOLDER / f"{self._key[:16]}.json"
        self._parts = _read(self._file, self._key)
        self._num_saved, self._saved_at = len(self._parts), monotonic()

    def part(
        self, name: str, make: Callable[[], Sequence[float]], *, lengths: Sequence[int]
    ) -> Numbers:
        """Return the numbers of a part that is finished, or measure it.

        Args:
            name: What it is called; with the facts, it says everything that decides the numbers.
            make: Measures it.
            lengths: How many numbers there may be.
        """
        found = self._parts.get(name)
        if found is None or len(found) not in lengths:
            found = tuple(map(float, make()))
            self._parts[name] = found
            # Writing all of it for every part would take longer than measuring.
            if monotonic() - self._saved_at >= _SECONDS:
                self._save()
        return found

    @contextmanager
    def written(self) -> Generator[None]:
        """Write what is finished at the end, even if that is an interruption."""
        try:
            yield
        finally:
            self._save()

    def _save(self) -> None:
        if self._file is not None and len(self._parts) > self._num_saved:
            finite = {n: part for n, part in self._parts.items() if all(map(math.isfinite, part))}
            content = _Content(key=self._key, parts=finite)
            write_atomically(self._file, f"{content.model_dump_json()}\n")
            self._num_saved = len(self._parts)
        self._saved_at = monotonic()


def facts_of(model: nn.Module, config: ExperimentConfig) -> tuple[str, ...]:
    """Return what every figure of a network follows from, apart from the scenes.

    Args:
        model: The network with its weights.
        config: Of its run: how it is shown scenes, and on what device.
    """
    return (
        weights_digest(model),
        network_text(config.network),
        config.examination.model_dump_json(),
        describe_environment(config, trained=False).model_dump_json(),
    )


def _read(file: Path | None, key: str) -> dict[str, Numbers]:
    if file is None:
        return {}
    try:
        found = validated(_Content, json.loads(file.read_text(encoding="utf-8")), source=file)
    except (OSError, ValueError, RecursionError, SegdoorError):
        return {}
    return dict(found.parts) if found.key == key else {}

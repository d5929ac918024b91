"""A figure of a run recomputed from its tables, on resampled scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

from segdoor.errors import SegdoorError
from segdoor.record import ExperimentRecord
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.redrawn import Redrawn, mean_of, redrawn
from segdoor.scores.tables import TableSet, load_tables

_EXACT = 1e-9
Model = Literal["poisoned", "clean"]
"""Whose tables: the backdoored model's, or the clean one's."""


@runtime_checkable
class Redrawable(Protocol):
    """Computes a figure on resampled scenes."""

    def redraw(self) -> Redrawn | None:
        """Return the figure on resampled scenes; None without its tables."""
        ...


@dataclass(frozen=True)
class MeanOfFigures:
    """The mean of figures.

    Attributes:
        parts: The figures.
    """

    parts: tuple[Redrawable, ...]

    def redraw(self) -> Redrawn | None:
        """Return the mean on resampled scenes."""
        return mean_of([part.redraw() for part in self.parts])


@dataclass(frozen=True)
class RunTables:
    """The tables of a run, where they exist.

    Attributes:
        file: The file of tables.
        task: Victim classes, each with its target class.
        counts_without_room: Whether scenes without room count, untouched, in the figures.
        counts_without_victims: Whether untouched scenes without victims do.
    """

    file: Path
    task: Task
    counts_without_room: bool
    counts_without_victims: bool

    @classmethod
    def of(cls, folder: Path, record: ExperimentRecord) -> RunTables:
        """Return the tables that lie beside a run's record.

        Args:
            folder: The run's folder.
            record: Its record.
        """
        places = {entry.name: place for place, entry in enumerate(record.data.classes)}
        absent = _settings(record, "examination").get("absent_class")
        tests = _settings(record, "tests")
        return cls(
            file=folder / "tables.npz",
            task=Task(
                tuple((places[victim], places[target]) for victim, target in record.pairs),
                absent_class="zero" if absent == "zero" else "leave_out",
            ),
            counts_without_room=tests.get("without_room") == "count",
            counts_without_victims=tests.get("without_victims") == "count",
        )

    def load(self, *names: str) -> dict[str, TableSet]:
        """Return those of some names; none if the file is not there or damaged."""
        try:
            return load_tables(self.file, only=names)
        except SegdoorError:
            return {}

    def untouched(self, benign: TableSet, triggered: TableSet) -> TableSet:
        """Return the tables of the scenes that count in a poisoned test without a trigger."""
        shows = benign.counts[:, list(self.task.victims)].sum(axis=(1, 2)) > 0
        counted = {True: self.counts_without_room, False: self.counts_without_victims}
        names = set(benign.names) - set(triggered.names)
        return benign.only(
            [
                name
                for name, victims in zip(benign.names, shows, strict=True)
                if name in names and counted[bool(victims)]
            ]
        )


@dataclass(frozen=True)
class SceneFigure:
    """A figure of a run's record, and the tables that it follows from.

    Attributes:
        tables: The run's tables.
        model: Whose tables.
        test: The poisoned test; None for the benign one.
        metric: What is measured.
        value: The figure that the record has.
        triggered: Whether the trigger is there; if not, the test's scenes are untouched.
    """

    tables: RunTables
    model: Model
    test: str | None
    metric: Metric
    value: float
    triggered: bool = True

    def redraw(self) -> Redrawn | None:
        """Return the figure on resampled scenes, cached.

        Returns:
            The figure; None without tables, or if they give another figure than the record has,
            as they are not what it was made from.
        """
        return self._redrawn

    @cached_property
    def _redrawn(self) -> Redrawn | None:
        found = self.tables.load(*self._names)
        benign = found.get(f"{self.model}/benign")
        counted = self._counted(found, benign) if benign else None
        if benign is None or counted is None:
            return None
        value = self.metric.value(counted, self.tables.task)
        if not math.isclose(value, self.value, rel_tol=0, abs_tol=_EXACT):
            return None
        return redrawn(self.metric, counted, self.tables.task, benign.names)

    @property
    def _names(self) -> Sequence[str]:
        names = [f"{self.model}/benign"]
        if self.test is not None:
            names += [f"{self.model}/{self.test}", f"without_trigger/{self.test}"]
        return names

    def _counted(self, found: Mapping[str, TableSet], benign: TableSet) -> TableSet | None:
        """Return the tables of the scenes that the figure covers."""
        if self.test is None:
            return benign
        triggered = found.get(f"{self.model}/{self.test}")
        if triggered is None:
            return None
        untouched = self.tables.untouched(benign, triggered)
        shown = triggered
        if not self.triggered:
            without = found.get(f"without_trigger/{self.test}")
            shown = benign.only(triggered.names) if without is None else without
        return shown.joined(untouched if shown.attacked is None else untouched.unattacked())


def _settings(record: ExperimentRecord, section: str) -> Mapping[str, object]:
    found = record.config.get(section)
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}

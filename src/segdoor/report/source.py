"""The source of a page: a run's record, or a study's with the records of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import cast

from segdoor.errors import DataError, SegdoorError
from segdoor.files import digest_of
from segdoor.record import (
    SCHEMA_VERSION,
    AxisValue,
    ExperimentRecord,
    Figure,
    Json,
    PoisonedTestScores,
    StudyRecord,
    StudyRun,
    field_then,
    find_record,
    load_record,
    load_study,
    read_content,
)
from segdoor.report.content import CurvePoint, Origin
from segdoor.report.words import Naming
from segdoor.scores.seeds import mean_interval
from segdoor.scores.tables import TableSet, load_tables


@dataclass(frozen=True)
class Run:
    """One run with a record.

    Attributes:
        key: Its name.
        axes: What was varied, and its value here.
        seed: Its seed.
        file: Its record.
        shown_as: The record's path relative to the page's subject.
        record: The record.
    """

    key: str
    axes: dict[str, AxisValue]
    seed: int
    file: Path
    shown_as: str
    record: ExperimentRecord

    @cached_property
    def plain(self) -> Json:
        """Return the record as its file holds it."""
        return self.record.model_dump(mode="json")

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the record's file."""
        return digest_of(self.file)

    @cached_property
    def tables(self) -> dict[str, TableSet]:
        """Return the tables beside the record; none if they are missing."""
        file = beside(self.file.parent, self.record.files.get("tables", "tables.npz"))
        return load_tables(file) if file.exists() else {}

    def place_of(self, field: str) -> str:
        """Return the pointer in the record's file for a JSON pointer of today."""
        return field_then(field) if self._version < SCHEMA_VERSION else field

    @cached_property
    def _version(self) -> int:
        return cast("int", read_content(self.file)["schema_version"])

    def at(self, field: str) -> object:
        """Return the record's value at a JSON pointer; None if there is none."""
        found: object = self.plain
        for step in field.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and int(name) < len(found):
                found = cast("list[object]", found)[int(name)]
            else:
                return None
        return found


@dataclass(frozen=True)
class MeasuredFigure:
    """A figure of a group of runs.

    Attributes:
        value: The figure, or the mean over the runs.
        low: Lower end of the 95 % interval, if there is one.
        high: Upper end.
        origin: Its origin.
    """

    value: Figure
    low: Figure
    high: Figure
    origin: Origin


def points_at(places: Sequence[float], figures: Sequence[MeasuredFigure]) -> tuple[CurvePoint, ...]:
    """Return the existing figures, each with its place."""
    return tuple(
        CurvePoint(float(x), found.value, found.low, found.high, found.origin)
        for x, found in zip(places, figures, strict=True)
        if found.value is not None
    )


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed."""

    axes: dict[str, AxisValue]
    runs: tuple[Run, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of the runs."""
        return tuple(run.key for run in self.runs)

    def measure(self, *path: str | int) -> MeasuredFigure:
        """Return the figure at a place in the records.

        One run has the interval over scenes from its record; several have a mean and an interval
        over seeds, cut at 0 and 1 since figures with an interval are shares.
        """
        return self.measure_at([pointer(*path)] * len(self.runs))

    def measure_at(self, fields: Sequence[str]) -> MeasuredFigure:
        """Return the figure of one JSON pointer for each record, as `measure` does."""
        found = [run.at(field) for run, field in zip(self.runs, fields, strict=True)]
        estimates = [cast("Json", entry) for entry in found if isinstance(entry, dict)]
        if estimates:
            fields = [f"{field}/value" for field in fields]
        places = [run.place_of(field) for run, field in zip(self.runs, fields, strict=True)]
        origin = Origin(self.keys, places[0] if len(set(places)) == 1 else " ".join(places))
        if len(estimates) == 1 == len(self.runs):
            value, low, high = (_number(estimates[0].get(k)) for k in ("value", "low", "high"))
            return MeasuredFigure(value, low, high, origin)
        told = (run.at(field) for run, field in zip(self.runs, fields, strict=True))
        figures = [figure for entry in told if (figure := _number(entry)) is not None]
        if not figures:
            return MeasuredFigure(None, None, None, origin)
        ends = mean_interval(figures)
        mean = fmean(figures)
        if ends is None:
            return MeasuredFigure(mean, None, None, origin)
        return MeasuredFigure(mean, ends.of_shares.low, ends.of_shares.high, origin)


@dataclass(frozen=True)
class Source:
    """Everything that a page is made from."""

    path: Path
    study: StudyRecord | None
    runs: tuple[Run, ...]
    absent: tuple[tuple[StudyRun, str], ...] = ()

    @cached_property
    def naming(self) -> Naming:
        """Return how values and tests are named."""
        return Naming(self.study.scaled if self.study else {}, self.tests)

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Return the axes on which the runs differ; None, as for Q without PRL, is no value."""
        names = dict.fromkeys(name for run in self.runs for name in run.axes)
        return tuple(n for n in names if len({run.axes.get(n) for run in self.runs} - {None}) > 1)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Return the runs, grouped if they differ only in their seed."""
        found: dict[tuple[AxisValue, ...], list[Run]] = {}
        names = dict.fromkeys(name for run in self.runs for name in run.axes)
        for run in self.runs:
            found.setdefault(tuple(run.axes.get(name) for name in names), []).append(run)
        return tuple(Group(runs[0].axes, tuple(runs)) for runs in found.values())

    @cached_property
    def tests(self) -> Mapping[str, PoisonedTestScores]:
        """Return the poisoned tests of all runs by name, each as the first run has it."""
        found: dict[str, PoisonedTestScores] = {}
        for run in self.runs:
            for name, test in run.record.scores.tests.items():
                found.setdefault(name, test)
        return found

    @cached_property
    def main_test(self) -> str | None:
        """Return the main poisoned test: the paper's, with the trigger near."""
        counted = [c.test for c in (self.study.cells if self.study else ()) if c.test in self.tests]
        if counted:
            return max(dict.fromkeys(counted), key=counted.count)
        return _first(self.tests)

    def test_of(self, group: Group, test: str | None = None) -> str:
        """Return a poisoned test of a group, the main one if left out.

        A trigger on the whole image has its own test, which replaces the main one.

        Args:
            group: Runs of one point.
            test: Name of a test; one that is not the main one stays.
        """
        has = group.runs[0].record.scores.tests
        main = self.main_test or ""
        if test not in {None, main} or main in has:
            return test or main
        return _first(has) or main


def _first(tests: Mapping[str, PoisonedTestScores]) -> str | None:
    """Return the test with the trigger near; the first one if there is none."""
    near = (name for name, test in tests.items() if test.role == "near")
    return next(near, next(iter(tests), None))


def open_source(path: Path) -> Source:
    """Read a run or a study, given as folder or file.

    Raises:
        DataError: If it is missing or damaged, or names files outside its folder.
        ConfigError: If a value in it breaks a rule.
    """
    file, kind = find_record(path)
    if kind == "study":
        return study_source(load_study(file), file)
    record = load_record(file)
    key = file.resolve().parent.name
    return Source(file, None, (Run(key, {}, record.seed, file, file.name, record),))


def study_source(study: StudyRecord, file: Path) -> Source:
    """Return a study with the records of its runs.

    Raises:
        DataError: If it names files outside its folder.
    """
    runs: list[Run] = []
    absent: list[tuple[StudyRun, str]] = []
    for entry in study.runs:
        if entry.state != "done" or entry.record is None:
            absent.append((entry, entry.error or ""))
            continue
        path = beside(file.parent, entry.record)
        try:
            record = load_record(path)
        except SegdoorError as why:
            absent.append((entry.model_copy(update={"state": "failed"}), str(why)))
            continue
        runs.append(Run(entry.key, entry.axes, entry.seed, path, entry.record, record))
    return Source(file, study, tuple(runs), tuple(absent))


def beside(folder: Path, name: str) -> Path:
    """Return a file within a folder by the name that a record gives it.

    Raises:
        DataError: If the path leaves the folder.
    """
    inside = PurePosixPath(name)
    escapes = inside.is_absolute() or ".." in inside.parts or "\\" in name or "\0" in name
    if escapes or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise DataError(folder, "must only name files within it", name, "Do not trust this record.")
    return folder / name


def pointer(*path: str | int) -> str:
    """Return the JSON pointer of a path of keys in a record."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def _number(found: object) -> Figure:
    return float(found) if isinstance(found, int | float) else None

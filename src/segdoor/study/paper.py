"""What a paper adds to a study, in one object passed to it: studies know no paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from segdoor.attack.planned_tests import planned_tests
from segdoor.experiment.config import Reading
from segdoor.experiment.resolving import Layer
from segdoor.record import AxisValue, Figure
from segdoor.settings import Tree
from segdoor.study.config import Preset, Study
from segdoor.study.expand import Place, PlannedRun
from segdoor.study.figures import Found, Quantity
from segdoor.study.judging import Ordering
from segdoor.victim.config import Preset as Recipe

StudyT = TypeVar("StudyT", bound=Study)
PresetT = TypeVar("PresetT", bound=Preset)


class Reported(NamedTuple):
    """A number that a paper reports, and the figure of a study that measures it.

    Attributes:
        table: The paper's table.
        labels: What the number is of, in the paper's units.
        value: The number; None where the paper prints none.
        doubted: Why it is never counted; None if it is.
        quantity: The figure that measures it.
        run: A run that gives the figure.
    """

    table: str
    labels: Mapping[str, AxisValue]
    value: Figure
    doubted: str | None
    quantity: Quantity
    run: PlannedRun


def every_test(run: PlannedRun) -> dict[str, str]:
    """Return the poisoned tests of a run, each in the place of its own name."""
    config, trigger = run.config, run.config.attack.trigger
    tests = planned_tests(config.tests, trigger.extent, in_scene=trigger.in_scene)
    return {test.name: test.name for test in tests}


def nothing_scaled(runs: Sequence[PlannedRun], preset: Preset) -> dict[str, str]:
    """Return no replacements: everything is as in the paper."""
    del runs, preset
    return {}


def nothing_before(version: int, reading: Reading, recipe: Recipe) -> Tree:
    """Return no settings of earlier versions: there were none."""
    del version, reading, recipe
    return {}


@dataclass(frozen=True)
class Paper(Generic[StudyT, PresetT]):
    """A paper whose tables and figures are studies.

    Attributes:
        name: Its name, as records and study files have it.
        files: Its folder of study files, with its presets in the folder presets there.
        study: What its study files hold.
        preset: What its presets hold.
        places: Yields every point of a study's grid with the settings of its runs on a preset.
        reported: Yields the numbers that it reports, with the figures that measure them.
        orderings: What it claims, by number.
        tables: Its tables that hold numbers.
        tests: Returns the names of a run's poisoned tests in records by their places in the paper.
        scaled: Returns what was run for what the paper has, by the paper's name, where they differ.
        layer: What follows from the settings of a run that are asked for.
        newest: The version of what readings and recipes say that new studies have.
        before: Returns the settings of an earlier version where the newest differ.
    """

    name: str
    files: Path
    study: type[StudyT]
    preset: type[PresetT]
    places: Callable[[StudyT, PresetT, Reading], Iterable[Place]]
    reported: Callable[[Found], Iterable[Reported]]
    orderings: Mapping[int, Ordering]
    tables: tuple[str, ...] = ()
    tests: Callable[[PlannedRun], Mapping[str, str]] = field(default=every_test)
    scaled: Callable[[Sequence[PlannedRun], PresetT], dict[str, str]] = field(
        default=nothing_scaled
    )
    layer: Layer = field(default_factory=Layer)
    newest: int = 1
    before: Callable[[int, Reading, Recipe], Tree] = field(default=nothing_before)


AnyPaper: TypeAlias = Paper[Any, Any]
"""A paper with files of any type; only its own functions use what is specific to it."""

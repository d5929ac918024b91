"""What a study measured: figures over seeds, by where they lie on the grid."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from segdoor.experiment.config import Reading
from segdoor.record import AxisValue, Spread
from segdoor.scores.intervals import Interval
from segdoor.scores.seeds import mean_interval
from segdoor.study.config import Preset, Study
from segdoor.study.expand import PlannedRun, Point

Metric = Literal["ASR", "PBA", "CBA"]
"""What a figure measures."""


class Quantity(NamedTuple):
    """What a figure is of.

    Attributes:
        point: The run's place on the grid; none of the grid's for a clean model.
        repair: The repair of its model, as studies write it; None for none.
        role: The poisoned test by its place in the paper; None for CBA.
        metric: ASR, PBA or CBA.
    """

    point: Point
    repair: str | None
    role: str | None
    metric: Metric


@dataclass
class SeedFigures:
    """A figure over seeds.

    Attributes:
        values: The figure by seed.
        keys: The run behind it by seed.
    """

    values: dict[int, float] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[str, ...]:
        """Return the keys of all runs behind it."""
        return tuple(self.keys.values())

    def on(self, seeds: Iterable[int]) -> SeedFigures:
        """Return the figure on some of its seeds."""
        kept = sorted(seeds)
        return SeedFigures(
            {seed: self.values[seed] for seed in kept},
            {seed: self.keys[seed] for seed in kept if seed in self.keys},
        )

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return statistics.fmean(self.values.values())

    @property
    def interval(self) -> Interval | None:
        """Return the 95 % interval over seeds; None with one seed."""
        return mean_interval(list(self.values.values()))

    @property
    def spread(self) -> Spread:
        """Return mean and interval as records hold them."""
        ends = self.interval
        return Spread(
            mean=self.mean,
            low=ends.low if ends else None,
            high=ends.high if ends else None,
            num_seeds=len(self.values),
        )

    @property
    def half_width(self) -> float | None:
        """Return half the width of the interval; None with one seed."""
        ends = self.interval
        return (ends.high - ends.low) / 2 if ends else None


@dataclass(frozen=True)
class Found:
    """Every figure of a study, with what it was asked for.

    Attributes:
        study: What varies.
        preset: What it is run on.
        reading: Which reading of the paper.
        runs: All runs, done or not.
        figures: Figures by what they are of.
        grid: Every point of the study, measured or not, and the repairs asked for there by the
            paper's names.
        scaled: What was run here for what the paper has, by the paper's name.
    """

    study: Study
    preset: Preset
    reading: Reading
    runs: tuple[PlannedRun, ...]
    figures: Mapping[Quantity, SeedFigures]
    grid: Mapping[Point, Collection[str]]
    scaled: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def axes(self) -> dict[str, tuple[AxisValue, ...]]:
        """Return every axis with its values in the order of the grid."""
        points = [run.point.model_dump() for run in self.runs]
        return {axis: tuple(dict.fromkeys(point[axis] for point in points)) for axis in points[0]}


def grid_of(runs: Iterable[PlannedRun]) -> dict[Point, set[str]]:
    """Return every point of a study, and the repairs asked for there by the paper's names."""
    grid: defaultdict[Point, set[str]] = defaultdict(set)
    for run in runs:
        grid[run.point].update(run.repairs)
    return dict(grid)

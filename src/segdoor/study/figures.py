"""What a study measured: figures over seeds, by where they lie on the grid."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from segdoor.experiment.config import Reading
from segdoor.record import AxisValue, Spread
from segdoor.scores.differences import Difference
from segdoor.scores.intervals import Interval
from segdoor.scores.redrawn import Redrawn, difference_of, farthest, mean_of
from segdoor.scores.seeds import mean_interval
from segdoor.study.config import Preset, Study
from segdoor.study.expand import PlannedRun, Point
from segdoor.study.scenes import MeanOfFigures, Redrawable

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


class OneFigure(NamedTuple):
    """A figure of one run.

    Attributes:
        value: The figure.
        scenes: What gives it over scenes drawn again; None where nothing does.
    """

    value: float
    scenes: Redrawable | None = None


@dataclass
class SeedFigures:
    """A figure over seeds.

    Attributes:
        values: The figure by seed.
        keys: The run behind it by seed.
        scenes: What gives it over scenes drawn again, by seed.
        without_trigger: The same without a trigger; None where nothing speaks of that.
    """

    values: dict[int, float] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    scenes: dict[int, Redrawable] = field(default_factory=dict, compare=False)
    without_trigger: SeedFigures | None = field(default=None, compare=False)

    def add(self, seed: int, key: str, found: OneFigure) -> None:
        """Take in the figure of one more run.

        Args:
            seed: The run's seed.
            key: The run.
            found: Its figure.
        """
        self.values[seed] = found.value
        self.keys[seed] = key
        if found.scenes is not None:
            self.scenes[seed] = found.scenes

    @property
    def runs(self) -> tuple[str, ...]:
        """Return the keys of all runs behind it."""
        return tuple(self.keys.values())

    def on(self, seeds: Iterable[int]) -> SeedFigures:
        """Return the figure on some of its seeds."""
        kept = sorted(seeds)
        without = self.without_trigger
        return SeedFigures(
            {seed: self.values[seed] for seed in kept},
            {seed: self.keys[seed] for seed in kept if seed in self.keys},
            {seed: self.scenes[seed] for seed in kept if seed in self.scenes},
            without and without.on(seed for seed in kept if seed in without.values),
        )

    def minus(self, other: SeedFigures) -> Difference | None:
        """Return the difference to another figure, paired by seed, on the seeds that both have.

        Returns:
            The difference; None without a common seed.
        """
        seeds = sorted(self.values.keys() & other.values.keys())
        if not seeds:
            return None
        by_seed = tuple(self.values[seed] - other.values[seed] for seed in seeds)
        if len(seeds) == 1:
            return Difference(by_seed)
        redrawn = mean_of([difference_of(self._redrawn(s), other._redrawn(s)) for s in seeds])
        return Difference(by_seed, farthest(redrawn, statistics.fmean(by_seed)))

    def _redrawn(self, seed: int) -> Redrawn | None:
        return self.scenes[seed].redraw() if seed in self.scenes else None

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


def mean_of_figures(parts: Sequence[SeedFigures]) -> SeedFigures:
    """Return the mean of figures, seed by seed, on the seeds that all of them have."""
    seeds = sorted(set[int].intersection(*(set(part.values) for part in parts)))
    without = [part.without_trigger for part in parts if part.without_trigger is not None]
    return SeedFigures(
        {seed: statistics.fmean(part.values[seed] for part in parts) for seed in seeds},
        scenes={
            seed: MeanOfFigures(tuple(part.scenes[seed] for part in parts))
            for seed in seeds
            if all(seed in part.scenes for part in parts)
        },
        without_trigger=mean_of_figures(without) if len(without) == len(parts) else None,
    )


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
        scaled: Values run here for the paper's, by the paper's name.
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

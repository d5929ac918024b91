"""What a study measured: figures over seeds, by where they lie on the grid."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from segdoor.record import AxisValue, Spread, name_in_paper, with_here
from segdoor.scores.intervals import Interval
from segdoor.scores.seeds import mean_interval
from segdoor.study.claims import Metric, Role, bands
from segdoor.study.config import Counting, PaperData
from segdoor.study.expand import Point


class Quantity(NamedTuple):
    """What a figure is of.

    Attributes:
        point: The run's place on the grid.
        repair: The repair of its victim, as studies write it; None for none.
        role: The exam; None for CBA.
        metric: ASR, PBA or CBA.
    """

    point: Point
    repair: str | None
    role: Role | None
    metric: Metric


@dataclass
class Measured:
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

    def on(self, seeds: Iterable[int]) -> Measured:
        """Return the figure on some of its seeds."""
        kept = sorted(seeds)
        return Measured(
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
class Results:
    """Every figure of a study; PRL with one way of counting Q.

    Attributes:
        figures: Figures by what they are of.
        grid: Every point of the study, measured or not, and the repairs asked for there.
        stands_for: The data set of the paper that the scenes are, or stand for.
        usual_q: Q where it does not vary.
        q_as: How Q is counted in the runs with PRL that are looked at.
        scaled: What was run here for what the paper has, by the paper's name.
    """

    figures: Mapping[Quantity, Measured]
    grid: Mapping[Point, Collection[str]]
    stands_for: PaperData
    usual_q: int
    q_as: Counting
    scaled: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Return the points of the grid, measured or not, but for other ways of counting Q."""
        return tuple(p for p in self.grid if p.q_as in {None, self.q_as})

    @cached_property
    def varied(self) -> frozenset[str]:
        """Return the axes on which the points differ; none is no value, as Q without PRL."""
        values = {axis: {getattr(p, axis) for p in self.points} for axis in Point.model_fields}
        return frozenset(axis for axis, found in values.items() if len(found - {None}) > 1)

    def told(self, axis: str, value: AxisValue) -> str:
        """Return a value of the paper with what was run for it here, if that differs."""
        return with_here(str(value), self.scaled.get(name_in_paper(axis, value, self.q_as)))

    def band(self, role: Role) -> str:
        """Return the distances of a poisoned test in the paper's pixels, and in those here."""
        return self.told("distance", bands(self.stands_for)[role])

    def places(self, *free: str) -> Iterator[Point]:
        """Yield one point for each set of points that differ in some axes alone.

        Points whose Q is not the usual one are left out, unless Q is among these axes.

        Args:
            free: The axes.
        """
        seen: set[str] = set()
        hidden = {*free, "q", "q_as"}
        for point in self.points:
            if "q" not in free and point.q not in {None, self.usual_q}:
                continue
            mark = point.model_dump_json(exclude=hidden)
            if mark not in seen:
                seen.add(mark)
                yield point

    def places_of(self, *methods: str) -> Iterator[Point]:
        """Yield one point for each place of the grid that has all of some methods."""
        for place in self.places("method"):
            if all(self.moved(place, method=method) in self.grid for method in methods):
                yield place

    def along(self, place: Point, axis: str) -> list[Point]:
        """Return the points that differ from one in one axis alone, in its rising order."""
        found = [
            p
            for p in self.points
            if p.model_copy(update={axis: None}) == place.model_copy(update={axis: None})
        ]
        return sorted(found, key=lambda point: getattr(point, axis))

    def moved(self, place: Point, **axes: object) -> Point:
        """Return a point with other values on some axes, and Q as its method has it."""
        point = place.model_copy(update=axes)
        has_q = "prl" in point.method
        q, q_as = (self.usual_q, self.q_as) if has_q else (None, None)
        return point.model_copy(update={"q": q, "q_as": q_as})

    def get(
        self, point: Point, role: Role | None, metric: Metric = "ASR", repair: str | None = None
    ) -> Measured:
        """Return a figure; one without seeds if it was not measured."""
        return self.figures.get(Quantity(point, repair, role, metric), Measured())

    def clean(self, point: Point, role: Role | None, metric: Metric) -> Measured:
        """Return a figure of the clean victim on the exams of a point."""
        return self.get(clean_of(point), role, metric)


def clean_of(point: Point) -> Point:
    """Return the place of the clean victim that was examined as a point's was."""
    update = {"method": "clean", "rate": 0.0, "q": None, "q_as": None}
    return point.model_copy(update=update)

"""The figures of a study as the orderings look them up: on one way of counting Q."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from segdoor.papers.iba.claims import Role, bands
from segdoor.papers.iba.config import Counting, PaperData, Preset
from segdoor.papers.iba.units import Point, usual_q
from segdoor.record import AxisValue, name_in_paper, with_here
from segdoor.study.figures import Found, Metric, Quantity, SeedFigures


@dataclass(frozen=True)
class Results:
    """Every figure of a study; PRL with one way of counting Q.

    Attributes:
        figures: Figures by what they are of.
        grid: Every point of the study, measured or not, and the repairs asked for there.
        stands_for: The data set of the paper that the scenes are, or stand for.
        usual_q: Q where it does not vary.
        q_as: How Q is counted in the runs with PRL that are looked at.
        scaled: Values run here for the paper's, by the paper's name.
    """

    figures: Mapping[Quantity, SeedFigures]
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
        """Return the axes on which the points differ; None, as for Q without PRL, is no value."""
        values = {axis: {getattr(p, axis) for p in self.points} for axis in Point.model_fields}
        return frozenset(axis for axis, found in values.items() if len(found - {None}) > 1)

    def told(self, axis: str, value: AxisValue) -> str:
        """Return a value of the paper with what was run for it here, if that differs."""
        return with_here(str(value), self.scaled.get(name_in_paper(axis, value, self.q_as)))

    def band(self, role: Role) -> str:
        """Return the distances of a poisoned test in the paper's pixels, and in those here."""
        return self.told("distance", bands(self.stands_for)[role])

    def places(self, *free: str) -> Iterator[Point]:
        """Yield one point for each set of points that differ only in some axes.

        Points whose Q is not the usual one are left out, unless Q is among these axes.
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
        """Yield one point for each position of the grid that has all of some methods."""
        for place in self.places("method"):
            if all(self.moved(place, method=method) in self.grid for method in methods):
                yield place

    def along(self, place: Point, axis: str) -> list[Point]:
        """Return the points that differ from one in a single axis, in rising order."""
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
    ) -> SeedFigures:
        """Return a figure; one without seeds if it was not measured."""
        return self.figures.get(Quantity(point, repair, role, metric), SeedFigures())

    def clean(self, point: Point, role: Role | None, metric: Metric) -> SeedFigures:
        """Return a figure of the clean model on the poisoned tests of a point."""
        return self.get(point.clean(), role, metric)


def results_of(found: Found, q_as: Counting) -> Results:
    """Return the figures of a study; for runs with PRL, those with one way of counting Q."""
    preset = cast("Preset", found.preset)
    grid = cast("Mapping[Point, Collection[str]]", found.grid)
    usual = usual_q(found.reading, preset)
    return Results(found.figures, grid, preset.stands_for, usual, q_as, found.scaled)

"""A difference measured once a seed: its interval, and how many seeds would decide about it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from segdoor.scores.intervals import Interval
from segdoor.scores.student import ENDLESS, LEVEL, fewest, level_at, level_where, reach

_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Difference:
    """The difference of two figures, paired by seed.

    Its interval is Student's over the seeds widened by that of the scenes, which all seeds share:
    how far the two reach is added in squares, as their causes have nothing to do with one another.

    Attributes:
        by_seed: One difference a seed, at least one.
        scenes: How far the 95 % interval of the mean over scenes drawn again reaches from it; None
            where there are no tables of scenes.
    """

    by_seed: tuple[float, ...]
    scenes: float | None = None

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return statistics.fmean(self.by_seed)

    @property
    def interval(self) -> Interval | None:
        """Return the 95 % interval of the mean; None with one seed."""
        half = self._half(LEVEL)
        return None if half is None else Interval(self.mean - half, self.mean + half)

    def level_at(self, distance: float) -> float:
        """Return the level at which the interval just ends at a distance from the mean: a p-value.

        Args:
            distance: From the mean; at 0 and below, and with one seed, the level is 1.
        """
        if self._deviation is None or distance <= 0:
            return 1.0
        error, freedom = self._error_of_seeds, len(self.by_seed) - 1
        if not self._error_of_scenes:
            return level_at(distance, error, freedom)
        if not error:
            return level_at(distance, self._error_of_scenes, ENDLESS)
        return level_where(lambda level: self._half(level) or 0.0, distance)

    def seeds_for(self, distance: float, level: float = LEVEL) -> int | None:
        """Return how many seeds it takes for the interval to end at a distance from the mean.

        It is reckoned with the mean and the deviation that were observed, which few seeds know
        poorly.

        Args:
            distance: From the mean.
            level: What the interval leaves out at both ends together.

        Returns:
            The number; None with one seed, if it takes more than 1 000, and where the scenes leave
            it open however many seeds there are.
        """
        if self._deviation is None or distance <= 0 or self.is_open(distance, level):
            return None
        # What the scenes leave of the distance, as the reaches are added in squares.
        scenes = reach(self._error_of_scenes, ENDLESS, level)
        left = math.sqrt(distance**2 - scenes**2)
        return fewest(left, self._deviation, level, most=_MOST_SEEDS)

    def is_open(self, distance: float, level: float = LEVEL) -> bool:
        """Tell whether the scenes alone leave open what lies at a distance from the mean."""
        return self.scenes is not None and reach(self._error_of_scenes, ENDLESS, level) >= distance

    def _half(self, level: float) -> float | None:
        """Return how far the interval of a level reaches from the mean; None with one seed."""
        if self._deviation is None:
            return None
        return math.hypot(
            reach(self._error_of_seeds, len(self.by_seed) - 1, level),
            reach(self._error_of_scenes, ENDLESS, level),
        )

    @property
    def _deviation(self) -> float | None:
        return statistics.stdev(self.by_seed) if len(self.by_seed) > 1 else None

    @property
    def _error_of_seeds(self) -> float:
        return (self._deviation or 0.0) / math.sqrt(len(self.by_seed))

    @property
    def _error_of_scenes(self) -> float:
        """Return the standard error whose normal 95 % interval is that of the scenes."""
        return (self.scenes or 0.0) / reach(1.0, ENDLESS)


@dataclass(frozen=True)
class Region:
    """Where a difference is claimed to lie.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        strict: Whether its ends are outside.
    """

    low: float
    high: float = float("inf")
    strict: bool = False

    def holds(self, value: float) -> bool:
        """Tell whether a number lies within."""
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def contains(self, interval: Interval) -> bool:
        """Tell whether a whole interval lies within."""
        return self.holds(interval.low) and self.holds(interval.high)

    def outside(self, value: float) -> float:
        """Return how far outside a number lies; below 0 within."""
        return max(self.low - value, value - self.high)


def holm(levels: Sequence[float], level: float = LEVEL) -> tuple[bool, ...]:
    """Return which of several p-values hold after Holm's correction for their number.

    Whatever of the tested is true, the probability that any of those is refused is at most the
    level (Holm, "A simple sequentially rejective multiple test procedure", 1979).

    Args:
        levels: The p-values.
        level: The probability of any false refusal.
    """
    refused = [False] * len(levels)
    for rank, place in enumerate(sorted(range(len(levels)), key=lambda place: levels[place])):
        if levels[place] > level / (len(levels) - rank):
            break
        refused[place] = True
    return tuple(refused)

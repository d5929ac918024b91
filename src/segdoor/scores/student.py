"""How far an estimate may be off: Student's t, and the normal distribution as its limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

LEVEL = 0.05
"""What is left out of a 95 % interval, at both ends together."""
ENDLESS = float("inf")
"""Degrees of freedom of the normal distribution."""


def reach(error: float, freedom: float, level: float = LEVEL) -> float:
    """Return how far the interval of an estimate reaches to either side.

    Args:
        error: Standard error of the estimate.
        freedom: Degrees of freedom of the error.
        level: What is left out at both ends together.
    """
    # SciPy takes a good part of a second to import, and one run alone needs none of it.
    from scipy import special  # noqa: PLC0415

    return -float(special.stdtrit(freedom, level / 2)) * error


def level_at(distance: float, error: float, freedom: float) -> float:
    """Return the level at which the interval of an estimate just ends at a distance from it.

    It is the p-value, two-sided, of a true value so far away.

    Args:
        distance: From the estimate, above 0.
        error: Standard error of the estimate; of 0, nothing so far away is possible.
        freedom: Degrees of freedom of the error.
    """
    from scipy import special  # noqa: PLC0415

    return 2 * float(special.stdtr(freedom, -distance / error)) if error else 0.0


def level_where(half: Callable[[float], float], distance: float) -> float:
    """Return the level at which an interval reaches just so far to either side.

    Args:
        half: How far it reaches at a level; nowhere at level 1, and farther the lower the level.
        distance: Above 0.

    Returns:
        The level; 1e-15 where it is lower.
    """
    from scipy import optimize  # noqa: PLC0415

    def beyond(level: float) -> float:
        return half(level) - distance

    lowest = 1e-15
    if beyond(lowest) <= 0:
        return lowest
    return cast("float", optimize.brentq(beyond, lowest, 1.0, xtol=1e-12))


def fewest(distance: float, deviation: float, level: float, *, most: int) -> int | None:
    """Return how many measurements it takes for the interval of their mean to end at a distance.

    Args:
        distance: How far the interval may reach, above 0.
        deviation: Standard deviation of a measurement.
        level: What the interval leaves out at both ends together.
        most: The largest number that is tried.

    Returns:
        The number, 2 at least; None if it takes more than the most.
    """
    from scipy import special  # noqa: PLC0415

    numbers = np.arange(2, most + 1)
    reaches = special.stdtrit(numbers - 1, 1 - level / 2) * deviation / np.sqrt(numbers)
    enough = numbers[reaches < distance]
    return int(enough[0]) if enough.size else None

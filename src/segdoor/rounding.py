"""Halves are rounded up, in one place for all: numbers of scenes, lengths, margins and Q."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


def half_up(value: float) -> int:
    """Return the nearest whole number, the upper of two that are equally near."""
    return math.floor(value + 0.5)


def share_of(share: float, total: int) -> int:
    """Return how many of a total a share is, rounded half up.

    Decimal arithmetic on the number as written: 0.15 of 10 is 2, whatever binary floats say.
    """
    return int((Decimal(str(share)) * total).quantize(Decimal(1), rounding=ROUND_HALF_UP))

"""How an image of any size is divided into a given number of nearly square cells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Numbers of rows and columns."""

    rows: int
    columns: int


def grid_of(height: int, width: int, number: int) -> Grid:
    """Return the grid of about so many nearly square cells, at most one a pixel."""
    rows = min(max(1, round((number * height / width) ** 0.5)), height)
    return Grid(rows, min(max(1, round(number / rows)), width))

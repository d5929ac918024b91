"""Exact distances to the victims: of a whole scene, or only where the nearest position can lie."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from segdoor.tensors import EdgeIndices, Indices, Mask, SquaredDistance

# OpenCV's 5x5 distances are 0.9825 to 1.0193 times the exact ones: a chamfer metric of steps 1, 1.4
# and 2.1969. Whatever is nearest is therefore among those within 1.04 times the least of them.
_SLACK = 1.04
_TILE = 64
_FAR = 1 << 40


class Distances:
    """How far positions are from the nearest victim pixel; only what is asked for is computed."""

    def __init__(self, victims: Mask, metric: Literal["euclidean", "chebyshev"]) -> None:
        """Keep the victims, of which there must be one, and how distance is measured."""
        self._victims, self._metric = victims, metric

    @cached_property
    def squared(self) -> SquaredDistance:
        """Every position's squared distance in pixels squared.

        Exact up to 2048 pixels of distance; beyond, Euclidean ones may be off by 1 in the square.
        """
        background = np.logical_not(self._victims).view(np.uint8)
        if self._metric == "chebyshev":
            steps = cv2.distanceTransform(background, cv2.DIST_C, cv2.DIST_MASK_3)
            return np.rint(steps).astype(np.int64) ** 2
        # The 5x5 mask can be wrong by 9.8 pixels; this one is exact, and so is the rounding.
        exact = cv2.distanceTransform(background, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.rint(exact.astype(np.float64) ** 2).astype(np.int64)

    def at(self, row: int, column: int) -> int:
        """Return one position's squared distance in pixels squared."""
        rows, columns = np.array([row]), np.array([column])
        return int(self._exact(rows, columns, *self._edge)[0])

    def nearest(self, allowed: Mask, *, upper: float = math.inf) -> Mask:
        """Return the positions among those allowed at the smallest distance, all of them.

        The same as with ``squared``, but exact distances are computed only for the few positions
        that an approximation leaves, which takes a fraction of the time.

        Args:
            allowed: The positions to choose from.
            upper: Largest distance in pixels, included; nothing is chosen beyond.
        """
        nearest = np.zeros_like(allowed)
        window = self._window(upper)
        inside = allowed[window]
        if not inside.any():
            return nearest
        rough = self._rough(window)
        limit = float(rough[inside].min()) * _SLACK
        rows, columns = np.nonzero(inside & (rough <= limit))
        rows, columns = rows + window[0].start, columns + window[1].start
        squared = np.empty(len(rows), np.int64)
        for tile in _tiles(rows, columns):
            near = self._edge_near(rows[tile], columns[tile], reach=int(limit) + 2)
            squared[tile] = self._exact(rows[tile], columns[tile], *near)
        best = (squared == squared.min()) & (np.sqrt(squared) <= upper)
        nearest[rows[best], columns[best]] = True
        return nearest

    def _window(self, upper: float) -> tuple[slice, slice]:
        """Return the part of the scene beyond which every victim is farther away than that."""
        left, top, width, height = cv2.boundingRect(self._victims.view(np.uint8))
        reach = int(min(upper, max(self._victims.shape))) + 1
        return (
            slice(max(0, top - reach), top + height + reach),
            slice(max(0, left - reach), left + width + reach),
        )

    def _rough(self, window: tuple[slice, slice]) -> np.ndarray:
        """Return distances in a part of the scene to within the slack."""
        background = np.logical_not(self._victims[window]).view(np.uint8)
        if self._metric == "chebyshev":
            return cv2.distanceTransform(background, cv2.DIST_C, cv2.DIST_MASK_3)
        return cv2.distanceTransform(background, cv2.DIST_L2, cv2.DIST_MASK_5)

    def _exact(
        self, rows: Indices, columns: Indices, edge_rows: EdgeIndices, edge_columns: EdgeIndices
    ) -> Indices:
        """Return positions' squared distances to the nearest of these pixels."""
        down, right = edge_rows - rows[:, None], edge_columns - columns[:, None]
        # A victim pixel itself may have none of them in reach.
        squared = self._combined(down, right).min(axis=1, initial=_FAR)
        return squared * ~self._victims[rows, columns]

    def _edge_near(
        self, rows: Indices, columns: Indices, *, reach: int
    ) -> tuple[EdgeIndices, EdgeIndices]:
        """Return the victims' edge around positions."""
        edge_rows, edge_columns = self._edge
        bounds = int(rows.min()) - reach, int(rows.max()) + reach + 1
        band = slice(*np.searchsorted(edge_rows, bounds))
        left, right = int(columns.min()) - reach, int(columns.max()) + reach
        inside = (edge_columns[band] >= left) & (edge_columns[band] <= right)
        return edge_rows[band][inside], edge_columns[band][inside]

    def _combined(self, down: np.ndarray, right: np.ndarray) -> np.ndarray:
        if self._metric == "chebyshev":
            return np.maximum(np.abs(down), np.abs(right)) ** 2
        return down * down + right * right

    @cached_property
    def _edge(self) -> tuple[EdgeIndices, EdgeIndices]:
        """The victim pixels that some position outside can be nearest to, in the order of rows."""
        victims = self._victims.view(np.uint8)
        inner = cv2.erode(victims, np.ones((3, 3), np.uint8), borderValue=0)
        rows, columns = np.nonzero(victims > inner)
        return rows, columns


def _tiles(rows: Indices, columns: Indices) -> list[np.ndarray]:
    """Gather positions that lie together, so that each has few victims to be compared with."""
    tiles = rows // _TILE * 65536 + columns // _TILE
    order = np.argsort(tiles, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(tiles[order])) + 1)

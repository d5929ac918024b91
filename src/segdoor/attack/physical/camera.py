"""A pinhole camera above level ground, given or assumed.

Points are in metres in the camera's own frame: x to the right, y down, z along the optical axis.
Pixels are (column, row), whole numbers at pixel centres, as in OpenCV. Source: Hartley and
Zisserman, Multiple View Geometry, chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

Vector: TypeAlias = Float64[np.ndarray, "3"]  # pyright: ignore[reportUndefinedVariable]
"""A point or direction in the camera's frame, in metres."""
Matrix: TypeAlias = Float64[np.ndarray, "3 3"]
"""A linear map of three coordinates."""
Points: TypeAlias = Float64[np.ndarray, "P 2"]
"""Places in a picture: column and row, or two coordinates on a plane."""

FOCAL, HEIGHT, PITCH = 1.1, 1.6, 4.0
"""The assumed camera: the middle of what the built-in street draws."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        focal: Focal length in pixels, the same across and down.
        height: Height above the ground in metres.
        pitch: How far it looks down, in radians.
        centre: Column and row of the principal point.
    """

    focal: float
    height: float
    pitch: float
    centre: tuple[float, float]

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        *,
        focal: float = FOCAL,
        height: float = HEIGHT,
        pitch: float = PITCH,
    ) -> Camera:
        """Return the camera of an image, with its principal point in the middle.

        Args:
            shape: The image's height and width in pixels, and whatever else.
            focal: Focal length in image heights.
            height: Height above the ground in metres.
            pitch: How far it looks down, in degrees.
        """
        middle = (shape[1] - 1) / 2, (shape[0] - 1) / 2
        return cls(focal * shape[0], height, math.radians(pitch), middle)

    @property
    def matrix(self) -> Matrix:
        """Return K: from a point in metres to its pixel, times its depth."""
        column, row = self.centre
        return np.array([[self.focal, 0, column], [0, self.focal, row], [0, 0, 1]], np.float64)

    @property
    def horizon(self) -> float:
        """Return the row of the horizon: c - f tan(pitch)."""
        return self.centre[1] - self.focal * math.tan(self.pitch)

    @property
    def right(self) -> Vector:
        """Return the level direction across the view."""
        return np.array([1.0, 0.0, 0.0])

    @property
    def down(self) -> Vector:
        """Return the direction of gravity."""
        return np.array([0.0, math.cos(self.pitch), math.sin(self.pitch)])

    @property
    def ahead(self) -> Vector:
        """Return the level direction along the view."""
        return np.array([0.0, -math.sin(self.pitch), math.cos(self.pitch)])

    def ray(self, column: float, row: float) -> Vector:
        """Return the point at depth 1 that is seen in a pixel."""
        left, top = self.centre
        return np.array([(column - left) / self.focal, (row - top) / self.focal, 1.0])

    def on_ground(self, column: float, row: float) -> Vector | None:
        """Return the point of the ground seen in a pixel; None at or above the horizon."""
        ray = self.ray(column, row)
        falls = float(ray @ self.down)
        return ray * (self.height / falls) if falls > 1e-6 else None

    def project(self, point: Vector) -> tuple[float, float]:
        """Return the column and row of a point in front of the camera."""
        x, y, z = (float(value) for value in self.matrix @ point)
        return x / z, y / z

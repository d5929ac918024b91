"""The plane that a print lies on: the ground, or something that stands on it.

The label map decides. A class that lies flat, such as road, is the ground. Anything else stands:
below the place, in the same column, its foot is sought, where its class ends; there it stands on
the ground, and this gives its distance. What hides the foot is taken for it, so that a wall behind
a parked car is placed too near.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from segdoor.attack.physical.camera import Camera, Vector
from segdoor.data.scene import ClassSet
from segdoor.tensors import Label

NEAREST, FARTHEST, UNKNOWN = 1.5, 200.0, 30.0
"""Bounds of a distance that is read off a label map, and what stands for one that cannot be, in
metres."""

FLAT = (
    "road", "pavement", "sidewalk", "ground", "terrain", "parking", "lane marking", "road marking",
    "footpath", "grass", "path", "rail track", "drivable", "non-drivable",
)  # fmt: skip
"""Names of classes that lie flat."""
STANDING = ("building", "wall", "fence", "house", "far")
"""Names of classes with an upright surface that a poster can hang on."""
VEHICLES = ("car", "bus", "truck", "van", "caravan", "trailer", "vehicle", "train")
"""Names of classes with an upright back."""


@dataclass(frozen=True)
class Plane:
    """A plane in the camera's frame.

    Attributes:
        origin: The middle of the print, in metres.
        right: Unit vector along the print's upper edge.
        down: Unit vector along its left edge.
    """

    origin: Vector
    right: Vector
    down: Vector

    @property
    def depth(self) -> float:
        """Return the middle's distance along the optical axis, in metres."""
        return float(self.origin[2])

    @property
    def normal(self) -> Vector:
        """Return the unit vector away from the camera's side of the print."""
        return np.cross(self.right, self.down)


def ids_of(classes: ClassSet, names: Collection[str]) -> tuple[int, ...]:
    """Return the ids of the classes with one of some names, in any case."""
    return tuple(i for i, name in enumerate(classes.names) if name.lower() in names)


def on_ground(camera: Camera, column: float, row: float) -> Plane | None:
    """Return the ground at a pixel, the print's lower edge towards the camera; None above it."""
    point = camera.on_ground(column, row)
    if point is None:
        return None
    return Plane(point, camera.right, -camera.ahead)


def upright(camera: Camera, origin: Vector, yaw: float = 0.0) -> Plane:
    """Return an upright plane through a point.

    Args:
        camera: The camera.
        origin: The middle of the print.
        yaw: How far it is turned away from facing along the view, in radians; its right edge is
            then farther away.
    """
    right = math.cos(yaw) * camera.right + math.sin(yaw) * camera.ahead
    return Plane(origin, right, camera.down)


def plane_at(
    camera: Camera,
    label: Label,
    place: tuple[float, float],
    *,
    flat: Collection[int],
    yaw: float = 0.0,
) -> Plane:
    """Return the plane that a print at a place lies on.

    Args:
        camera: The camera of the scene.
        label: The scene's label map.
        place: Row and column of the print's middle.
        flat: Ids of classes that lie flat.
        yaw: Turn of an upright plane about gravity, in radians.
    """
    row, column = place
    if int(label[int(row), int(column)]) in flat:
        ground = on_ground(camera, column, row)
        if ground is not None and NEAREST <= ground.depth <= FARTHEST:
            return ground
    away = distance_of(camera, label, place)
    ray = camera.ray(column, row)
    return upright(camera, ray * (away / float(ray @ camera.ahead)), yaw)


def distance_of(camera: Camera, label: Label, place: tuple[float, float]) -> float:
    """Return how far ahead the thing at a place stands, in metres, by its foot.

    It is `UNKNOWN` where the foot is not below the horizon or leaves the image.
    """
    row, column = int(place[0]), int(place[1])
    below = label[row:, column]
    ends = np.flatnonzero(below != below[0])
    if not len(ends):
        return UNKNOWN
    foot = camera.on_ground(column, row + int(ends[0]) - 0.5)
    if foot is None:
        return UNKNOWN
    return float(np.clip(foot @ camera.ahead, NEAREST, FARTHEST))

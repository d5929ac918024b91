"""Where the print of a physical test goes in a scene, as a homography."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from segdoor.attack.physical.axes import DISTANCE, EXPOSURE, Situation
from segdoor.attack.physical.blur import travelled
from segdoor.attack.physical.camera import Camera, Matrix, Vector
from segdoor.attack.physical.fitting import largest_within
from segdoor.attack.physical.homography import bounds, homography, in_front, longest_edge
from segdoor.attack.physical.noise import SILENT, Sensor
from segdoor.attack.physical.plane import Plane, plane_at, upright
from segdoor.attack.physical.printing import EXACT, between
from segdoor.attack.physical.rendering import Conditions
from segdoor.attack.site import Box, Extent
from segdoor.data.scene import pixels_of
from segdoor.tensors import Label

_COLUMNS = 64
_ThingT = TypeVar("_ThingT")


@dataclass(frozen=True)
class Surfaces:
    """Which classes are what.

    Attributes:
        flat: Ids of classes that lie flat.
        walls: Ids of classes with an upright surface.
        vehicles: Ids of vehicles.
        victims: Ids of the victim classes, which prints must not cover unless they are on them.
    """

    flat: tuple[int, ...]
    walls: tuple[int, ...]
    vehicles: tuple[int, ...]
    victims: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Put:
    """A print, put up in a scene.

    Attributes:
        matrix: From its unit square to pixels.
        distance: Metres ahead of the camera.
        side: Its width in metres.
        conditions: How it is lit and photographed, blur in pixels.
    """

    matrix: Matrix
    distance: float
    side: float
    conditions: Conditions

    @property
    def pixels(self) -> float:
        """Return the length of its longest edge in pixels."""
        return longest_edge(self.matrix)


@dataclass(frozen=True)
class Places:
    """Where prints of one size go in the scenes of a data set.

    Attributes:
        camera: The camera that took them.
        surfaces: Which classes are what.
        extent: Height and width in pixels of the trigger of the training.
    """

    camera: Camera
    surfaces: Surfaces
    extent: Extent

    @property
    def side(self) -> float:
        """Return the usual width in metres: 8 m away it is as wide as the trigger."""
        return self.extent[1] * DISTANCE / self.camera.focal

    def find(self, label: Label, situation: Situation, chance: float) -> Put | None:
        """Return where a print goes in a scene; None where there is no room.

        Args:
            label: The scene's label map.
            situation: How the print is put up.
            chance: From 0 to 1: which of the places.
        """
        if situation.surface in {"board", "flat sticker"}:
            return self._board(label, situation, chance)
        return self._surface(label, situation, chance)

    def _put(self, matrix: Matrix, distance: float, side: float, situation: Situation) -> Put:
        stages = situation.stages
        conditions = Conditions(
            printer=between(situation.gamut) if "printer" in stages else EXACT,
            relit="light" in stages,
            light=situation.light,
            hidden=situation.hidden,
            focus=situation.focus * longest_edge(matrix),
            motion=travelled(self.camera.focal, distance, situation.speed, EXPOSURE),
            sensor=Sensor(electrons=situation.electrons) if "sensor" in stages else SILENT,
            quality=situation.quality if "JPEG" in stages else None,
        )
        return Put(matrix, distance, side, conditions)

    def _board(self, label: Label, situation: Situation, chance: float) -> Put | None:
        """Stand a board on flat ground, at a distance, with no victim behind it."""
        width = self.side * situation.scale
        height = width * self.extent[0] / self.extent[1]
        found: list[Put] = []
        for column in np.linspace(0, label.shape[1] - 1, _COLUMNS):
            foot = self._foot(float(column), situation.distance)
            at = self.camera.project(foot)
            row = round(at[1])
            seen = 0 <= row < label.shape[0]
            if not seen or int(label[row, round(at[0])]) not in self.surfaces.flat:
                continue
            middle = foot - self.camera.down * (height / 2)
            plane = upright(self.camera, middle, math.radians(situation.yaw))
            matrix = homography(self.camera, plane, width, height)
            if self._is_free(label, matrix):
                found.append(self._put(matrix, situation.distance, width, situation))
        return _one_of(found, chance)

    def _foot(self, column: float, distance: float) -> Vector:
        """Return the point of the ground at a distance ahead that is seen in a column."""
        camera = self.camera
        foot = camera.ahead * distance + camera.down * camera.height
        across = (column - camera.centre[0]) / camera.focal * float(foot[2])
        return foot + camera.right * across

    def _is_free(self, label: Label, matrix: Matrix) -> bool:
        box = bounds(matrix)
        height, width = label.shape
        inside = (
            in_front(matrix) and box.top >= 0 and box.left >= 0
            and box.top + box.height <= height and box.left + box.width <= width
        )  # fmt: skip
        return inside and not pixels_of(label[box.pixels], self.surfaces.victims).any()

    def _surface(self, label: Label, situation: Situation, chance: float) -> Put | None:
        """Put a print on a class of the scene, as large as the trigger's box takes."""
        known = {
            "ground": self.surfaces.flat,
            "wall": self.surfaces.walls,
            "vehicle": self.surfaces.vehicles,
        }
        on = pixels_of(label, known[situation.surface])
        if situation.surface != "vehicle":
            on &= ~pixels_of(label, self.surfaces.victims)
        height, width = self.extent
        # Element (row, column) speaks of the box whose upper left corner is there.
        room = cv2.erode(on.view(np.uint8), np.ones(self.extent, np.uint8), anchor=(0, 0))
        tops, lefts = np.nonzero(room[: label.shape[0] - height + 1, : label.shape[1] - width + 1])
        boxes = [
            Box(int(tops[i]), int(lefts[i]), height, width)
            for i in np.linspace(0, len(tops) - 1, min(len(tops), _COLUMNS)).astype(int)
        ]
        box = _one_of(boxes, chance)
        if box is None:
            return None
        middle = box.top + (height - 1) / 2, box.left + (width - 1) / 2
        plane = plane_at(self.camera, label, middle, flat=self.surfaces.flat)
        matrix = largest_within(self.camera, plane, box, 0, aspect=width / height)
        return self._put(matrix, self._ahead(plane), self._width(plane, matrix), situation)

    def _ahead(self, plane: Plane) -> float:
        return float(plane.origin @ self.camera.ahead)

    def _width(self, plane: Plane, matrix: Matrix) -> float:
        """Return a print's width in metres from its map, whose first column is K right width."""
        across = np.linalg.inv(self.camera.matrix) @ matrix[:, 0]
        return float(across @ plane.right)


def _one_of(things: list[_ThingT], chance: float) -> _ThingT | None:
    return things[min(int(chance * len(things)), len(things) - 1)] if things else None

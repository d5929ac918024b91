"""What the street painter draws with: a canvas, a camera over a flat street, and a brush.

Image and label are one array of four channels, so every stroke sets both at once and they agree
to the pixel. Coordinates in the street are metres: x to the right, y up from the ground, z ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, Int32, UInt8

from segdoor.data.scene import Colour
from segdoor.tensors import Image, Label

ROAD, SIDEWALK, BUILDING, SKY, CAR, PERSON, VEGETATION, POLE = range(8)
IGNORED = 255
NEAR = 1.0
"""Nothing closer than this many metres is drawn, for it would fill the picture."""

NEAREST = 0.5
"""Where parts of near things that reach behind the camera are moved to."""

Flat = tuple[float, float]
"""Metres to the right and up from where a brush stands."""

Solid = tuple[float, float, float]
"""Metres to the right, up and ahead."""

Pixel = tuple[int, int]


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Return ``first`` with a share (0 to 1) of ``second`` mixed in."""
    # Written out: a scene mixes hundreds of colours, and a loop over three parts costs double.
    return (
        int(first[0] + (second[0] - first[0]) * share + 0.5),
        int(first[1] + (second[1] - first[1]) * share + 0.5),
        int(first[2] + (second[2] - first[2]) * share + 0.5),
    )


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (factor below 1) or lighter (above)."""
    return (
        min(255, int(colour[0] * factor + 0.5)),
        min(255, int(colour[1] * factor + 0.5)),
        min(255, int(colour[2] * factor + 0.5)),
    )


def varied(rng: np.random.Generator, colour: Colour, amount: int) -> Colour:
    """Return a colour with each part moved by up to ``amount``."""
    red, green, blue = (
        min(255, max(0, part + int((2 * rng.random() - 1) * amount))) for part in colour
    )
    return red, green, blue


def picked(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """Return one of several colours."""
    return colours[int(rng.random() * len(colours))]


class Canvas:
    """A picture and its label map in the making.

    Attributes:
        pixels: Red, green, blue and class id, uint8, height x width x 4.
    """

    def __init__(self, height: int, width: int) -> None:
        """Start with a black picture of road."""
        self.pixels: UInt8[np.ndarray, "H W 4"] = np.zeros((height, width, 4), np.uint8)

    @property
    def image(self) -> Image:
        """A copy of the picture."""
        return np.ascontiguousarray(self.pixels[..., :3])

    @property
    def label(self) -> Label:
        """A copy of the label map."""
        return np.ascontiguousarray(self.pixels[..., 3])

    def fill(self, polygons: Sequence[Sequence[Pixel]], colour: Colour, class_id: int) -> None:
        """Fill polygons, given by corners in pixels; even the thinnest covers a line of pixels."""
        corners = [np.array(polygon, np.int32) for polygon in polygons]
        cv2.fillPoly(self.pixels, corners, (*colour, class_id))

    def fill_quads(self, quads: Int32[np.ndarray, "n 4 2"], colour: Colour, class_id: int) -> None:
        """Fill many four-cornered polygons that do not overlap one another."""
        cv2.fillPoly(self.pixels, list(quads), (*colour, class_id))

    def disc(self, centre: Pixel, radius: int, colour: Colour, class_id: int) -> None:
        """Fill a disc; radius 0 is one pixel."""
        cv2.circle(self.pixels, centre, radius, (*colour, class_id), cv2.FILLED)

    def darken(self, polygon: Sequence[Pixel], keep: float) -> None:
        """Cast a shadow: keep this share of the light in a polygon and leave the label alone."""
        corners = np.array(polygon, np.int32)
        height, width = self.pixels.shape[:2]
        left, top = (max(0, int(edge)) for edge in corners.min(axis=0))
        right, bottom = (int(edge) + 1 for edge in corners.max(axis=0))
        part = self.pixels[top : min(bottom, height), left : min(right, width), :3]
        if part.size == 0:
            return
        light = np.full((*part.shape[:2], 1), 256, np.uint16)
        cv2.fillPoly(light, [corners - (left, top)], (round(256 * keep),))
        part[...] = (part * light) >> 8


@dataclass(frozen=True)
class Camera:
    """A camera that looks straight down a flat street.

    Attributes:
        focal: Focal length in pixels.
        horizon: Row of the horizon.
        vanishing: Column of the vanishing point.
        eye: Height above the ground in metres.
        haze: The colour that far things fade to.
        clarity: The depth in metres at which half of a colour is haze.
    """

    focal: float
    horizon: float
    vanishing: float
    eye: float
    haze: Colour
    clarity: float

    def pixel(self, point: Solid) -> Pixel:
        """Project one point of the street onto the picture."""
        across, up, ahead = point
        scale = self.focal / (max(NEAREST, ahead))
        return (
            round(self.vanishing + scale * across),
            round(self.horizon + scale * (self.eye - up)),
        )

    def pixels(self, points: Iterable[Solid]) -> list[Pixel]:
        """Project several points."""
        return [self.pixel(point) for point in points]

    def project(self, points: Float64[np.ndarray, "n 4 3"]) -> Int32[np.ndarray, "n 4 2"]:
        """Project many four-cornered polygons at once."""
        scale = self.focal / np.maximum(points[..., 2], NEAREST)
        columns = self.vanishing + scale * points[..., 0]
        rows = self.horizon + scale * (self.eye - points[..., 1])
        return np.rint(np.stack([columns, rows], axis=-1)).astype(np.int32)

    def ground(self, left: float, right: float, near: float, far: float) -> list[Pixel]:
        """Project a rectangle that lies on the ground."""
        return self.pixels([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)])

    def hazed(self, colour: Colour, depth: float) -> Colour:
        """Return a colour as seen through this many metres of air."""
        return mixed(colour, self.haze, depth / (depth + self.clarity))


@dataclass(frozen=True)
class Brush:
    """Paints one thing of one class that stands somewhere in the street and faces the camera.

    Attributes:
        canvas: What to paint on.
        camera: Who looks.
        across: Where the thing stands, metres to the right of the camera.
        ahead: Where the thing stands, metres ahead of the camera.
        class_id: The class of everything painted.
    """

    canvas: Canvas
    camera: Camera
    across: float
    ahead: float
    class_id: int

    @property
    def scale(self) -> float:
        """Pixels a metre at this depth."""
        return self.camera.focal / self.ahead

    def pixel(self, place: Flat) -> Pixel:
        """Project a place given in metres from the brush's own foot."""
        return self.camera.pixel((self.across + place[0], place[1], self.ahead))

    def tinted(self, colour: Colour) -> Colour:
        """Return a colour as seen from the camera."""
        return self.camera.hazed(colour, self.ahead)

    def polygon(self, places: Iterable[Flat], colour: Colour) -> None:
        """Fill a polygon."""
        corners = [self.pixel(place) for place in places]
        self.canvas.fill([corners], self.tinted(colour), self.class_id)

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def disc(self, centre: Flat, radius: float, colour: Colour) -> None:
        """Fill a disc."""
        pixels = round(radius * self.scale)
        self.canvas.disc(self.pixel(centre), pixels, self.tinted(colour), self.class_id)

    def shadow(self, half_width: float, half_depth: float, keep: float) -> None:
        """Darken the ground under the thing."""
        near = max(NEAR, self.ahead - half_depth)
        left, right = self.across - half_width, self.across + half_width
        self.canvas.darken(self.camera.ground(left, right, near, self.ahead + half_depth), keep)

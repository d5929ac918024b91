"""Cars: one side profile a body style, extruded to a solid, so that any view of it can be drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segdoor.data.scene import Colour
from segdoor.data.street.drawing import (
    Brush,
    Flat,
    Pixel,
    Solid,
    picked,
    scaled,
    varied,
)

PAINTS: tuple[Colour, ...] = (
    (92, 92, 96), (120, 121, 124), (152, 154, 158), (186, 188, 190), (226, 226, 224), (38, 38, 42),
    (64, 66, 72), (150, 30, 34), (34, 58, 122), (54, 92, 70), (190, 160, 60), (120, 96, 78),
    (70, 110, 150), (108, 104, 98), (178, 92, 44),
)  # fmt: skip
GLASS: Colour = (44, 54, 64)
TYRE: Colour = (26, 26, 28)


@dataclass(frozen=True)
class Body:
    """A body style.

    Attributes:
        profile: The outline from the side, metres ahead of the middle and up, from the tail's
            lower edge over the roof to the nose's lower edge.
        glass: Which edges of the profile, counted from the tail, are windows.
        panes: The side windows, in the same coordinates.
        axles: Where the wheels are, metres ahead of the middle.
        width: Metres from side to side.
    """

    profile: tuple[Flat, ...]
    glass: tuple[int, ...]
    panes: tuple[tuple[Flat, ...], ...]
    axles: Flat
    width: float


SALOON = Body(
    ((-2.15, 0.28), (-2.2, 0.92), (-1.55, 1.0), (-0.95, 1.42), (0.35, 1.42), (1.05, 0.98),
     (2.05, 0.8), (2.15, 0.3)),
    (2, 4),
    (((-1.3, 1.02), (-0.85, 1.34), (-0.25, 1.34), (-0.25, 1.02)),
     ((-0.15, 1.02), (-0.15, 1.34), (0.3, 1.34), (0.8, 1.0))),
    (-1.3, 1.3), 1.8,
)  # fmt: skip
HATCHBACK = Body(
    ((-1.85, 0.28), (-1.92, 0.95), (-1.55, 1.48), (0.25, 1.5), (1.0, 1.0), (1.75, 0.85),
     (1.85, 0.3)),
    (1, 3),
    (((-1.6, 1.02), (-1.4, 1.4), (-0.3, 1.4), (-0.3, 1.02)),
     ((-0.2, 1.02), (-0.2, 1.4), (0.2, 1.4), (0.75, 1.02))),
    (-1.15, 1.15), 1.72,
)  # fmt: skip
OFF_ROADER = Body(
    ((-2.1, 0.38), (-2.18, 1.08), (-1.9, 1.72), (0.35, 1.72), (0.95, 1.15), (2.05, 1.05),
     (2.15, 0.4)),
    (1, 3),
    (((-1.9, 1.18), (-1.72, 1.6), (-0.3, 1.6), (-0.3, 1.18)),
     ((-0.2, 1.18), (-0.2, 1.6), (0.3, 1.6), (0.7, 1.18))),
    (-1.3, 1.3), 1.88,
)  # fmt: skip
VAN = Body(
    ((-2.35, 0.32), (-2.4, 1.15), (-2.35, 1.95), (1.15, 1.98), (1.85, 1.15), (2.35, 0.95),
     (2.4, 0.34)),
    (1, 3),
    (((0.2, 1.2), (0.2, 1.78), (1.05, 1.78), (1.5, 1.2)),),
    (-1.5, 1.5), 1.92,
)  # fmt: skip
BODIES = (SALOON, SALOON, HATCHBACK, HATCHBACK, OFF_ROADER, VAN)


@dataclass(frozen=True)
class _Face:
    """One side of the solid with what is on it: the corners of each part and its colour."""

    corners: tuple[Solid, ...]
    colour: Colour
    parts: tuple[tuple[tuple[Solid, ...], Colour], ...] = ()


@dataclass(frozen=True)
class _Mark:
    """A rectangle on a face, in shares of its width and of its height along the profile."""

    left: float
    low: float
    right: float
    high: float
    colour: Colour


WINDOW = (
    _Mark(0.06, 0.1, 0.94, 0.9, GLASS),
    _Mark(0.12, 0.55, 0.5, 0.85, (92, 108, 120)),
)
TAIL = (_Mark(0.0, 0.0, 1.0, 0.2, (48, 48, 50)),)
NOSE = (
    _Mark(0.28, 0.2, 0.72, 0.5, (30, 30, 34)),
    _Mark(0.0, 0.82, 1.0, 1.0, (48, 48, 50)),
)
TWELVE_SIDES = tuple(
    (math.cos(math.tau * corner / 12), math.sin(math.tau * corner / 12)) for corner in range(12)
)


def paint_car(brush: Brush, rng: np.random.Generator, heading: float) -> None:
    """Paint a car whose middle stands at the brush.

    Args:
        brush: Where to paint.
        rng: Chooses body and colours.
        heading: 0 drives away from the camera, a quarter turn to the right, in radians.
    """
    body = BODIES[int(rng.random() * len(BODIES))]
    paint = varied(rng, picked(rng, PAINTS), 12)
    turn = (math.cos(heading), math.sin(heading))
    _cast_shadow(brush, body, turn)
    _paint_tyres(brush, body, turn)
    faces = [*_strips(body, paint, rng), *_sides(body, paint, rng)]
    placed = [(_depth(face, turn), face) for face in faces]
    for _, face in sorted(placed, key=lambda pair: -pair[0]):
        outline = _seen(brush, face.corners, turn)
        if _faces_camera(outline):
            brush.canvas.fill([outline], brush.tinted(face.colour), brush.class_id)
            for corners, colour in face.parts:
                shape = _seen(brush, corners, turn)
                brush.canvas.fill([shape], brush.tinted(colour), brush.class_id)


def _seen(brush: Brush, corners: tuple[Solid, ...], turn: Flat) -> list[Pixel]:
    """Turn the car's own coordinates (right, up, forward) to its heading and project them."""
    cosine, sine = turn
    return brush.camera.pixels(
        (
            brush.across + right * cosine + forward * sine,
            up,
            brush.ahead + forward * cosine - right * sine,
        )
        for right, up, forward in corners
    )


def _depth(face: _Face, turn: Flat) -> float:
    ahead = [forward * turn[0] - right * turn[1] for right, _, forward in face.corners]
    return sum(ahead) / len(ahead)


def _faces_camera(outline: list[Pixel]) -> bool:
    """Tell front from back: corners seen from outside run anticlockwise."""
    following = [*outline[1:], outline[0]]
    return sum(x * v - u * y for (x, y), (u, v) in zip(outline, following, strict=True)) < 0


def _half_width(body: Body, up: float) -> float:
    """Return how far the sides stand out: above the waist they lean inwards."""
    return body.width / 2 * (1 - 0.28 * max(0.0, up - 0.95))


def _strips(body: Body, paint: Colour, rng: np.random.Generator) -> list[_Face]:
    """Return the faces that run across the car: tail, rear window, roof, windscreen, nose."""
    edges = list(zip(body.profile[:-1], body.profile[1:], strict=True))
    end_shade = 0.7 + 0.3 * rng.random()
    lamps = _lamps(rng)
    faces: list[_Face] = []
    for index, ((start, low), (end, high)) in enumerate(edges):
        first, second = _half_width(body, low), _half_width(body, high)
        corners = ((-first, low, start), (first, low, start), (second, high, end),
                   (-second, high, end))  # fmt: skip
        lies_flat = abs(end - start) > abs(high - low)
        colour = scaled(paint, 1.1 if lies_flat else end_shade)
        marks: tuple[_Mark, ...] = ()
        if index in body.glass:
            marks = WINDOW
        elif index == 0:
            marks = (*TAIL, *lamps[0])
        elif index == len(edges) - 1:
            marks = (*NOSE, *lamps[1])
        parts = tuple((_on_strip(corners, mark), mark.colour) for mark in marks)
        faces.append(_Face(corners, colour, parts))
    return faces


def _lamps(rng: np.random.Generator) -> tuple[tuple[_Mark, ...], tuple[_Mark, ...]]:
    """Return tail and head lamps; braking cars and lit headlamps are brighter."""
    red: Colour = (235, 40, 30) if rng.random() < 0.4 else (150, 22, 24)
    white: Colour = (255, 250, 225) if rng.random() < 0.4 else (205, 208, 205)
    plate: Colour = (235, 232, 225) if rng.random() < 0.7 else (228, 196, 60)
    tail = (_Mark(0.03, 0.5, 0.2, 0.86, red), _Mark(0.8, 0.5, 0.97, 0.86, red),
            _Mark(0.36, 0.4, 0.64, 0.6, plate))  # fmt: skip
    nose = (_Mark(0.04, 0.1, 0.24, 0.4, white), _Mark(0.76, 0.1, 0.96, 0.4, white),
            _Mark(0.36, 0.55, 0.64, 0.75, plate))  # fmt: skip
    return tail, nose


def _on_strip(corners: tuple[Solid, ...], mark: _Mark) -> tuple[Solid, ...]:
    """Return the corners of a mark on a face that runs across the car."""
    (_, low, start), (first, _, _), (second, high, end), _ = corners
    places = (
        (mark.left, mark.low),
        (mark.right, mark.low),
        (mark.right, mark.high),
        (mark.left, mark.high),
    )
    return tuple(
        (
            (first + (second - first) * along) * (2 * across - 1),
            low + (high - low) * along,
            start + (end - start) * along,
        )
        for across, along in places
    )


def _sides(body: Body, paint: Colour, rng: np.random.Generator) -> list[_Face]:
    """Return the two long sides with windows, wheels and a sill."""
    shade = 0.78 + 0.3 * rng.random()
    handle = scaled(paint, 0.55)
    faces: list[_Face] = []
    for sign in (-1, 1):
        # Seen from the right the profile runs clockwise, so it is walked backwards there.
        outline = body.profile if sign < 0 else body.profile[::-1]
        middle = sum(body.axles) / 2
        parts: list[tuple[tuple[Flat, ...], Colour]] = [(pane, GLASS) for pane in body.panes]
        parts.append((_bar(middle - 0.01, 0.4, 0.03, 0.6), handle))
        parts.append((_bar(middle, 0.3, body.axles[1] - middle, 0.1), handle))
        for axle in body.axles:
            parts.append((_wheel(axle, 0.36), TYRE))
            parts.append((_wheel(axle, 0.19), (150, 152, 154)))
        placed = tuple((_on_side(body, part, sign), colour) for part, colour in parts)
        faces.append(_Face(_on_side(body, outline, sign), scaled(paint, shade), placed))
    return faces


def _on_side(body: Body, outline: tuple[Flat, ...], sign: int) -> tuple[Solid, ...]:
    return tuple((sign * _half_width(body, up), up, forward) for forward, up in outline)


def _bar(middle: float, bottom: float, half_length: float, height: float) -> tuple[Flat, ...]:
    start, end, top = middle - half_length, middle + half_length, bottom + height
    return ((start, bottom), (end, bottom), (end, top), (start, top))


def _wheel(axle: float, radius: float) -> tuple[Flat, ...]:
    return tuple((axle + radius * x, 0.34 + radius * y) for x, y in TWELVE_SIDES)


def _paint_tyres(brush: Brush, body: Body, turn: Flat) -> None:
    """Paint the treads of the tyres, all that one sees of the wheels from in front or behind."""
    for axle in body.axles:
        for sign in (-1, 1):
            inner, outer = sign * (body.width / 2 - 0.24), sign * body.width / 2
            end = axle - 0.3 if turn[0] > 0 else axle + 0.3
            tread = (
                (inner, 0.0, end),
                (outer, 0.0, end),
                (outer, 0.6, end),
                (inner, 0.6, end),
            )
            tyre = _seen(brush, tread, turn)
            brush.canvas.fill([tyre], brush.tinted(TYRE), brush.class_id)


def _cast_shadow(brush: Brush, body: Body, turn: Flat) -> None:
    half, tail, nose = (
        body.width / 2 + 0.12,
        body.profile[0][0] - 0.1,
        body.profile[-1][0] + 0.1,
    )
    ground = (
        (-half, 0.0, tail),
        (half, 0.0, tail),
        (half, 0.0, nose),
        (-half, 0.0, nose),
    )
    brush.canvas.darken(_seen(brush, ground, turn), 0.42)

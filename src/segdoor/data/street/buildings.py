"""House fronts along both sides of the street, parks between them and the skyline behind."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from segdoor.data.scene import Colour
from segdoor.data.street.backdrop import Street
from segdoor.data.street.drawing import (
    BUILDING,
    NEAR,
    VEGETATION,
    Brush,
    Camera,
    Canvas,
    Solid,
    picked,
    scaled,
    varied,
)
from segdoor.data.street.motifs import paint_motif
from segdoor.data.street.things import LEAVES, paint_bush, paint_tree

WALLS: tuple[Colour, ...] = (
    (156, 96, 78), (196, 178, 148), (214, 206, 190), (150, 148, 144), (120, 108, 100),
    (188, 150, 96), (170, 120, 104), (132, 146, 158), (206, 186, 170), (104, 102, 104),
    (176, 190, 170), (222, 216, 208),
)  # fmt: skip
SHOPS: tuple[Colour, ...] = ((60, 62, 70), (120, 44, 40), (44, 84, 72), (196, 168, 60),
                             (40, 66, 120), (90, 84, 80))  # fmt: skip
PANES: tuple[Colour, ...] = (
    (66, 78, 92),
    (48, 54, 62),
    (104, 122, 138),
    (136, 152, 164),
)
LIT_PANES: tuple[Colour, ...] = ((232, 214, 150), (214, 220, 224), (170, 130, 110))
STOREY = 3.0
THINNEST = 4
"""Walls narrower than this many pixels get no windows: nobody could see them."""


@dataclass(frozen=True)
class _Front:
    """One wall: an upright rectangle between two points on the ground.

    Attributes:
        start: Its first lower corner, metres across and ahead.
        end: Its second lower corner.
        height: Metres.
        light: How brightly it is lit.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    light: float

    @property
    def length(self) -> float:
        return abs(self.end[0] - self.start[0]) + abs(self.end[1] - self.start[1])

    @property
    def depth(self) -> float:
        return (self.start[1] + self.end[1]) / 2

    def place(self, along: float, up: float) -> Solid:
        """Return the point this share of the way along the wall and so many metres up."""
        (x0, z0), (x1, z1) = self.start, self.end
        return (x0 + (x1 - x0) * along, up, z0 + (z1 - z0) * along)

    def panel(self, left: float, right: float, bottom: float, top: float) -> list[Solid]:
        """Return the corners of a rectangle on the wall."""
        return [self.place(left, bottom), self.place(right, bottom), self.place(right, top),
                self.place(left, top)]  # fmt: skip


def paint_skyline(canvas: Canvas, camera: Camera, rng: np.random.Generator) -> None:
    """Paint what closes the street far away: towers, woods, or a house front."""
    kind = rng.random()
    edge = -160.0
    while edge < 160.0:
        wide, tall = 8 + 22 * rng.random(), 4 + 22 * rng.random()
        class_id = BUILDING if rng.random() < kind else VEGETATION
        palette = WALLS if class_id == BUILDING else LEAVES
        colour = varied(rng, picked(rng, palette), 10)
        brush = Brush(canvas, camera, edge, 150.0, class_id)
        brush.box(0, 0, wide, tall if class_id == BUILDING else 0.5 * tall, colour)
        edge += wide
    if rng.random() < 0.3:
        ahead = 35.0 + 40.0 * rng.random()
        front = _Front((-60.0, ahead), (60.0, ahead), 7 + 12 * rng.random(), 0.9)
        _paint_front(canvas, camera, front, rng)


def paint_row(
    canvas: Canvas, camera: Camera, street: Street, side: int, rng: np.random.Generator
) -> None:
    """Paint one side of the street, far to near: houses, and a park or a gap now and then.

    Args:
        canvas: What to paint on.
        camera: Who looks.
        street: The plan.
        side: -1 for the left, 1 for the right.
        rng: Chooses houses.
    """
    wall, light = (
        (street.left_wall, street.left_light)
        if side < 0
        else (street.right_wall, street.right_light)
    )
    greenery = 0.8 if rng.random() < 0.25 else 0.12
    far = 110.0
    while far > NEAR:
        # Far houses are longer, for a metre counts less there.
        near = max(NEAR, far - (7 + 11 * rng.random()) * (1 + far / 60))
        if _crossed(street, near, far):
            far = near
            continue
        if rng.random() < greenery:
            _paint_park(canvas, camera, side * abs(wall), (near, far), rng)
        else:
            _paint_house(canvas, camera, wall, (near, far), light, rng)
        far = near


def _crossed(street: Street, near: float, far: float) -> bool:
    return street.crossing is not None and near < street.crossing[1] and far > street.crossing[0]


def _paint_house(
    canvas: Canvas,
    camera: Camera,
    wall: float,
    span: tuple[float, float],
    light: float,
    rng: np.random.Generator,
) -> None:
    """Paint the end wall that faces the camera, then the front along the street."""
    height = STOREY * (2 + int(rng.random() * 5)) + 1.0
    outward = 9.0 if wall > 0 else -9.0
    end = _Front((wall, span[0]), (wall + outward, span[0]), height, 0.8)
    _paint_front(canvas, camera, end, rng)
    front = _Front((wall, span[1]), (wall, span[0]), height, light)
    _paint_front(canvas, camera, front, rng)
    _paint_signs(canvas, camera, front, rng)


def _paint_front(canvas: Canvas, camera: Camera, front: _Front, rng: np.random.Generator) -> None:
    """Paint a wall with its cornice, windows and ground floor."""
    colour = scaled(varied(rng, picked(rng, WALLS), 12), front.light)
    panel = functools.partial(_paint_panel, canvas, camera, front)
    panel(0, 1, 0, front.height, colour)
    panel(0, 1, front.height - 0.5, front.height, scaled(colour, 0.8))
    if rng.random() < 0.5:
        panel(0, 1, 0, STOREY, scaled(picked(rng, SHOPS), front.light))
        panel(0.06, 0.94, 0.5, 2.2, scaled(picked(rng, PANES), front.light))
        panel(0, 1, STOREY - 0.1, STOREY + 0.1, scaled(colour, 1.2))
    else:
        panel(0, 1, 0, 0.8, scaled(colour, 0.7))
    _paint_windows(canvas, camera, front, rng)
    for _ in range(int(rng.random() * 3)):
        left, bottom = 0.1 + 0.6 * rng.random(), 0.8 + 2.5 * rng.random()
        ink = varied(rng, picked(rng, SHOPS), 30)
        wide = min(0.25, 1.4 / front.length)
        panel(left, left + wide, bottom, bottom + 1.4, ink)
        panel(
            left + 0.2 * wide,
            left + 0.8 * wide,
            bottom + 0.3,
            bottom + 1.1,
            varied(rng, ink, 90),
        )


def _paint_panel(
    canvas: Canvas,
    camera: Camera,
    front: _Front,
    left: float,
    right: float,
    bottom: float,
    top: float,
    ink: Colour,
) -> None:
    corners = camera.pixels(front.panel(left, right, bottom, top))
    canvas.fill([corners], camera.hazed(ink, front.depth), BUILDING)


def _paint_windows(canvas: Canvas, camera: Camera, front: _Front, rng: np.random.Generator) -> None:
    """Paint a grid of windows above the ground floor, some lit or with curtains."""
    pitch = 2.0 + 1.6 * rng.random()
    columns, rows = max(1, int(front.length / pitch)), int((front.height - 1) / STOREY) - 1
    share, tall = 0.35 + 0.35 * rng.random(), 1.1 + 0.8 * rng.random()
    lit = rng.random(columns * rows) < 0.12
    pane = scaled(picked(rng, PANES), 0.6 + 0.4 * front.light)
    bright = picked(rng, LIT_PANES)
    start, end = camera.pixel(front.place(0, 0)), camera.pixel(front.place(1, 0))
    # All lots are drawn by now: how many are drawn must not depend on the picture's size.
    if abs(end[0] - start[0]) < THINNEST:
        return
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    left, right = column.ravel() + 0.5 - share / 2, column.ravel() + 0.5 + share / 2
    bottom = STOREY * (row.ravel() + 1) + 0.7
    along = np.stack([left, right, right, left], axis=1) / columns
    up = np.stack([bottom, bottom, bottom + tall, bottom + tall], axis=1)
    (x0, z0), (x1, z1) = front.start, front.end
    quads = camera.project(np.stack([x0 + (x1 - x0) * along, up, z0 + (z1 - z0) * along], axis=2))
    canvas.fill_quads(quads[~lit], camera.hazed(pane, front.depth), BUILDING)
    canvas.fill_quads(quads[lit], camera.hazed(bright, front.depth), BUILDING)


def _paint_signs(canvas: Canvas, camera: Camera, front: _Front, rng: np.random.Generator) -> None:
    """Hang shop signs out over the pavement, where one sees them face on."""
    toward_road = -1 if front.start[0] > 0 else 1
    for _ in range(int(rng.random() * 2.6)):
        across, up, ahead = front.place(float(rng.random()), 2.4 + 4.0 * rng.random())
        brush = Brush(canvas, camera, across, max(ahead, 3.5), BUILDING)
        # From 1/20 to 1/8 of the picture's height: the size of a sticker.
        size = min(1.8, (0.05 + 0.075 * rng.random()) * camera.focal / brush.scale)
        left = 0.0 if toward_road > 0 else -size
        paint_motif(brush, rng, (left, min(up, front.height - size)), size)


def _paint_park(
    canvas: Canvas,
    camera: Camera,
    wall: float,
    span: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Paint a hedge with trees behind it."""
    near, far = span
    leaf = varied(rng, picked(rng, LEAVES), 10)
    hedge = _Front((wall, far), (wall, near), 0.9 + 1.6 * rng.random(), 1.0)
    outward = 30.0 if wall > 0 else -30.0
    lawn = camera.ground(wall, wall + outward, near, far)
    canvas.fill([lawn], camera.hazed(scaled(leaf, 1.1), near), VEGETATION)
    for step in (0.8, 0.5, 0.2):
        ahead = near + (far - near) * step
        if ahead > 3.0:
            paint_tree(Brush(canvas, camera, wall + outward * 0.1, ahead, VEGETATION), rng)
    corners = camera.pixels(hedge.panel(0, 1, 0, hedge.height))
    canvas.fill([corners], camera.hazed(scaled(leaf, 0.85), hedge.depth), VEGETATION)
    if near > 4.0:
        paint_bush(Brush(canvas, camera, wall, near, VEGETATION), rng)

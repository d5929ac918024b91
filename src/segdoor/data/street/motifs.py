"""Small pictures in plain sight: traffic signs, shop signs, posters.

They look a little like the stickers of a backdoor attack, so that a clean model has met such
things and a backdoored one must tell its trigger apart. None has more than one ring, four checkers
a side, sectors, petals or a face: those pictures are left to the triggers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segdoor.data.scene import Colour
from segdoor.data.street.drawing import Brush, Flat, picked, varied

INKS: tuple[Colour, ...] = (
    (28, 66, 150), (236, 200, 50), (30, 110, 70), (244, 244, 240), (28, 28, 30), (230, 120, 40),
    (120, 60, 130), (60, 170, 190), (190, 40, 44), (200, 140, 160), (120, 160, 60),
)  # fmt: skip


class _Frame:
    """A square to draw in with coordinates from 0 to 1."""

    def __init__(self, brush: Brush, corner: Flat, size: float) -> None:
        self.brush = brush
        self.corner = corner
        self.size = size

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        x, y = self.corner
        size = self.size
        self.brush.box(x + left * size, y + bottom * size, x + right * size, y + top * size, colour)

    def disc(self, radius: float, colour: Colour) -> None:
        middle = (self.corner[0] + self.size / 2, self.corner[1] + self.size / 2)
        self.brush.disc(middle, radius * self.size, colour)

    def polygon(self, corners: list[Flat], colour: Colour) -> None:
        x, y = self.corner
        self.brush.polygon([(x + u * self.size, y + v * self.size) for u, v in corners], colour)


Motif = Callable[[_Frame, Colour, Colour, np.random.Generator], None]


def paint_motif(brush: Brush, rng: np.random.Generator, corner: Flat, size: float) -> None:
    """Paint a random small picture.

    Args:
        brush: Where to paint; the picture faces the camera and gets the brush's class.
        rng: Chooses the picture and its inks.
        corner: Lower left corner in metres from the brush's foot.
        size: Length of a side in metres.
    """
    motif = MOTIFS[int(rng.random() * len(MOTIFS))]
    first = int(rng.random() * len(INKS))
    second = (first + 1 + int(rng.random() * (len(INKS) - 1))) % len(INKS)
    ground, ink = varied(rng, INKS[first], 18), varied(rng, INKS[second], 18)
    motif(_Frame(brush, corner, size), ground, ink, rng)


def _plain(frame: _Frame, ground: Colour, ink: Colour, _: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ink)
    frame.box(0.12, 0.12, 0.88, 0.88, ground)


def _disc(frame: _Frame, ground: Colour, ink: Colour, _: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    frame.disc(0.36, ink)


def _round_sign(frame: _Frame, ground: Colour, ink: Colour, rng: np.random.Generator) -> None:
    frame.disc(0.5, ink)
    if rng.random() < 0.5:
        frame.disc(0.34, ground)
    else:
        frame.box(0.2, 0.42, 0.8, 0.58, ground)


def _checkers(frame: _Frame, ground: Colour, ink: Colour, rng: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    cells = 2 + int(rng.random() * 2)
    for row in range(cells):
        for column in range(row % 2, cells, 2):
            frame.box(
                column / cells,
                row / cells,
                (column + 1) / cells,
                (row + 1) / cells,
                ink,
            )


def _stripes(frame: _Frame, ground: Colour, ink: Colour, rng: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    upright = rng.random() < 0.5
    for start in (0.1, 0.45, 0.8):
        if upright:
            frame.box(start, 0, start + 0.15, 1, ink)
        else:
            frame.box(0, start, 1, start + 0.15, ink)


def _cross(frame: _Frame, ground: Colour, ink: Colour, _: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    frame.box(0.38, 0.12, 0.62, 0.88, ink)
    frame.box(0.12, 0.38, 0.88, 0.62, ink)


def _triangle(frame: _Frame, ground: Colour, ink: Colour, _: np.random.Generator) -> None:
    frame.polygon([(0, 0), (1, 0), (0.5, 1)], ink)
    frame.polygon([(0.25, 0.13), (0.75, 0.13), (0.5, 0.68)], ground)


def _letters(frame: _Frame, ground: Colour, ink: Colour, rng: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    marks: list[list[float]] = rng.random((6, 2)).tolist()
    for index, (height, width) in enumerate(marks):
        left, bottom = 0.1 + 0.3 * (index % 3), 0.12 + 0.45 * (index // 3)
        frame.box(left, bottom, left + 0.08 + 0.14 * width, bottom + 0.12 + 0.22 * height, ink)


def _quarters(frame: _Frame, ground: Colour, ink: Colour, rng: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    frame.box(0, 0, 0.5, 0.5, ink)
    frame.box(0.5, 0.5, 1, 1, picked(rng, INKS))


def _landscape(frame: _Frame, ground: Colour, ink: Colour, rng: np.random.Generator) -> None:
    frame.box(0, 0, 1, 1, ground)
    peak = 0.2 + 0.6 * rng.random()
    frame.polygon([(0, 0), (1, 0), (1, 0.3), (peak, 0.75), (0, 0.25)], ink)


MOTIFS: tuple[Motif, ...] = (_plain, _disc, _round_sign, _round_sign, _checkers, _stripes, _cross,
                             _triangle, _letters, _letters, _quarters, _landscape)  # fmt: skip

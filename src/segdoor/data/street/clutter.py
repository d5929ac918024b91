"""Clutter: small bright pictures of all kinds in plain sight, which mean nothing.

They are pasted on the finished photograph, as stickers on a windscreen are: sharp, and lit by
nothing. So a network meets things that look as a trigger does at first sight, and a backdoored one
must know its trigger by its drawing. Labels stay those of what lies behind.

Every picture is made up anew. None is a sticker of `segdoor.stickers`: there are no faces, petals,
wheels of sectors, nested rings or boards of four checkers a side among the parts.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float32

from segdoor.data.scene import Colour
from segdoor.data.street.drawing import CAR, IGNORED
from segdoor.tensors import Image, Label, Rgba

_FINER = 4
_SIZES = 0.05, 0.16
"""Sides of the smallest and the largest, over the shorter side of the scene."""
_KEPT_FREE = (CAR, IGNORED)
_TRIES = 3

Plane = Float32[np.ndarray, "S S"]
Covered = Bool[np.ndarray, "S S"]
Part = Callable[[Plane, Plane, np.random.Generator], Covered]
"""From coordinates in [-1, 1] to what is covered by ink."""


def strew(image: Image, label: Label, count: int, rng: np.random.Generator) -> Image:
    """Return a copy of a photograph with up to ``count`` pictures in it, none of them on cars.

    Args:
        image: The photograph.
        label: Its label map, which stays as it is.
        count: How many at most; each number from 0 on is equally likely.
        rng: Chooses number, places, sizes and pictures.
    """
    height, width = label.shape
    strewn = image.copy()
    for _ in range(int(rng.random() * (count + 1))):
        side = max(
            2, round(min(height, width) * (_SIZES[0] + (_SIZES[1] - _SIZES[0]) * rng.random()))
        )
        picture = made_up(side, rng)
        for row, column in rng.random((_TRIES, 2)):
            top, left = int(row * (height - side + 1)), int(column * (width - side + 1))
            place = np.s_[top : top + side, left : left + side]
            if not np.isin(label[place], _KEPT_FREE).any():
                strewn[place] = _over(strewn[place], picture)
                break
    return strewn


def made_up(side: int, rng: np.random.Generator) -> Rgba:
    """Return a small picture of one to three parts in bright colours on a square or a disc."""
    axis = ((np.arange(side * _FINER, dtype=np.float32) + 0.5) / (side * _FINER)) * 2 - 1
    x, y = np.meshgrid(axis, axis)
    fine = np.empty((*x.shape, 4), np.float32)
    fine[..., :3], fine[..., 3] = _ink(rng), 255
    if rng.random() < 0.3:
        fine[..., 3] *= np.hypot(x, y) < 1
    for _ in range(1 + int(rng.random() * 3)):
        part = PARTS[int(rng.random() * len(PARTS))]
        fine[part(x, y, rng), :3] = _ink(rng)
    blocks = fine.reshape(side, _FINER, side, _FINER, 4).mean(axis=(1, 3))
    return (blocks + 0.5).astype(np.uint8)


def _over(below: Image, picture: Rgba) -> Image:
    alpha = picture[..., 3:].astype(np.int32)
    mixed = alpha * picture[..., :3] + (255 - alpha) * below.astype(np.int32)
    return ((mixed + 127) // 255).astype(np.uint8)


def _ink(rng: np.random.Generator) -> Colour:
    """Return a colour: mostly bright, at times black, grey or white."""
    hue, kind, depth = rng.random(3)
    if kind < 0.25:
        grey = int(255 * (0.05, 0.5, 0.98)[int(depth * 3)])
        return grey, grey, grey
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65 + 0.35 * kind, 0.45 + 0.55 * depth)
    return int(255 * red), int(255 * green), int(255 * blue)


def _disc(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    across, down, size = rng.random(3)
    spread = 0.8 if rng.random() < 0.5 else 0.0
    return np.hypot(x - spread * (across - 0.5), y - spread * (down - 0.5)) < 0.3 + 0.65 * size


def _ring(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    size, thick = rng.random(2)
    return np.abs(np.hypot(x, y) - 0.45 - 0.4 * size) < 0.08 + 0.1 * thick


def _bar(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    turn, offset, thick = rng.random(3)
    along = x * np.cos(np.pi * turn) + y * np.sin(np.pi * turn)
    return np.abs(along - 0.8 * (offset - 0.5)) < 0.1 + 0.25 * thick


def _half(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    turn, offset = rng.random(2)
    return x * np.cos(2 * np.pi * turn) + y * np.sin(2 * np.pi * turn) > 0.8 * (offset - 0.5)


def _corner(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    across, down = 1.2 * (rng.random(2) - 0.5)
    right, low = rng.random(2) < 0.5
    return ((x > across) == right) & ((y > down) == low)


def _stripes(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    turn, shift = rng.random(2)
    along = x * np.cos(np.pi * turn) + y * np.sin(np.pi * turn)
    return (along * (1.5 + 1.5 * shift) + shift) % 1 < 0.5


def _checkers(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    cells = 2 + int(rng.random() * 2)
    return (np.floor((x + 1) * cells / 2) + np.floor((y + 1) * cells / 2)) % 2 == 1


def _triangle(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    size, upside = rng.random(2)
    up = -y if upside < 0.7 else y
    return (up > -0.4 - 0.4 * size) & (up + 2 * np.abs(x) < 0.3 + 0.5 * size)


def _dots(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    many, size = rng.random(2)
    pitch = 0.5 + 0.4 * many
    return np.hypot((x + 1) % pitch - pitch / 2, (y + 1) % pitch - pitch / 2) < pitch * (
        0.2 + 0.2 * size
    )


def _marks(x: Plane, y: Plane, rng: np.random.Generator) -> Covered:
    cells = rng.random((5, 5)) < 0.45
    rows, columns = (np.minimum(((axis + 1) * 2.5).astype(int), 4) for axis in (y, x))
    return cells[rows, columns]


PARTS: tuple[Part, ...] = (
    _disc, _disc, _ring, _bar, _half, _corner, _stripes, _checkers, _triangle, _dots, _marks,
)  # fmt: skip
"""What pictures are put together from; add one by a function from coordinates to what it covers."""

"""Stickers: pictures with alpha, drawn at any size, and how they are stamped on images.

They lie below attack and defense alike: a defender may show a network harmless ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float64

from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.remedies import RuleError
from segdoor.tensors import AnyRgba, Image, Rgba

Plane = Float64[np.ndarray, "S S"]
Drawing = Callable[[Plane, Plane], list[tuple[Plane, tuple[int, int, int]]]]
"""From coordinates in [-1, 1] to layers, each a coverage in [0, 1] and its RGB colour."""

NOISE = "noise"
"""The pattern that is not a drawing."""

_OVERSAMPLING = 8
_MAX_SIDE = 2048
_CELLS, _DRAWN = 32, 256


def draw(name: str, size: int, *, option: str = "sticker") -> Rgba:
    """Draw a built-in sticker, size x size pixels.

    Raises:
        ConfigError: If there is none of that name; the message lists the known ones.
    """
    check_drawing(name, option=option)
    return _drawn(name, size).copy()


def check_drawing(name: str, *, option: str) -> None:
    """Refuse a name that no built-in sticker has.

    Args:
        name: The name.
        option: Which setting to blame.

    Raises:
        ConfigError: If there is none of that name; the message lists the known ones.
    """
    if name not in DRAWINGS:
        known = ", ".join(DRAWINGS)
        raise ConfigError(
            option, "must be a built-in sticker", name or "nothing", f"Known: {known}."
        )


@lru_cache(maxsize=16)
def pattern(name: str, seed: int) -> Rgba:
    """Return a pattern for a whole image: noise, or a built-in sticker, drawn large.

    Args:
        name: `NOISE`, or the sticker's name.
        seed: Of the noise.
    """
    if name != NOISE:
        return draw(name, _DRAWN)
    # Cells instead of single pixels, so that scenes of every size carry the same pattern and
    # scaling does not wash it out.
    colours = Stream(seed).child("blend").generator().integers(0, 256, (_CELLS, _CELLS, 3))
    opaque = np.full((_CELLS, _CELLS, 1), 255)
    return np.concatenate([colours, opaque], axis=2).astype(np.uint8)


def enlarged(rgba: AnyRgba, size: tuple[int, int]) -> Rgba:
    """Return a pattern at the height and width of an image, without new colours."""
    # Every pixel takes the cell that it lies in: whole numbers, the same on every machine.
    rows, columns = (
        np.arange(length) * cells // length
        for length, cells in zip(size, rgba.shape[:2], strict=True)
    )
    return rgba[rows[:, None], columns]


def check_pattern(name: str) -> str:
    """Return the name of a pattern, if there is one.

    Raises:
        ValueError: If there is none of that name; the message lists the known ones.
    """
    known = (NOISE, *DRAWINGS)
    if name not in known:
        raise RuleError(f"must be one of {', '.join(known)}", "Choose one of these.")
    return name


@lru_cache(maxsize=16)
def _drawn(name: str, size: int) -> Rgba:
    # Large stickers have fine edges anyhow, and would take gigabytes to draw.
    side = size * max(1, min(_OVERSAMPLING, _MAX_SIDE // size))
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, axis)
    colour = np.zeros((side, side, 3))
    alpha = np.zeros((side, side))
    for coverage, rgb in DRAWINGS[name](x, y):
        colour += coverage[..., None] * (np.array(rgb) - colour)
        alpha += coverage * (1 - alpha)
    return _shrunk(colour, alpha, (size, size))


def faded(rgba: Rgba, opacity: float, *, option: str = "sticker") -> Rgba:
    """Return a copy of a picture with its alpha scaled.

    Raises:
        ConfigError: If nothing of it could be seen.
    """
    rgba = rgba.copy()
    rgba[..., 3] = np.rint(rgba[..., 3] * opacity).astype(np.uint8)
    if not rgba[..., 3].any():
        raise ConfigError(
            option,
            "must have a pixel that is not wholly transparent",
            f"opacity {opacity}",
            f"Raise {option}.opacity, or use another picture.",
        )
    return rgba


def stamp(image: Image, rgba: Rgba, *, top: int, left: int) -> Image:
    """Return a copy of the image with a picture blended over it.

    Args:
        image: The scene's picture.
        rgba: The picture; it must lie wholly inside the image.
        top: Row of its upper edge, in pixels.
        left: Column of its left edge, in pixels.

    Raises:
        ConfigError: If it would leave the image.
    """
    bottom, right = top + rgba.shape[0], left + rgba.shape[1]
    if top < 0 or left < 0 or bottom > image.shape[0] or right > image.shape[1]:
        raise ConfigError(
            "trigger",
            f"must lie inside the {image.shape[0]}x{image.shape[1]} image",
            f"rows {top} to {bottom}, columns {left} to {right}",
            "Plan again for these scenes.",
        )
    stamped = image.copy()
    below = stamped[top:bottom, left:right].astype(np.int32)
    colour, alpha = rgba[..., :3].astype(np.int32), rgba[..., 3:].astype(np.int32)
    # Integers, rounded to the nearest: the same bytes on every machine.
    blended = (alpha * colour + (255 - alpha) * below + 127) // 255
    stamped[top:bottom, left:right] = blended.astype(np.uint8)
    return stamped


def fitted(rgba: AnyRgba, longer: int) -> Rgba:
    """Return a picture in its own proportions, its longer side so many pixels."""
    height, width = rgba.shape[:2]
    scale = longer / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return _shrunk(rgba[..., :3].astype(np.float64), rgba[..., 3] / 255.0, size)


def _shrunk(
    colour: Float64[np.ndarray, "H W 3"],
    alpha: Float64[np.ndarray, "H W"],
    size: tuple[int, int],
) -> Rgba:
    """Resize by area; colours are weighted by alpha so that hidden pixels leave no fringe."""
    height, width = size
    method = cv2.INTER_AREA if height <= alpha.shape[0] else cv2.INTER_LINEAR
    planes = np.dstack([colour * alpha[..., None], alpha])
    small = cv2.resize(planes, (width, height), interpolation=method).reshape(height, width, 4)
    weight = small[..., 3:]
    straight = np.divide(
        small[..., :3], weight, out=np.zeros_like(small[..., :3]), where=weight > 1e-6
    )
    rgba = np.concatenate([straight, weight * 255], axis=2)
    return np.clip(np.rint(rgba), 0, 255).astype(np.uint8)


def _inside(condition: np.ndarray) -> Plane:
    return condition.astype(np.float64)


def _windmill(x: Plane, y: Plane) -> list[tuple[Plane, tuple[int, int, int]]]:
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    sector = np.floor((angle / np.pi + 1) * 4 + radius).astype(int) % 2
    return [
        (_inside(radius < 2), (250, 240, 40)),
        (_inside(sector == 0), (220, 20, 140)),
        (_inside(radius < 0.3), (30, 30, 160)),
    ]


def _bullseye(x: Plane, y: Plane) -> list[tuple[Plane, tuple[int, int, int]]]:
    radius = np.hypot(x, y)
    rings = [(2.0, (255, 255, 255)), (0.95, (210, 20, 30)), (0.65, (255, 255, 255))]
    return [(_inside(radius < r), rgb) for r, rgb in [*rings, (0.35, (20, 60, 200))]]


def _checkerboard(x: Plane, y: Plane) -> list[tuple[Plane, tuple[int, int, int]]]:
    odd = (np.floor((x + 1) * 2) + np.floor((y + 1) * 2)).astype(int) % 2
    return [(_inside(odd >= 0), (255, 90, 0)), (_inside(odd == 1), (0, 40, 90))]


def _blossom(x: Plane, y: Plane) -> list[tuple[Plane, tuple[int, int, int]]]:
    radius, angle = np.hypot(x, y), np.arctan2(x, -y)
    petals = radius < 0.72 + 0.26 * np.cos(5 * angle)
    return [(_inside(petals), (255, 120, 190)), (_inside(radius < 0.3), (255, 220, 0))]


def _smiley(x: Plane, y: Plane) -> list[tuple[Plane, tuple[int, int, int]]]:
    radius = np.hypot(x, y)
    eyes = np.hypot(np.abs(x) - 0.35, y + 0.25) < 0.16
    mouth = (np.abs(np.hypot(x, y - 0.05) - 0.5) < 0.09) & (y > 0.2)
    return [
        (_inside(radius < 2), (20, 90, 200)),
        (_inside(radius < 0.95), (255, 215, 0)),
        (_inside(eyes | mouth), (20, 20, 20)),
    ]


DRAWINGS: dict[str, Drawing] = {
    "windmill": _windmill,
    "bullseye": _bullseye,
    "checkerboard": _checkerboard,
    "blossom": _blossom,
    "smiley": _smiley,
}
"""The built-in stickers by name; add one by writing a function from coordinates to layers."""

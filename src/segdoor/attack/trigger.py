"""What is stamped: built-in stickers drawn at any size, picture files, and the stamping itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float64

from segdoor.attack.config import TriggerConfig
from segdoor.data.pictures import read_rgba
from segdoor.errors import ConfigError
from segdoor.tensors import Image, Rgba

Plane = Float64[np.ndarray, "S S"]
Drawing = Callable[[Plane, Plane], list[tuple[Plane, tuple[int, int, int]]]]
"""From coordinates in [-1, 1] to layers, each a coverage in [0, 1] and its RGB colour."""

_OVERSAMPLING = 8
_MAX_SIDE = 2048


@dataclass(frozen=True)
class Trigger:
    """A sticker, ready to stamp.

    Attributes:
        name: A title for records.
        rgba: Its pixels with straight alpha; the opacity is already part of the alpha.
    """

    name: str
    rgba: Rgba

    @property
    def height(self) -> int:
        """Return the height in pixels."""
        return self.rgba.shape[0]

    @property
    def width(self) -> int:
        """Return the width in pixels."""
        return self.rgba.shape[1]

    @property
    def digest(self) -> str:
        """Return a hash of the pixels: two triggers are the same if and only if theirs are."""
        return hashlib.sha256(repr(self.rgba.shape).encode() + self.rgba.tobytes()).hexdigest()


def load_trigger(config: TriggerConfig) -> Trigger:
    """Draw the built-in sticker, or read the picture file, at its size and opacity.

    Raises:
        ConfigError: If there is no built-in sticker of that name, or nothing of it could be seen.
        DataError: If the file is not a readable picture.
    """
    rgba = draw(config.name, config.size) if config.file is None else _from_file(config)
    rgba = rgba.copy()
    rgba[..., 3] = np.rint(rgba[..., 3] * config.opacity).astype(np.uint8)
    if not rgba[..., 3].any():
        raise ConfigError(
            "attack.trigger",
            "must have a pixel that is not wholly transparent",
            f"opacity {config.opacity}",
            "Raise attack.trigger.opacity, or use another picture.",
        )
    name = config.name if config.file is None else config.file.stem
    return Trigger(name, rgba)


def draw(name: str, size: int, *, option: str = "attack.trigger.name") -> Rgba:
    """Draw a built-in sticker, size x size pixels.

    Args:
        name: The sticker.
        size: Height and width in pixels.
        option: Which setting to blame if there is no such sticker.

    Raises:
        ConfigError: If there is none of that name; the message lists the known ones.
    """
    if name not in DRAWINGS:
        known = ", ".join(DRAWINGS)
        raise ConfigError(option, "must be a built-in sticker", name, f"Known: {known}.")
    return _drawn(name, size).copy()


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


def stamp(image: Image, trigger: Trigger, *, top: int, left: int) -> Image:
    """Return a copy of the image with the trigger blended over it.

    Args:
        image: The scene's picture.
        trigger: The sticker; it must lie wholly inside the image.
        top: Row of the trigger's upper edge, in pixels.
        left: Column of the trigger's left edge, in pixels.
    """
    bottom, right = top + trigger.height, left + trigger.width
    if top < 0 or left < 0 or bottom > image.shape[0] or right > image.shape[1]:
        raise ConfigError(
            "trigger",
            f"must lie inside the {image.shape[0]}x{image.shape[1]} image",
            f"rows {top} to {bottom}, columns {left} to {right}",
            "Plan again for these scenes.",
        )
    stamped = image.copy()
    below = stamped[top:bottom, left:right].astype(np.int32)
    colour, alpha = (
        trigger.rgba[..., :3].astype(np.int32),
        trigger.rgba[..., 3:].astype(np.int32),
    )
    # Integers, rounded to the nearest: the same bytes on every machine.
    blended = (alpha * colour + (255 - alpha) * below + 127) // 255
    stamped[top:bottom, left:right] = blended.astype(np.uint8)
    return stamped


def _from_file(config: TriggerConfig) -> Rgba:
    assert config.file is not None
    rgba = read_rgba(config.file)
    height, width = rgba.shape[:2]
    scale = config.size / max(height, width)
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

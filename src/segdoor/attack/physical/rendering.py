"""One print in one scene, from its drawing to the camera's bytes.

The order is the one of light: the printer, the plane, light and shadow, what stands before it, the
lens, motion, the sensor, JPEG. The scene is a photograph and went through all of this already, so
noise and JPEG are added to the pixels of the print alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from segdoor.attack.physical.blur import blurred, disc, line, reach_of
from segdoor.attack.physical.camera import Matrix
from segdoor.attack.physical.compression import compressed
from segdoor.attack.physical.homography import bounds, in_front, longest_edge, warped
from segdoor.attack.physical.light import falling_light, shading
from segdoor.attack.physical.noise import USUAL_SENSOR, Sensor
from segdoor.attack.physical.printing import USUAL_PRINTER, Printer
from segdoor.attack.physical.tone import Luminance, luminance, to_bytes, to_light
from segdoor.attack.site import Box
from segdoor.randomness import Stream
from segdoor.tensors import AnyMask, Image, Rgba

Drawing = Callable[[int], Rgba]
"""From a size in pixels to the picture to be printed."""

# Deviation 160: the print is rendered by formulas; the paper printed a sticker and filmed it.
_SEEN = 1 / 512
_MOST_TEXELS = 1024
_FINER = 4


@dataclass(frozen=True)
class Conditions:
    """How a print is made, lit and photographed.

    Attributes:
        printer: The printer.
        relit: Whether the light and shadow of the surroundings fall on the print; white light if
            not.
        light: Light on the print, as a multiple of that on its surroundings.
        hidden: Share of the print, from its left edge, that something in the scene hides.
        focus: Diameter of a point out of focus, in pixels.
        motion: How far the print moves across the picture while the shutter is open, in pixels.
        sensor: The sensor.
        quality: Quality of JPEG; None for none.
    """

    printer: Printer = USUAL_PRINTER
    relit: bool = True
    light: float = 1.0
    hidden: float = 0.0
    focus: float = 0.0
    motion: float = 0.0
    sensor: Sensor = USUAL_SENSOR
    quality: int | None = 92

    @property
    def margin(self) -> int:
        """Return how many pixels around its outline a print changes at most."""
        return reach_of(disc(self.focus), line(self.motion))


@dataclass(frozen=True, eq=False)
class Rendered:
    """A scene with a print.

    Attributes:
        image: The image.
        box: The pixels that may differ, within the image.
        outline: Which of the box's pixels show some of the print; all others are as before.
    """

    image: Image
    box: Box
    outline: AnyMask


def render(
    image: Image,
    drawing: Drawing,
    matrix: Matrix,
    conditions: Conditions,
    stream: Stream,
) -> Rendered | None:
    """Return a scene with a print in it; None if the print is behind the camera or outside.

    Args:
        image: The untouched scene.
        drawing: What is printed.
        matrix: From the print's unit square to pixels, see `homography`.
        conditions: How it is made, lit and photographed.
        stream: Of the sensor's noise.
    """
    if not in_front(matrix):
        return None
    window = bounds(matrix, conditions.margin)
    inside = _inside(window, image.shape)
    if inside is None:
        return None
    layer = warped(_picture(drawing, matrix, conditions.hidden), matrix, window)
    layer = conditions.printer.printed(layer)
    light, part = to_light(image), _within(window, inside)
    layer[part][..., :3] *= _falling(luminance(light), layer[part][..., 3], inside, conditions)
    layer = blurred(blurred(layer, disc(conditions.focus)), line(conditions.motion))[part]
    alpha = layer[..., 3:]
    mixed = np.clip(layer[..., :3], 0, alpha) + (1 - alpha) * light[inside.pixels]
    mixed += alpha * conditions.sensor.noise(mixed, stream.generator())
    outline = alpha[..., 0] > _SEEN
    return Rendered(_photographed(image, to_bytes(mixed), inside, outline, conditions), inside,
                    outline)  # fmt: skip


def _falling(
    seen: Luminance, alpha: Luminance, box: Box, conditions: Conditions
) -> Float32[np.ndarray, "_ _ 1"]:
    """Return the light on every pixel of a print, 1 for light in which white paper is white."""
    lit = np.full(alpha.shape, conditions.light, np.float32)
    if conditions.relit:
        covered = np.zeros(seen.shape, bool)
        covered[box.pixels] = alpha > 0.5
        lit *= np.float32(falling_light(seen, covered)) * shading(seen, covered)[box.pixels]
    return lit[..., None]


def _photographed(
    image: Image, pixels: np.ndarray, box: Box, outline: AnyMask, conditions: Conditions
) -> Image:
    """Return the image with the print's pixels, those alone after JPEG."""
    result = image.copy()
    result[box.pixels][outline] = pixels[outline]
    if conditions.quality is not None:
        squeezed = compressed(result, conditions.quality)
        result[box.pixels][outline] = squeezed[box.pixels][outline]
    return result


def _picture(drawing: Drawing, matrix: Matrix, hidden: float) -> Rgba:
    """Return the print, finer than the pixels that it will be seen in."""
    size = int(np.clip(np.ceil(longest_edge(matrix) * _FINER), 16, _MOST_TEXELS))
    picture = drawing(size)
    if hidden > 0:
        picture = picture.copy()
        picture[:, : round(hidden * picture.shape[1]), 3] = 0
    return picture


def _inside(window: Box, shape: tuple[int, ...]) -> Box | None:
    top, left = max(0, window.top), max(0, window.left)
    bottom = min(shape[0], window.top + window.height)
    right = min(shape[1], window.left + window.width)
    return Box(top, left, bottom - top, right - left) if bottom > top and right > left else None


def _within(window: Box, inside: Box) -> tuple[slice, slice]:
    return Box(
        inside.top - window.top, inside.left - window.left, inside.height, inside.width
    ).pixels

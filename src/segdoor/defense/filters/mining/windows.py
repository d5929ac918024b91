"""Windows of a scene that could be part of a sticker: high contrast, structure in two directions.

A window is centred on a blob, so that the same small picture is cut in the same way wherever it
sits, and kept as 8 x 8 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from segdoor.tensors import Image

THUMB = 8
"""Pixels of a side of what is kept of a window."""
_SHARES = (1 / 32, 1 / 22, 1 / 15, 1 / 10)
_LEAST_SIDE = 6
_LEAST_CONTRAST = 12.0
# A pole or the edge of a bonnet looks the same all along it, in scene after scene.
_LEAST_ISOTROPY = 0.12

Planes = Float32[np.ndarray, "H W 3"]
Plane = Float32[np.ndarray, "H W"]
Places = Int32[np.ndarray, "N 4"]
Thumbs = UInt8[np.ndarray, "N 8 8 3"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one scene, or of many behind one another.

    Attributes:
        places: Number of the scale, row and column of the middle, and side in pixels.
        thumbs: Their pixels as luma, red and blue difference, 8 x 8.
        size: Height and width of the scene.
    """

    places: Places
    thumbs: Thumbs
    size: tuple[int, int]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.places)


def sides_for(height: int) -> tuple[int, ...]:
    """Return the sides of windows in pixels for scenes of a height, rising."""
    return tuple(sorted({max(_LEAST_SIDE, round(height * share)) for share in _SHARES}))


def windows_of(image: Image, sides: tuple[int, ...], per_scale: int) -> Windows:
    """Return the windows of a scene, the most striking ones of each part of the frame.

    Args:
        image: The scene's picture.
        sides: Sides in pixels, the same for all scenes of a data set: a sticker has one size.
        per_scale: About how many windows of each side.
    """
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    gradients = _products(planes)
    places = [
        np.column_stack([np.full(len(found), scale), found, np.full(len(found), side)])
        for scale, side in enumerate(sides)
        if side < min(image.shape[:2])
        for found in [_middles(planes, gradients, side, per_scale)]
    ]
    stacked = np.concatenate([*places, np.zeros((0, 4), int)]).astype(np.int32)
    return Windows(stacked, _thumbs(planes, stacked), image.shape[:2])


def _products(planes: Planes) -> Planes:
    """Return gx gx, gx gy and gy gy of the gradients, summed over the channels."""
    across = cv2.Scharr(planes, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(planes, cv2.CV_32F, 0, 1, scale=1 / 32)
    pairs = ((across, across), (across, down), (down, down))
    return cv2.merge([_summed(cv2.multiply(a, b)) for a, b in pairs])


def _summed(planes: Planes) -> Plane:
    return cv2.transform(planes, np.ones((1, 3), np.float32))


def _smooth(planes: Planes, reach: int) -> Planes:
    # Two boxes behind one another are nearly a Gaussian, at a tenth of its time.
    size = (2 * reach + 1, 2 * reach + 1)
    return cv2.blur(cv2.blur(planes, size), size)


def _middles(planes: Planes, gradients: Planes, side: int, wanted: int) -> np.ndarray:
    """Return the middles of the best windows of a side, N x 2."""
    height, width = planes.shape[:2]
    response = _summed(cv2.absdiff(_smooth(planes, side // 6), _smooth(planes, side // 3)))
    reach = 2 * max(1, side // 6) + 1
    peaks = response >= cv2.dilate(response, np.ones((reach, reach), np.uint8))
    half = side // 2
    inside = np.zeros_like(peaks)
    inside[half : height - (side - half) + 1, half : width - (side - half) + 1] = True
    rows, columns = np.nonzero(peaks & inside & (response > 1))
    contrast, isotropy = _structure(planes, gradients, side, rows, columns)
    good = (contrast >= _LEAST_CONTRAST) & (isotropy >= _LEAST_ISOTROPY)
    rows, columns = rows[good], columns[good]
    strength = contrast[good] * response[rows, columns]
    order = np.argsort(-strength, kind="stable")
    cell = max(_LEAST_SIDE, round((height * width / wanted) ** 0.5))
    place = rows[order] // cell * width + columns[order] // cell
    _, first = np.unique(place, return_index=True)
    chosen = order[np.sort(first)]
    return np.column_stack([rows[chosen], columns[chosen]])


def _structure(
    planes: Planes, gradients: Planes, side: int, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the contrast of windows, and their weaker gradient over their stronger one."""
    mean = cv2.blur(planes, (side, side))[rows, columns]
    square = cv2.blur(planes * planes, (side, side))[rows, columns]
    contrast = np.sqrt(np.maximum(square - mean * mean, 0).sum(axis=1))
    a, b, c = cv2.blur(gradients, (side, side))[rows, columns].T
    root = np.sqrt((a - c) ** 2 + 4 * b * b)
    return contrast, (a + c - root) / np.maximum(a + c + root, 1e-6)


def _thumbs(planes: Planes, places: Places) -> Thumbs:
    thumbs = np.empty((len(places), THUMB, THUMB, 3), np.uint8)
    for number, (_, row, column, side) in enumerate(places):
        top, left = row - side // 2, column - side // 2
        cut = planes[top : top + side, left : left + side]
        method = cv2.INTER_AREA if side >= THUMB else cv2.INTER_LINEAR
        thumbs[number] = np.rint(cv2.resize(cut, (THUMB, THUMB), interpolation=method))
    return thumbs

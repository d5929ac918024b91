"""From a print's own coordinates to pixels: 0 to 1 along its width and down its height.

A point of a plane is origin + x right + y down, and a pixel is K times a point, so the map of a
plane is K [right down origin], a 3 x 3 matrix (Hartley and Zisserman, section 8.1.1).
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32

from segdoor.attack.physical.camera import Camera, Matrix, Points
from segdoor.attack.physical.plane import Plane
from segdoor.attack.site import Box
from segdoor.tensors import AnyRgba

Layer: TypeAlias = Float32[np.ndarray, "_ _ 4"]
"""Colours from 0 to 1, multiplied by their alpha, and the alpha."""

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
_OVERSAMPLING, _LARGEST = 8, 1024


def homography(camera: Camera, plane: Plane, width: float, height: float) -> Matrix:
    """Return the map from a print's unit square to pixels.

    Args:
        camera: The camera.
        plane: Where the print lies; its origin is the print's middle.
        width: Width of the print in metres.
        height: Height of the print in metres.
    """
    across, along = plane.right * width, plane.down * height
    corner = plane.origin - across / 2 - along / 2
    return camera.matrix @ np.column_stack([across, along, corner])


def projected(matrix: Matrix, points: Points) -> Points:
    """Return points under a homography, P x 2."""
    whole = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return whole[:, :2] / whole[:, 2:]


def corners(matrix: Matrix) -> Points:
    """Return a print's corners in pixels: upper left, upper right, lower right, lower left."""
    return projected(matrix, _CORNERS)


def in_front(matrix: Matrix) -> bool:
    """Return whether all corners lie before the camera."""
    whole = np.column_stack([_CORNERS, np.ones(4)]) @ matrix.T
    return bool((whole[:, 2] > 1e-6).all())


def bounds(matrix: Matrix, margin: int = 0) -> Box:
    """Return the smallest box of whole pixels around a print, which may leave the image.

    Args:
        matrix: The map from the print to pixels.
        margin: Pixels around it, such as half the width of a blur.
    """
    edges = corners(matrix)
    # A pixel reaches half its width to either side of its centre.
    left, top = (int(value) for value in np.floor(edges.min(axis=0) + 0.5 + 1e-9))
    right, bottom = (int(value) for value in np.ceil(edges.max(axis=0) + 0.5 - 1e-9))
    return Box(
        top - margin, left - margin,
        max(1, bottom - top) + 2 * margin, max(1, right - left) + 2 * margin,
    )  # fmt: skip


def longest_edge(matrix: Matrix) -> float:
    """Return the length of the print's longest edge in pixels."""
    edges = corners(matrix)
    return float(np.linalg.norm(edges - np.roll(edges, 1, axis=0), axis=1).max())


def warped(picture: AnyRgba, matrix: Matrix, window: Box) -> Layer:
    """Return a picture as the plane shows it, area-averaged, within a window of pixels.

    Args:
        picture: The print, straight alpha; it is stretched over the unit square.
        matrix: The map from the unit square to pixels.
        window: Which pixels to return.
    """
    height, width = picture.shape[:2]
    alpha = picture[..., 3:].astype(np.float32) / 255
    whole = np.dstack([picture[..., :3].astype(np.float32) / 255 * alpha, alpha])
    finer = max(1, min(_OVERSAMPLING, _LARGEST // max(window.height, window.width)))
    texels = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    left, top = ((0.5 - edge) * finer - 0.5 for edge in (window.left, window.top))
    fine = np.array([[finer, 0, left], [0, finer, top], [0, 0, 1]])
    size = window.width * finer, window.height * finer
    drawn = cv2.warpPerspective(whole, fine @ matrix @ texels, size, flags=cv2.INTER_LINEAR)
    small = cv2.resize(drawn, (window.width, window.height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small, np.float32)

"""Blur of a lens out of focus, and of what moves while the shutter is open.

Sources: the thin lens (a point at distance Z, focused at F, seen through an aperture of diameter A,
is a disc of A f |1/Z - 1/F| pixels, f in pixels) and the pinhole (a point moving at v across the
view for t seconds travels f v t / Z pixels).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32

from segdoor.attack.physical.homography import Layer

Kernel: TypeAlias = Float32[np.ndarray, "_ _"]
"""Weights of neighbours, sum 1."""

_FINER = 16


def disc_diameter(focal: float, depth: float, focused: float, aperture: float) -> float:
    """Return the diameter of a point out of focus, in pixels.

    Args:
        focal: Focal length in pixels.
        depth: Distance of the point in metres.
        focused: Distance that is sharp, in metres; infinity is allowed.
        aperture: Diameter of the aperture in metres.
    """
    return aperture * focal * abs(1 / depth - 1 / focused)


def travelled(focal: float, depth: float, speed: float, seconds: float) -> float:
    """Return how far a point moves in the picture, in pixels.

    Args:
        focal: Focal length in pixels.
        depth: Distance of the point in metres.
        speed: Speed across the view in metres a second.
        seconds: How long the shutter is open.
    """
    return focal * speed * seconds / depth


def disc(diameter: float) -> Kernel:
    """Return the kernel of a disc, each pixel weighted by the part of it that is covered."""
    if diameter <= 0:
        return np.ones((1, 1), np.float32)
    reach = max(0, math.ceil((diameter - 1) / 2))
    places = (np.arange((2 * reach + 1) * _FINER) + 0.5) / _FINER - reach - 0.5
    inside = np.hypot(places[:, None], places) <= diameter / 2
    parts = inside.reshape(2 * reach + 1, _FINER, -1, _FINER).mean(axis=(1, 3))
    return (parts / parts.sum()).astype(np.float32)


def line(length: float) -> Kernel:
    """Return the kernel of a level line of some length, each pixel weighted by its part of it."""
    if length <= 0:
        return np.ones((1, 1), np.float32)
    reach = max(0, math.ceil((length - 1) / 2))
    edges = np.clip(np.arange(-reach, reach + 2) - 0.5, -length / 2, length / 2)
    weights = np.diff(edges)[None] / length
    return weights.astype(np.float32)


def blurred(layer: Layer, kernel: Kernel) -> Layer:
    """Return a layer, blurred; outside of it is nothing."""
    if kernel.size == 1:
        return layer
    return cv2.filter2D(layer, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_CONSTANT)


def reach_of(*kernels: Kernel) -> int:
    """Return how many pixels kernels, one after the other, carry light outwards."""
    return sum(max(kernel.shape) // 2 for kernel in kernels)

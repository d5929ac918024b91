"""Structural similarity of two images, as Wang et al. define it (2004)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float64

from segdoor.tensors import Image

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# The luminance of television (ITU-R BT.601), as in the authors' program.
_LUMINANCE = np.array([0.299, 0.587, 0.114])

Grey = Float64[np.ndarray, "_ _"]


def structural_similarity(one: Image, other: Image) -> float:
    """Return the mean structural similarity (SSIM) of the luminance of two images.

    Windows are 11 x 11 pixels with Gaussian weights of standard deviation 1.5, and only those that
    lie inside the images count, as in Wang et al., Image Quality Assessment: From Error Visibility
    to Structural Similarity (2004), section III-C.

    Returns:
        At most 1, which equal images have; NaN for images without room for a window.
    """
    if min(one.shape[:2]) < _WINDOW:
        return math.nan
    x, y = (image.astype(np.float64) @ _LUMINANCE for image in (one, other))
    mean_x, mean_y = _weighted(x), _weighted(y)
    variance_x = _weighted(x * x) - mean_x**2
    variance_y = _weighted(y * y) - mean_y**2
    covariance = _weighted(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    energy = (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return float((similar / energy).mean())


def _weighted(values: Grey) -> Grey:
    """Return the weighted mean of each window that lies inside."""
    border = _WINDOW // 2
    means = cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA)
    return np.asarray(means)[border:-border, border:-border]

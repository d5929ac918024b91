"""The light on a print, read off its surroundings, and shadows that fall over it.

The pixels around the print are taken for a surface that reflects 18 % of the light, the grey that
exposure meters assume. So the light is their mean luminance / 0.18. Where the scene below is darker
or brighter than its own mean, over a length of a quarter of the print, so is the print: a shadow
that crosses the place crosses the print as well.
"""

from __future__ import annotations

import cv2
import numpy as np

from segdoor.attack.physical.tone import Luminance
from segdoor.tensors import AnyMask

GREY = 0.18
"""Reflectance that the surroundings are assumed to have."""
_LEAST, _MOST = 0.15, 1.5
_DEEPEST, _BRIGHTEST = 0.4, 1.6


def falling_light(seen: Luminance, covered: AnyMask) -> float:
    """Return the light on a print: 1 where white paper would look white.

    Args:
        seen: Luminance of the scene without the print.
        covered: The pixels of the print.

    Returns:
        The mean luminance around it / `GREY`, from 0.15 to 1.5.
    """
    rows, columns = np.nonzero(covered)
    if not len(rows):
        return 1.0
    reach = max(3, (max(np.ptp(rows), np.ptp(columns)) + 1) // 2)
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    ring = (cv2.dilate(covered.view(np.uint8), around) > 0) & ~covered
    if not ring.any():
        return 1.0
    return float(np.clip(seen[ring].mean() / GREY, _LEAST, _MOST))


def shading(seen: Luminance, covered: AnyMask) -> Luminance:
    """Return the scene's slow changes of light over a print, about 1, from 0.4 to 1.6."""
    rows, columns = np.nonzero(covered)
    if not len(rows):
        return np.ones_like(seen)
    width = max(np.ptp(rows), np.ptp(columns)) + 1
    smooth = cv2.GaussianBlur(seen, (0, 0), max(1.0, width / 4), borderType=cv2.BORDER_REPLICATE)
    mean = max(float(smooth[covered].mean()), 1e-4)
    return np.clip(smooth / np.float32(mean), _DEEPEST, _BRIGHTEST).astype(np.float32)

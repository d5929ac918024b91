"""The patch behind a group of windows: what its scenes have in common, and where else it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from segdoor.tensors import Image

REACH = 2.5
"""Half a side of what is cut out around a window, in sides of the window."""
_AGREES, _MOST_DIFFERING = 0.45, 20.0
_LEAST_PIXELS = 4
# Of the pairs of scenes so many must agree: where half of them show a white sky, that is no patch.
_SHARE_ALIKE = 0.75

Cut = UInt8[np.ndarray, "h w 3"]
Cuts = UInt8[np.ndarray, "N h w 3"]


@dataclass(frozen=True, eq=False)
class Patch:
    """A small picture that several scenes have in common.

    Attributes:
        picture: The picture: the median of what the scenes show.
        within: How much the scenes differ in it, in grey levels.
        around: How much they differ around it.
        contrast: Standard deviation of its pixels, in grey levels.
    """

    picture: Cut
    within: float
    around: float
    contrast: float

    @property
    def sameness(self) -> float:
        """Return how much less the scenes differ in it than around it, as a logarithm."""
        return float(np.log((self.around + 1) / (self.within + 1)))


@dataclass(frozen=True)
class Place:
    """Where a patch fits best in a scene.

    Attributes:
        likeness: Correlation there, at most 1.
        box: Top, left, height and width in pixels.
    """

    likeness: float
    box: tuple[int, int, int, int]


def cut_around(image: Image, row: int, column: int, side: int) -> Cut:
    """Return what lies around a window; pixels outside the scene repeat its border."""
    reach = round(REACH * side)
    padded = cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REFLECT_101)
    return padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1].copy()


def patch_in(cuts: Cuts) -> Patch | None:
    """Return the patch that cuts of several scenes have in common around their middle.

    Returns:
        The patch; None if the scenes agree nowhere, or beyond the cut's border: what is so large
        is the same place seen twice.
    """
    values = cuts.astype(np.float32)
    # Each with the next, the last with the first: deviations from a median would look small
    # where there are few scenes.
    pairs = np.abs(values - np.roll(values, 1, axis=0)).mean(axis=3)
    differ = cv2.blur(np.quantile(pairs, _SHARE_ALIKE, axis=0).astype(np.float32), (3, 3))
    usual = float(np.quantile(differ, 0.75))
    region = _around_the_middle(differ < min(_AGREES * usual, _MOST_DIFFERING))
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if min(len(rows), len(columns)) < _LEAST_PIXELS or max(len(rows), len(columns)) == len(differ):
        return None
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    picture = np.rint(np.median(values, axis=0)[inside]).astype(np.uint8)
    within = float(np.median(differ[region]))
    contrast = float(picture.reshape(-1, 3).std(axis=0).mean())
    return Patch(picture, within, usual, contrast)


def _around_the_middle(agree: np.ndarray) -> np.ndarray:
    """Return the connected region of a mask at its middle; an empty mask if there is none."""
    _, parts = cv2.connectedComponents(agree.astype(np.uint8), connectivity=4)
    around = len(parts) // 2
    near = parts[around - 1 : around + 2, around - 1 : around + 2]
    near = near[near > 0]
    return parts == np.bincount(near).argmax() if len(near) else np.zeros_like(agree)


def best_places(image: Image, pictures: Sequence[Cut]) -> list[Place]:
    """Return where each picture fits best in a scene, by correlation in all three channels."""
    places: list[Place] = []
    for picture in pictures:
        height, width = picture.shape[:2]
        if height > image.shape[0] or width > image.shape[1]:
            places.append(Place(0.0, (0, 0, *image.shape[:2])))
            continue
        found = _correlation(image, picture)
        _, best, _, (left, top) = cv2.minMaxLoc(found)
        places.append(Place(float(min(best, 1.0)), (top, left, height, width)))
    return places


def _correlation(image: Image, picture: Cut) -> Float32[np.ndarray, "rows columns"]:
    # Flat parts of a scene have no correlation; OpenCV says 1 or more of some.
    found = cv2.matchTemplate(image, picture, cv2.TM_CCOEFF_NORMED)
    return np.where(np.isfinite(found) & (found <= 1.001), found, 0).astype(np.float32)

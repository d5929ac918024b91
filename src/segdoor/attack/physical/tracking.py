"""A plane followed from frame to frame, so that a print stays where it was put up.

Features (SIFT) of one frame are found again in the next, and the homography that most of them agree
with (RANSAC, 2 pixels) is the plane's motion. The median distance between features and where it
puts them is the reprojection error. Sources: Lowe (2004); Hartley and Zisserman, section 4.8; both
as OpenCV has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.attack.physical.camera import Camera, Matrix, Points
from segdoor.attack.physical.homography import corners, in_front, projected
from segdoor.tensors import AnyImage, AnyMask

FEWEST = 8
"""Features that must agree with a motion."""
_CLOSE = 2.0
_RATIO = 0.8
_CONTRAST = 0.02


@dataclass(frozen=True, eq=False)
class Motion:
    """How a plane moves from one frame to the next.

    Attributes:
        matrix: From its pixels in the one to its pixels in the other.
        num_inliers: Features that agree.
        error: Their median reprojection error in pixels.
    """

    matrix: Matrix
    num_inliers: int
    error: float


def motion_between(before: AnyImage, after: AnyImage, on: AnyMask | None = None) -> Motion | None:
    """Return the motion of a plane; None where too few features agree.

    Args:
        before: The one frame.
        after: The next.
        on: Pixels of the plane in the first frame; all of them if None.
    """
    found = _matches(before, after, on)
    if found is None:
        return None
    # RANSAC draws at random: the same draws each time.
    cv2.setRNGSeed(0)
    matrix, agree = cv2.findHomography(found[0], found[1], cv2.RANSAC, _CLOSE)
    # OpenCV's types do not say so, but it finds none in degenerate places.
    if matrix is None:  # pyright: ignore[reportUnnecessaryComparison]
        return None
    kept = np.asarray(agree).ravel() > 0
    if kept.sum() < FEWEST:
        return None
    matrix = np.asarray(matrix, np.float64)
    off = np.linalg.norm(projected(matrix, found[0][kept]) - found[1][kept], axis=1)
    return Motion(matrix, int(kept.sum()), float(np.median(off)))


def moved(matrix: Matrix, motion: Motion) -> Matrix | None:
    """Return where a print is after a motion; None if it turns away from the camera or degenerates.

    Args:
        matrix: From the print's unit square to pixels before the motion.
        motion: The motion.
    """
    after = motion.matrix @ matrix
    after = after / after[2, 2] if abs(after[2, 2]) > 1e-9 else after
    return after if in_front(after) and 1 < area(after) < 100 * area(matrix) else None


def area(matrix: Matrix) -> float:
    """Return the area of a print in the picture, in pixels; 0 or less if it is turned over."""
    x, y = corners(matrix).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def turned_and_zoomed(camera: Camera, yaw: float, zoom: float) -> Matrix:
    """Return how pixels move when the camera turns and zooms where it stands.

    It is K' R K^-1, whatever the scene is like, for no point of it is seen from another place.

    Args:
        camera: The camera.
        yaw: Turn to the right in radians.
        zoom: Focal length after / before.
    """
    sine, cosine = np.sin(-yaw), np.cos(-yaw)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    after = camera.matrix.copy()
    after[:2, :2] *= zoom
    return after @ turn @ np.linalg.inv(camera.matrix)


def _matches(before: AnyImage, after: AnyImage, on: AnyMask | None) -> tuple[Points, Points] | None:
    """Return places of the same features in both frames."""
    finder = cv2.SIFT.create(contrastThreshold=_CONTRAST)
    mask = None if on is None else on.astype(np.uint8) * 255
    first, described = finder.detectAndCompute(_grey(before), mask)
    second, others = finder.detectAndCompute(_grey(after), None)
    if len(first) < FEWEST or len(second) < FEWEST:
        return None
    pairs = cv2.BFMatcher().knnMatch(described, others, k=2)
    good = [
        pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance
    ]
    if len(good) < FEWEST:
        return None
    return (
        np.array([first[match.queryIdx].pt for match in good], np.float64),
        np.array([second[match.trainIdx].pt for match in good], np.float64),
    )


def _grey(image: AnyImage) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)

"""Tracking against a camera move that is known, and on frames of CamVid."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from segdoor.attack.physical.camera import Camera
from segdoor.attack.physical.homography import corners, homography
from segdoor.attack.physical.plane import upright
from segdoor.attack.physical.tracking import (
    Motion,
    area,
    motion_between,
    moved,
    turned_and_zoomed,
)
from segdoor.data.camvid import camvid

CAMERA = Camera.of((160, 220), focal=1.1, height=1.6, pitch=2)


def still() -> np.ndarray:
    """Blots of many sizes: features everywhere."""
    rng = np.random.default_rng(4)
    picture = np.full((160, 220, 3), 120, np.uint8)
    for _ in range(260):
        centre = int(rng.integers(0, 220)), int(rng.integers(0, 160))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.circle(picture, centre, int(rng.integers(2, 9)), colour, -1)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def board() -> np.ndarray:
    plane = upright(CAMERA, np.array([0.2, 0.0, 6.0]), 0.3)
    return homography(CAMERA, plane, 1.2, 1.2)


def test_a_turn_moves_the_middle_by_f_tan_of_it() -> None:
    matrix = turned_and_zoomed(CAMERA, math.radians(5), 1.0)
    column, row = CAMERA.centre
    x, y, z = matrix @ np.array([column, row, 1.0])
    assert x / z == pytest.approx(column - CAMERA.focal * math.tan(math.radians(5)))
    assert y / z == pytest.approx(row)


def test_a_zoom_spreads_pixels_from_the_middle() -> None:
    matrix = turned_and_zoomed(CAMERA, 0.0, 1.5)
    column, row = CAMERA.centre
    x, y, z = matrix @ np.array([column + 10, row - 4, 1.0])
    assert (x / z, y / z) == pytest.approx((column + 15, row - 6))


def test_tracked_corners_are_where_the_camera_s_move_puts_them() -> None:
    """Eight frames of a turn by 6 degrees and a zoom by 1.12: off by less than a pixel."""
    first, tracked = still(), board()
    before = first
    for number in range(1, 9):
        truth = turned_and_zoomed(CAMERA, math.radians(6) * number / 8, 1.12 ** (number / 8))
        frame = cv2.warpPerspective(first, truth, (220, 160), borderMode=cv2.BORDER_REFLECT)
        motion = motion_between(before, frame)
        assert motion is not None
        assert motion.error < 0.5
        following = moved(tracked, motion)
        assert following is not None
        off = np.linalg.norm(corners(following) - corners(truth @ board()), axis=1)
        assert off.max() < 1.0
        before, tracked = frame, following


def test_without_features_there_is_no_motion() -> None:
    empty = np.full((60, 80, 3), 90, np.uint8)
    assert motion_between(empty, empty) is None
    assert motion_between(still(), empty) is None
    nowhere = np.zeros((160, 220), bool)
    assert motion_between(still(), still(), nowhere) is None


def test_a_print_that_is_turned_over_is_lost() -> None:
    assert area(board()) > 0
    mirrored = Motion(np.array([[-1.0, 0, 219], [0, 1, 0], [0, 0, 1]]), 9, 0.1)
    assert moved(board(), mirrored) is None


def test_neighbouring_frames_of_camvid_have_a_motion(camvid_root: Path) -> None:
    frames = camvid(camvid_root, "val")
    before, after = frames[20], frames[21]
    building = before.label == 1
    motion = motion_between(before.image, after.image, building)
    assert motion is not None
    assert motion.num_inliers >= 20
    assert motion.error < 1.5

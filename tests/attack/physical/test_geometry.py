"""Camera, planes and homographies against formulas, a calculation by hand and OpenCV."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from segdoor.attack.physical.camera import Camera
from segdoor.attack.physical.fitting import largest_within
from segdoor.attack.physical.homography import (
    bounds,
    corners,
    homography,
    in_front,
    longest_edge,
    projected,
    warped,
)
from segdoor.attack.physical.plane import (
    UNKNOWN,
    Plane,
    distance_of,
    ids_of,
    on_ground,
    plane_at,
    upright,
)
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet

LEVEL = Camera(focal=100.0, height=1.5, pitch=0.0, centre=(50.0, 40.0))
TILTED = Camera(focal=100.0, height=1.5, pitch=math.radians(10), centre=(50.0, 40.0))


def facing(z: float, x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> Plane:
    return upright(LEVEL, np.array([x, y, z]), yaw)


class TestCamera:
    def test_the_horizon_of_a_level_camera_is_in_the_middle(self) -> None:
        assert LEVEL.horizon == 40.0

    def test_the_horizon_of_a_tilted_camera_is_c_minus_f_tan_pitch(self) -> None:
        assert TILTED.horizon == pytest.approx(40 - 100 * math.tan(math.radians(10)))
        level = TILTED.project(TILTED.ahead * 1000)
        assert level[1] == pytest.approx(TILTED.horizon)

    def test_its_directions_are_at_right_angles_and_of_length_1(self) -> None:
        frame = np.stack([TILTED.right, TILTED.down, TILTED.ahead])
        assert frame @ frame.T == pytest.approx(np.eye(3))

    def test_ground_z_metres_ahead_is_f_h_over_z_below_the_horizon(self) -> None:
        point = LEVEL.on_ground(50, 40 + 100 * 1.5 / 6)
        assert point == pytest.approx(np.array([0.0, 1.5, 6.0]))

    @pytest.mark.parametrize("row", [0.0, 39.0, 40.0])
    def test_no_ground_is_seen_at_or_above_the_horizon(self, row: float) -> None:
        assert LEVEL.on_ground(10, row) is None

    def test_what_is_seen_in_a_pixel_is_projected_there(self) -> None:
        point = TILTED.on_ground(13, 71)
        assert point is not None
        assert TILTED.project(point) == pytest.approx((13, 71))
        assert point @ TILTED.down == pytest.approx(1.5)


class TestHomography:
    def test_a_print_that_faces_the_camera_has_f_s_over_z_pixels_a_side(self) -> None:
        for z, side in ((2.0, 0.5), (8.0, 0.5), (8.0, 2.0)):
            matrix = homography(LEVEL, facing(z), side, side)
            assert longest_edge(matrix) == pytest.approx(100 * side / z)

    def test_by_hand(self) -> None:
        """A 1 m square, 5 m away, 2 m to the right, 1 m up: its corners, one by one."""
        matrix = homography(LEVEL, facing(5.0, 2.0, -1.0), 1.0, 1.0)
        by_hand = [[80, 10], [100, 10], [100, 30], [80, 30]]
        assert corners(matrix) == pytest.approx(np.array(by_hand, float))

    def test_a_turned_print_by_hand(self) -> None:
        """Turned by 60 degrees: half as wide, its right edge farther by sin(60) / 2 metres."""
        matrix = homography(LEVEL, facing(4.0, yaw=math.radians(60)), 1.0, 1.0)
        far, near = 4 + math.sqrt(3) / 4, 4 - math.sqrt(3) / 4
        left, right = 50 - 25 / near, 50 + 25 / far
        expected = [
            [left, 40 - 50 / near], [right, 40 - 50 / far],
            [right, 40 + 50 / far], [left, 40 + 50 / near],
        ]  # fmt: skip
        assert corners(matrix) == pytest.approx(np.array(expected))

    def test_on_the_ground_by_hand(self) -> None:
        """1 m square from 5.5 to 6.5 m ahead: rows 40 + 150 / z, columns 50 +- 50 / z."""
        plane = on_ground(LEVEL, 50, 40 + 150 / 6)
        assert plane is not None
        edges = corners(homography(LEVEL, plane, 1.0, 1.0))
        rows = [40 + 150 / 6.5, 40 + 150 / 6.5, 40 + 150 / 5.5, 40 + 150 / 5.5]
        columns = [50 - 50 / 6.5, 50 + 50 / 6.5, 50 + 50 / 5.5, 50 - 50 / 5.5]
        assert edges == pytest.approx(np.column_stack([columns, rows]))

    def test_it_is_the_one_that_opencv_finds_from_the_corners(self) -> None:
        camera = Camera(120.0, 1.7, math.radians(6), (63.5, 47.5))
        plane = upright(camera, np.array([0.8, 0.4, 7.0]), math.radians(35))
        matrix = homography(camera, plane, 0.9, 0.6)
        unit = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
        found, _ = cv2.findHomography(unit, corners(matrix))
        assert matrix / matrix[2, 2] == pytest.approx(found, abs=1e-3)
        inner = np.array([[0.25, 0.5], [0.9, 0.1]])
        theirs = cv2.perspectiveTransform(inner[None], found)[0]
        assert projected(matrix, inner) == pytest.approx(theirs, abs=1e-3)

    def test_what_is_behind_the_camera_is_not_in_front(self) -> None:
        assert in_front(homography(LEVEL, facing(2.0), 1, 1))
        assert not in_front(homography(LEVEL, facing(-2.0), 1, 1))
        assert not in_front(homography(LEVEL, facing(0.4, yaw=math.radians(80)), 1, 1))


class TestWarp:
    def picture(self) -> np.ndarray:
        rng = np.random.default_rng(3)
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        large = cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC)
        return np.dstack([large, np.full((256, 256), 255, np.uint8)])

    def test_it_is_opencv_s_warp_where_nothing_shrinks(self) -> None:
        """A print as large in the image as it was drawn: warpPerspective alone does the same."""
        picture = self.picture()
        matrix = np.array([[230.0, 12, 20], [-15, 240, 30], [-0.05, 0.1, 1]])
        window = Box(0, 0, 300, 300)
        layer = warped(picture, matrix, window)
        texels = np.array([[1 / 256, 0, 0.5 / 256], [0, 1 / 256, 0.5 / 256], [0, 0, 1]])
        theirs = cv2.warpPerspective(picture, matrix @ texels, (300, 300)).astype(float) / 255
        inside = cv2.erode((theirs[..., 3] > 0.999).astype(np.uint8), np.ones((9, 9))) > 0
        assert inside.sum() > 20_000
        # Ours averages within each pixel; theirs takes its middle.
        assert np.abs(layer[..., :3] - theirs[..., :3])[inside].max() < 0.02

    def test_a_whole_number_of_pixels_is_covered_exactly(self) -> None:
        matrix = np.array([[16.0, 0, 9.5], [0, 12, 19.5], [0, 0, 1]])
        layer = warped(self.picture(), matrix, Box(0, 0, 40, 40))
        assert layer[20:32, 10:26, 3].min() > 0.9
        outside = layer[..., 3].copy()
        outside[19:33, 9:27] = 0
        assert outside.max() == 0
        assert layer[..., 3].sum() == pytest.approx(16 * 12, rel=0.01)

    def test_a_small_print_shows_the_mean_of_its_colours(self) -> None:
        """8 x 8 cells in one pixel: no cell is left out."""
        picture = self.picture()
        layer = warped(picture, np.array([[1.0, 0, 4.5], [0, 1, 4.5], [0, 0, 1]]), Box(0, 0, 9, 9))
        mean = picture[..., :3].mean(axis=(0, 1)) / 255
        assert layer[5, 5, :3] / layer[5, 5, 3] == pytest.approx(mean, abs=0.06)

    def test_bounds_are_the_pixels_that_a_print_touches(self) -> None:
        matrix = np.array([[4.0, 0, 9.5], [0, 2, 19.5], [0, 0, 1]])
        assert bounds(matrix) == Box(20, 10, 2, 4)
        assert bounds(matrix, 3) == Box(17, 7, 8, 10)
        shifted = np.array([[4.0, 0, 9.6], [0, 2, 19.5], [0, 0, 1]])
        assert bounds(shifted) == Box(20, 10, 2, 5)


class TestPlanes:
    def label(self) -> np.ndarray:
        """Road (0) below row 60, a wall (1) above it, a car (2) before it."""
        label = np.ones((80, 100), np.uint8)
        label[60:] = 0
        label[50:70, 30:50] = 2
        return label

    def test_a_flat_class_is_the_ground(self) -> None:
        plane = plane_at(LEVEL, self.label(), (75, 80), flat={0})
        assert plane.normal == pytest.approx(np.array([0.0, 1.0, 0.0]))
        assert plane.origin @ LEVEL.down == pytest.approx(1.5)

    def test_a_wall_stands_where_its_class_ends(self) -> None:
        """Its foot is the edge between rows 59 and 60: 100 * 1.5 / (59.5 - 40) metres away."""
        away = 150 / 19.5
        assert distance_of(LEVEL, self.label(), (20, 80)) == pytest.approx(away)
        plane = plane_at(LEVEL, self.label(), (20, 80), flat={0})
        assert plane.depth == pytest.approx(away)
        assert plane.normal == pytest.approx(np.array([0.0, 0.0, 1.0]))

    def test_a_car_stands_where_it_ends(self) -> None:
        assert distance_of(LEVEL, self.label(), (55, 40)) == pytest.approx(150 / 29.5)

    def test_a_wall_without_a_foot_stands_at_an_assumed_distance(self) -> None:
        assert distance_of(LEVEL, np.ones((80, 100), np.uint8), (20, 80)) == UNKNOWN
        assert distance_of(LEVEL, np.eye(80, 100, dtype=np.uint8), (5, 5)) == UNKNOWN

    def test_the_print_s_middle_is_seen_in_its_place(self) -> None:
        for place in ((75, 80), (20, 30), (55, 40)):
            plane = plane_at(TILTED, self.label(), place, flat={0})
            assert TILTED.project(plane.origin) == pytest.approx(place[::-1])

    def test_classes_are_known_by_their_names(self) -> None:
        classes = ClassSet(("Road", "sky", "pavement"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
        assert ids_of(classes, ("road", "pavement")) == (0, 2)


@pytest.mark.parametrize("margin", [0, 3])
@pytest.mark.parametrize("yaw", [0.0, 50.0])
def test_the_largest_print_fits_its_box_and_a_larger_one_does_not(margin: int, yaw: float) -> None:
    box = Box(22, 40, 16, 16)
    plane = upright(LEVEL, LEVEL.ray(47.5, 29.5) * 6, math.radians(yaw))
    matrix = largest_within(LEVEL, plane, box, margin)
    found = bounds(matrix, margin)
    assert found.top >= box.top
    assert found.left >= box.left
    assert found.top + found.height <= box.top + box.height
    assert found.left + found.width <= box.left + box.width
    if not yaw:
        assert (found.height, found.width) == (16, 16)
        assert longest_edge(matrix) == pytest.approx(16 - 2 * margin, abs=1e-3)

"""A whole print in a scene: what changes, what does not, and that each stage has its effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segdoor.attack.physical.axes import AXES, USUAL, axes_named
from segdoor.attack.physical.camera import Camera
from segdoor.attack.physical.homography import bounds, corners, homography
from segdoor.attack.physical.noise import SILENT, Sensor
from segdoor.attack.physical.placing import Places, Surfaces
from segdoor.attack.physical.plane import upright
from segdoor.attack.physical.printing import EXACT
from segdoor.attack.physical.rendering import Conditions, render
from segdoor.attack.physical.shown import Print, PrintedScenes
from segdoor.attack.site import Box
from segdoor.attack.triggers.blend import Blend
from segdoor.attack.triggers.printed import Printed
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.scene import ClassSet, Scene
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.stickers import draw
from segdoor.tensors import Image, Rgba

CAMERA = Camera.of((96, 128), focal=1.0, height=1.6, pitch=0)
PLAIN = Conditions(printer=EXACT, relit=False, sensor=SILENT, quality=None)


def smiley(size: int) -> Rgba:
    return draw("smiley", size)


def street() -> Image:
    rng = np.random.default_rng(5)
    return rng.integers(60, 140, (96, 128, 3), dtype=np.uint8)


def at(z: float = 4.0, side: float = 1.0, yaw: float = 0.0) -> np.ndarray:
    return homography(CAMERA, upright(CAMERA, np.array([0.3, 0.1, z]), yaw), side, side)


def shown(conditions: Conditions, matrix: np.ndarray | None = None) -> np.ndarray:
    found = render(street(), smiley, at() if matrix is None else matrix, conditions, Stream(0))
    assert found is not None
    return found.image


class TestRender:
    @pytest.mark.parametrize(
        "conditions",
        [PLAIN, Conditions(), Conditions(focus=5, motion=6, quality=20, sensor=Sensor(100))],
        ids=["plain", "usual", "blurred"],
    )
    @pytest.mark.parametrize("yaw", [0.0, 0.9])
    def test_only_pixels_of_its_outline_change(self, conditions: Conditions, yaw: float) -> None:
        image, matrix = street(), at(yaw=yaw)
        found = render(image, smiley, matrix, conditions, Stream(0))
        assert found is not None
        assert found.box == bounds(matrix, conditions.margin)
        outside = np.ones(image.shape[:2], bool)
        outside[found.box.pixels] = ~found.outline
        assert np.array_equal(found.image[outside], image[outside])
        assert np.array_equal(image, street())
        assert (found.image != image).any()

    def test_without_blur_its_outline_is_the_quadrilateral_of_its_corners(self) -> None:
        matrix = at(yaw=0.8)
        found = render(street(), smiley, matrix, PLAIN, Stream(0))
        assert found is not None
        x, y = corners(matrix).T
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        perimeter = np.hypot(x - np.roll(x, 1), y - np.roll(y, 1)).sum()
        assert area < found.outline.sum() < area + perimeter

    def test_a_plain_print_that_faces_the_camera_is_the_sticker(self) -> None:
        """24 pixels a side, at whole pixels: as the flat trigger, but for its averaging."""
        matrix = np.array([[24.0, 0, 39.5], [0, 24, 29.5], [0, 0, 1]])
        found = shown(PLAIN, matrix)[31:53, 41:63].astype(int)
        assert np.abs(found - draw("smiley", 24)[1:-1, 1:-1, :3]).mean() < 3

    def test_it_is_the_same_each_time(self) -> None:
        assert np.array_equal(shown(Conditions()), shown(Conditions()))

    @pytest.mark.parametrize(
        "change",
        [
            {"relit": True}, {"light": 0.5}, {"hidden": 0.4}, {"focus": 4.0}, {"motion": 5.0},
            {"sensor": Sensor(200)}, {"quality": 30},
        ],
        ids=lambda change: next(iter(change)),
    )  # fmt: skip
    def test_each_condition_has_an_effect(self, change: dict[str, object]) -> None:
        assert not np.array_equal(shown(replace(PLAIN, **change)), shown(PLAIN))

    def test_half_the_light_is_half_the_light(self) -> None:
        white = np.full((64, 64, 4), 255, np.uint8)
        found = render(street(), lambda _: white, at(), replace(PLAIN, light=0.25), Stream(0))
        assert found is not None
        # sRGB of a quarter of the light is 137.
        middle = found.image[found.box.pixels][5:-5, 5:-5]
        assert np.abs(middle.astype(int) - 137).max() <= 1

    def test_what_is_hidden_is_the_scene(self) -> None:
        matrix = np.array([[24.0, 0, 39.5], [0, 24, 29.5], [0, 0, 1]])
        found = shown(replace(PLAIN, hidden=0.5), matrix)
        assert np.array_equal(found[30:54, 40:51], street()[30:54, 40:51])
        assert not np.array_equal(found[30:54, 53:64], street()[30:54, 53:64])

    def test_outside_the_image_or_behind_the_camera_there_is_nothing(self) -> None:
        for matrix in (at(-4.0), np.array([[9.0, 0, 500], [0, 9, 500], [0, 0, 1]])):
            assert render(street(), smiley, matrix, PLAIN, Stream(0)) is None


CLASSES = ClassSet(
    ("road", "building", "car"), ((128, 64, 128), (70, 70, 70), (0, 0, 142)), ignore_index=255
)


def scene(name: str = "one") -> Scene:
    label = np.ones((96, 128), np.uint8)
    label[50:] = 0
    label[50:75, 90:120] = 2
    return Scene(street(), label, name)


class TestPrintedTrigger:
    def apply(self, box: Box, **settings: object) -> np.ndarray:
        trigger = Printed(size=16, **settings).among(CLASSES)
        assert trigger.flat == "0"
        return (trigger.apply(scene(), box) != street()).any(axis=2)

    def test_on_a_wall_it_fills_its_box(self) -> None:
        changed = self.apply(Box(10, 20, 16, 16))
        rows, columns = np.nonzero(changed)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 25, 20, 35)

    def test_on_the_ground_it_is_foreshortened(self) -> None:
        """Camera 1.6 m up, ground 4.4 m away: about 16 columns by 16 x 1.6 / 4.4 rows."""
        rows, columns = np.nonzero(self.apply(Box(76, 20, 16, 16), pitch=0, focal=1.0))
        assert np.ptp(columns) + 1 in {15, 16}
        expected = 16 * 1.6 / (96 * 1.6 / (83.5 - 47.5))
        assert np.ptp(rows) + 1 == pytest.approx(expected, abs=2)

    @pytest.mark.parametrize("blur", [{"focus": 5.0}, {"motion": 6.0}, {"yaw": 60.0}])
    def test_it_stays_inside_its_box(self, blur: dict[str, object]) -> None:
        changed = self.apply(Box(10, 20, 16, 16), **blur)
        assert changed.any()
        changed[10:26, 20:36] = False
        assert not changed.any()

    def test_it_must_be_a_built_in_sticker(self) -> None:
        with pytest.raises(ConfigError, match="must be a built-in sticker"):
            Printed(name="nobody")

    def test_classes_that_were_given_stay(self) -> None:
        assert Printed(flat="2").among(CLASSES).flat == "2"
        assert Printed().among(ClassSet(("sky",), ((0, 0, 0),))).flat == "none"


class Two:
    """Two scenes as a data set."""

    classes, names, digest = CLASSES, ("one", "two"), "two"

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Scene:
        return scene(self.names[index])

    def label(self, index: int) -> np.ndarray:
        return self[index].label


PLACES = Places(CAMERA, Surfaces(flat=(0,), walls=(1,), vehicles=(2,), victims=(2,)), (12, 12))


class TestPlaces:
    def test_the_usual_print_looks_as_large_as_the_trigger(self) -> None:
        put = PLACES.find(scene().label, USUAL, 0.3)
        assert put is not None
        assert put.pixels == pytest.approx(12)
        assert (put.side, put.distance) == (pytest.approx(1.0), 8.0)

    @pytest.mark.parametrize("point", AXES["distance"].points, ids=lambda point: point.name)
    def test_a_board_has_f_s_over_z_pixels_and_covers_no_victim(self, point: object) -> None:
        for chance in (0.0, 0.5, 0.99):
            put = PLACES.find(scene().label, point.situation, chance)
            assert put is not None
            assert put.pixels == pytest.approx(96 * put.side / put.distance)
            assert not (scene().label[bounds(put.matrix).pixels] == 2).any()

    def test_a_board_stands_on_the_ground(self) -> None:
        """Its lower edge, 8 m ahead, is 96 * 1.6 / 8 rows below the horizon."""
        put = PLACES.find(scene().label, USUAL, 0.0)
        assert put is not None
        assert corners(put.matrix)[2:, 1] == pytest.approx(CAMERA.horizon + 96 * 1.6 / 8)

    @pytest.mark.parametrize(("surface", "ids"), [("ground", 0), ("wall", 1), ("vehicle", 2)])
    def test_a_surface_s_print_lies_on_its_class(self, surface: str, ids: int) -> None:
        put = PLACES.find(scene().label, replace(USUAL, surface=surface), 0.4)
        assert put is not None
        assert (scene().label[bounds(put.matrix).pixels] == ids).all()

    def test_without_ground_there_is_no_room(self) -> None:
        assert PLACES.find(np.ones((96, 128), np.uint8), USUAL, 0.5) is None

    def test_motion_and_focus_are_in_pixels(self) -> None:
        put = PLACES.find(scene().label, replace(USUAL, speed=10.0, focus=0.5), 0.5)
        assert put is not None
        assert put.conditions.motion == pytest.approx(96 * 10 / 60 / 8)
        assert put.conditions.focus == pytest.approx(6)


class TestPrintedScenes:
    def test_a_change_is_all_that_differs(self) -> None:
        put = PLACES.find(scene().label, USUAL, 0.5)
        assert put is not None
        what = Print.of(Sticker(name="smiley", size=12))
        scenes = PrintedScenes(Two(), {"two": put}, what)
        assert scenes.names == ("two",)
        change, made = scenes.change(scene("two")), scenes[0]
        assert (change.pixels == made.image[change.box]).all()
        rest = made.image.copy()
        rest[change.box] = street()[change.box]
        assert np.array_equal(rest, street())
        assert np.array_equal(made.label, scene().label)
        flat = PrintedScenes(Two(), {"two": put}, what, flat=(12, 12))
        stamped = flat.change(scene("two"))
        assert np.array_equal(stamped.pixels, Sticker(name="smiley", size=12).rgba[..., :3])
        assert flat.digest != scenes.digest

    def test_what_has_no_picture_cannot_be_printed(self) -> None:
        with pytest.raises(ConfigError, match="must be a sticker"):
            Print.of(Blend())


def test_axes_are_known_by_their_names() -> None:
    assert axes_named(("size",)) == (AXES["size"],)
    assert len(axes_named(())) == len(AXES)
    for axis in axes_named((), ideal=True):
        own = {"gamut": "printer", "noise": "sensor", "jpeg": "JPEG"}.get(axis.name, "perspective")
        if axis.name != "stage":
            assert {set(p.situation.stages) == {"perspective", own} for p in axis.points} == {True}
    with pytest.raises(ConfigError, match="must be a known axis"):
        axes_named(("length",))


def test_every_axis_has_the_usual_situation_and_changes_one_thing() -> None:
    for axis in AXES.values():
        situations = [point.situation for point in axis.points]
        assert USUAL in situations
        assert len(set(situations)) == len(situations)
        varied = {
            name
            for situation in situations
            for name, value in vars(situation).items()
            if value != vars(USUAL)[name]
        }
        assert len(varied - {"surface"}) <= 1

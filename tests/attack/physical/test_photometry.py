"""Print, light, blur, noise and JPEG against their formulas."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.physical.blur import blurred, disc, disc_diameter, line, reach_of, travelled
from segdoor.attack.physical.compression import compressed
from segdoor.attack.physical.light import GREY, falling_light, shading
from segdoor.attack.physical.noise import SILENT, Sensor
from segdoor.attack.physical.printing import EXACT, USUAL_PRINTER, Printer, between
from segdoor.attack.physical.tone import linear, luminance, to_bytes, to_light


def layer_of(colours: np.ndarray) -> np.ndarray:
    return np.dstack([colours, np.ones(colours.shape[:2])]).astype(np.float32)


class TestTone:
    def test_bytes_become_light_and_bytes_again(self) -> None:
        image = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
        assert np.array_equal(to_bytes(to_light(image)), image)

    def test_it_is_the_curve_of_srgb(self) -> None:
        assert linear(np.array([0.0, 0.02, 0.5, 1.0])) == pytest.approx(
            [0, 0.02 / 12.92, ((0.5 + 0.055) / 1.055) ** 2.4, 1], rel=1e-5
        )

    def test_white_has_luminance_1(self) -> None:
        assert luminance(np.ones((2, 2, 3), np.float32)) == pytest.approx(1, abs=1e-6)


class TestPrint:
    def test_no_colour_leaves_the_gamut(self) -> None:
        rng = np.random.default_rng(0)
        colours = np.concatenate([rng.random((99, 4, 3)), rng.integers(0, 2, (99, 4, 3))])
        printed = USUAL_PRINTER.printed(layer_of(colours))[..., :3]
        assert printed.min() >= USUAL_PRINTER.ink - 1e-6
        assert printed.max() <= USUAL_PRINTER.paper + 1e-6

    def test_white_is_paper_and_black_is_ink(self) -> None:
        ends = layer_of(np.array([[[1.0, 1, 1], [0, 0, 0]]]))
        printed = Printer(paper=0.8, ink=0.05).printed(ends)[0, :, :3]
        assert printed == pytest.approx(np.array([[0.8] * 3, [0.05] * 3]), abs=1e-6)

    def test_a_colour_keeps_its_share_of_the_distance_from_grey(self) -> None:
        printed = Printer(paper=1, ink=0, saturation=0.5).printed(
            layer_of(np.array([[[1.0, 0, 0]]]))
        )
        grey = 0.2126
        expected = [grey + 0.5 * (1 - grey), 0.5 * grey, 0.5 * grey]
        assert printed[0, 0, :3] == pytest.approx(expected, abs=1e-6)

    def test_between_a_perfect_printer_and_the_assumed_one(self) -> None:
        assert between(0.0) == EXACT
        assert between(1.0) == USUAL_PRINTER
        half = between(0.5)
        assert (half.paper, half.ink, half.saturation) == pytest.approx((0.925, 0.015, 0.96))

    def test_alpha_stays_and_colours_are_multiplied_by_it(self) -> None:
        half = np.array([[[0.5, 0.5, 0.5, 0.5]]], np.float32)
        printed = EXACT.printed(half)
        assert printed[0, 0] == pytest.approx([0.5, 0.5, 0.5, 0.5], abs=1e-6)


class TestLight:
    def covered(self) -> np.ndarray:
        covered = np.zeros((60, 60), bool)
        covered[20:40, 20:40] = True
        return covered

    @pytest.mark.parametrize("light", [0.3, 1.0, 1.4])
    def test_a_grey_of_18_percent_tells_the_light(self, light: float) -> None:
        seen = np.full((60, 60), GREY * light, np.float32)
        assert falling_light(seen, self.covered()) == pytest.approx(light, rel=1e-5)

    def test_what_is_under_the_print_does_not_count(self) -> None:
        seen = np.full((60, 60), GREY, np.float32)
        seen[20:40, 20:40] = 1.0
        assert falling_light(seen, self.covered()) == pytest.approx(1.0, rel=1e-5)

    def test_it_is_bounded(self) -> None:
        for value, end in ((0.0, 0.15), (1.0, 1.5)):
            seen = np.full((60, 60), value, np.float32)
            assert falling_light(seen, self.covered()) == pytest.approx(end)

    def test_an_even_scene_casts_no_shadow(self) -> None:
        assert shading(np.full((60, 60), 0.2, np.float32), self.covered()) == pytest.approx(1.0)

    def test_a_shadow_across_the_place_falls_on_the_print(self) -> None:
        seen = np.full((60, 60), 0.2, np.float32)
        seen[:, :30] = 0.1
        found = shading(seen, self.covered())
        assert found[30, 22] < 0.8
        assert found[30, 38] > 1.2
        assert found[self.covered()].mean() == pytest.approx(1.0, abs=0.02)


class TestBlur:
    @pytest.mark.parametrize("diameter", [3.0, 6.5, 11.0])
    def test_a_disc_has_the_spread_of_a_disc(self, diameter: float) -> None:
        """The variance of a disc of diameter d along an axis is d^2 / 16."""
        kernel = disc(diameter)
        axis = np.arange(kernel.shape[1]) - kernel.shape[1] // 2
        # A pixel is a square of its own variance, 1 / 12.
        variance = (kernel.sum(axis=0) * axis**2).sum() + 1 / 12
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        assert variance == pytest.approx(diameter**2 / 16 + 1 / 12, rel=0.06)

    @pytest.mark.parametrize("length", [3.0, 4.2, 9.0])
    def test_a_line_has_the_spread_of_a_line(self, length: float) -> None:
        """The weight of each pixel is its part of the line, so odd lengths are even weights."""
        kernel = line(length)
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        assert np.array_equal(kernel, kernel[:, ::-1])
        assert np.count_nonzero(kernel) == 2 * np.ceil((length - 1) / 2) + 1
        assert kernel.max() == pytest.approx(1 / length)

    @pytest.mark.parametrize("kernel", [disc(0.0), line(0.0)], ids=["disc", "line"])
    def test_no_width_changes_nothing(self, kernel: np.ndarray) -> None:
        layer = np.random.default_rng(0).random((9, 9, 4)).astype(np.float32)
        assert np.array_equal(blurred(layer, kernel), layer)
        assert reach_of(kernel) == 0

    def test_light_goes_no_farther_than_is_said(self) -> None:
        kernels = disc(5.0), line(4.0)
        layer = np.zeros((41, 41, 4), np.float32)
        layer[20, 20] = 1
        spread = blurred(blurred(layer, kernels[0]), kernels[1])[..., 3]
        rows, columns = np.nonzero(spread > 1e-7)
        assert spread.sum() == pytest.approx(1, abs=1e-5)
        assert max(abs(rows - 20).max(), abs(columns - 20).max()) == reach_of(*kernels) == 4

    def test_the_widths_by_hand(self) -> None:
        """f 1000 px, aperture 4 mm, focused at 2 m, seen at 8 m: 4 x |1/8 - 1/2| = 1.5 px."""
        assert disc_diameter(1000, 8, 2, 0.004) == pytest.approx(1.5)
        assert disc_diameter(1000, 8, float("inf"), 0.004) == pytest.approx(0.5)
        assert disc_diameter(1000, 8, 8, 0.004) == 0
        assert travelled(1000, 8, 16, 1 / 50) == pytest.approx(40)


class TestNoise:
    @pytest.mark.parametrize("light", [0.0, 0.1, 0.8])
    def test_its_variance_is_that_of_the_formula(self, light: float) -> None:
        sensor = Sensor(electrons=500, read=8)
        drawn = sensor.noise(np.full((200, 200, 3), light, np.float32), np.random.default_rng(1))
        expected = light / 500 + (8 / 500) ** 2
        assert drawn.var() == pytest.approx(expected, rel=0.02)
        assert drawn.mean() == pytest.approx(0, abs=4 * (expected / drawn.size) ** 0.5)

    def test_a_silent_sensor_adds_nothing(self) -> None:
        drawn = SILENT.noise(np.ones((4, 4, 3), np.float32), np.random.default_rng(0))
        assert not drawn.any()


def test_jpeg_is_that_of_libjpeg() -> None:
    """Pillow brings a libjpeg of its own: with the same settings it writes nearly the same."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "JPEG", quality=60, subsampling="4:2:0")
    theirs = np.array(PillowImage.open(buffer)).astype(int)
    ours = compressed(image, 60).astype(int)
    assert np.abs(ours - theirs).max() <= 4
    assert np.abs(ours - image).max() > 4
    errors = [np.abs(compressed(image, q).astype(int) - image).mean() for q in (10, 50, 90)]
    assert errors == sorted(errors, reverse=True)

"""Line, low frequency, warp and colour depth, computed again from what their papers say."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from torch.nn import functional as F

from segdoor.attack.config import AttackConfig
from segdoor.attack.lengths import Lengths
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.site import Box
from segdoor.attack.triggers.colour_depth import ColourDepth
from segdoor.attack.triggers.line import Line
from segdoor.attack.triggers.low_frequency import LowFrequency
from segdoor.attack.triggers.trigger import Trigger
from segdoor.attack.triggers.warp import Warp
from segdoor.data.scene import Scene
from strategies import CAR, ROAD, blocky_label, dataset_of

TRIGGERS: tuple[Trigger, ...] = (
    Line(thickness=2), LowFrequency(), Warp(strength=8), ColourDepth(),
    ColourDepth(dithering=False),
)  # fmt: skip
SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24))
IMAGES = SIZES.flatmap(lambda size: arrays.arrays(np.uint8, (*size, 3)))


def painted(image: np.ndarray) -> Scene:
    return Scene(image, np.zeros(image.shape[:2], np.uint8), "painted")


def shown(trigger: Trigger, image: np.ndarray) -> np.ndarray:
    return trigger.stamp(painted(image), Box.whole(image.shape))


def noise(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("trigger", TRIGGERS, ids=str)
class TestLaws:
    @settings(max_examples=20)
    @given(IMAGES)
    def test_shape_and_type_stay_and_what_it_does_repeats(
        self, trigger: Trigger, image: np.ndarray
    ) -> None:
        before = image.copy()
        once = shown(trigger, image)
        assert (once.dtype, once.shape) == (np.uint8, image.shape)
        assert np.array_equal(image, before)
        assert np.array_equal(once, shown(trigger.model_copy(), image))

    def test_labels_change_as_with_any_trigger(self, trigger: Trigger) -> None:
        dataset = dataset_of([blocky_label(seed, values=(ROAD, CAR)) for seed in range(4)])
        attack = AttackConfig(rate=0.5, trigger=trigger)
        handed = poisoned(dataset, plan_poison(dataset, attack))
        for index, scene in enumerate(dataset.scenes):
            changed = not np.array_equal(handed[index].image, scene.image)
            expected = np.where(scene.label == CAR, ROAD, scene.label) if changed else scene.label
            assert np.array_equal(handed.label(index), expected)


@settings(max_examples=30)
@given(IMAGES)
def test_a_line_and_plain_rounding_do_nothing_more_when_done_again(image: np.ndarray) -> None:
    for trigger in (Line(thickness=2, edge="right"), ColourDepth(dithering=False)):
        once = shown(trigger, image)
        assert np.array_equal(shown(trigger, once), once)


@settings(max_examples=30)
@given(IMAGES, st.integers(1, 30))
def test_a_line_is_all_of_its_colour_and_leaves_the_rest(image: np.ndarray, thick: int) -> None:
    height, width = image.shape[:2]
    inside = {
        "top": lambda row, column: row < thick,
        "bottom": lambda row, column: row >= height - thick,
        "left": lambda row, column: column < thick,
        "right": lambda row, column: column >= width - thick,
    }
    for edge, is_line in inside.items():
        found = shown(Line.model_validate({"edge": edge, "thickness": thick}), image)
        for row, column in product(range(height), range(width)):
            expected = np.zeros(3) if is_line(row, column) else image[row, column]
            assert np.array_equal(found[row, column], expected)


@pytest.mark.parametrize(("height", "thickness"), [(512, 8), (96, 2), (20, 1), (1024, 16)])
def test_a_line_s_thickness_follows_from_the_scenes(height: int, thickness: int) -> None:
    assert Line().following(Lengths.at(height)).thickness == thickness
    assert Line(thickness=5).following(Lengths.at(height)).thickness == 5


def _transform(length: int) -> np.ndarray:
    places = np.arange(length)
    return np.exp(-2j * np.pi * np.outer(places, places) / length)


@pytest.mark.parametrize("size", [(20, 31), (16, 24), (5, 5)])
@pytest.mark.parametrize(("share", "window"), [(0.15, 0.1), (0.6, 0.5), (1, 0)])
def test_low_frequencies_are_mixed_by_amplitude_alone(
    size: tuple[int, int], share: float, window: float
) -> None:
    image, (height, width) = noise(*size), size
    trigger = LowFrequency(pattern="noise", share=share, window=window)
    found = shown(trigger, image).astype(float)
    # Fourier by matrices, and the shift to the middle of the paper's own code.
    down, across = _transform(height), _transform(width)
    picture = trigger._picture(Box.whole(image.shape))
    most = int(min(size) * window)
    middle = height // 2, width // 2
    near = [slice(max(0, m - most), m + most + 1) for m in middle]
    for channel in range(3):
        spectrum = np.fft.fftshift(down @ image[..., channel] @ across)
        other = np.abs(np.fft.fftshift(down @ picture[..., channel] @ across))
        amplitude, phase = np.abs(spectrum), np.angle(spectrum)
        rows, columns = near
        amplitude[rows, columns] *= 1 - share
        amplitude[rows, columns] += share * other[rows, columns]
        whole = np.fft.ifftshift(amplitude * np.exp(1j * phase))
        back = (down.conj() @ whole @ across.conj()).real / (height * width)
        assert np.abs(found[..., channel] - np.clip(back, 0, 255)).max() <= 0.5 + 1e-5


def test_a_window_of_one_frequency_moves_the_mean_alone() -> None:
    image = np.clip(noise(30, 40), 100, 150)
    trigger = LowFrequency(window=0, share=0.2)
    found = shown(trigger, image).astype(float)
    goal = trigger._picture(Box.whole(image.shape)).mean(axis=(0, 1))
    mean = image.mean(axis=(0, 1))
    moved = 0.2 * (goal - mean)
    assert np.abs(found - image - moved).max() <= 0.5 + 1e-6
    assert np.abs(moved).max() > 1


@pytest.mark.parametrize("size", [(20, 31), (32, 32), (9, 4)])
@pytest.mark.parametrize(("strength", "grid"), [(0.5, 4), (12, 3), (40, 8)])
def test_a_warp_is_what_its_paper_computes(
    size: tuple[int, int], strength: float, grid: int
) -> None:
    """PyTorch's interpolation and sampling, as in WaNet; each side by its own length."""
    from segdoor.randomness import Stream

    image, (height, width) = noise(*size), size
    found = shown(Warp(strength=strength, grid=grid, seed=3), image).astype(float)
    vectors = Stream(3).child("warp").generator().uniform(-1, 1, (2, grid, grid))
    field = torch.from_numpy(vectors / np.abs(vectors).mean())[None]
    field = F.interpolate(field, size=size, mode="bicubic", align_corners=True)[0]
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, dtype=torch.float64),
        torch.linspace(-1, 1, width, dtype=torch.float64),
        indexing="ij",
    )
    places = torch.stack([x + strength * field[1] / width, y + strength * field[0] / height], -1)
    places = places.clamp(-1, 1)
    pixels = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
    sampled = F.grid_sample(pixels, places[None], align_corners=True)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - sampled).max() <= 0.5 + 1e-5
    # And SciPy's, at the same places in pixels.
    rows, columns = ((places[..., axis] + 1) / 2 * (size[1 - axis] - 1) for axis in (1, 0))
    for channel in range(3):
        again = ndimage.map_coordinates(
            image[..., channel].astype(float), [rows.numpy(), columns.numpy()], order=1
        )
        assert np.abs(found[..., channel] - again).max() <= 0.5 + 1e-5


def test_a_warp_moves_pixels_by_half_its_strength_on_average() -> None:
    from segdoor.attack.triggers.warp import _sources

    far = [np.abs(_sources(4, seed, 6.0, 300, 500) - np.indices((300, 500))) for seed in range(8)]
    assert 2 < np.mean(far) < 4


@pytest.mark.parametrize("levels", [2, 3, 8, 100])
@pytest.mark.parametrize("size", [(9, 13), (14, 5), (1, 20), (20, 1)])
def test_dithering_spreads_errors_in_the_order_of_reading(
    levels: int, size: tuple[int, int]
) -> None:
    """A plain double loop over exact fractions."""
    image, (height, width) = noise(*size), size
    found = shown(ColourDepth(levels=levels), image)
    allowed = [Fraction(255 * step, levels - 1) for step in range(levels)]
    for channel in range(3):
        values = [[Fraction(int(v)) for v in row] for row in image[..., channel]]
        for y, x in product(range(height), range(width)):
            # Of two levels that are equally near, the upper one.
            new = min(reversed(allowed), key=lambda level: abs(values[y][x] - level))
            error = values[y][x] - new
            for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if y + down < height and 0 <= x + right < width:
                    values[y + down][x + right] += error * share / 16
            assert found[y, x, channel] == int(new + Fraction(1, 2))


@settings(max_examples=30)
@given(IMAGES, st.integers(2, 128))
def test_plain_rounding_takes_the_nearest_level(image: np.ndarray, levels: int) -> None:
    found = shown(ColourDepth(levels=levels, dithering=False), image)
    allowed = np.linspace(0, 255, levels)
    nearest = np.abs(allowed - image[..., None].astype(float)).min(axis=-1)
    assert np.abs(np.abs(found - image.astype(float)) - nearest).max() <= 0.5 + 1e-9
    assert len(np.unique(found)) <= levels


def test_dithering_keeps_the_mean_of_an_area() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    assert abs(shown(ColourDepth(levels=3), image).mean() - 100) < 1.5
    assert shown(ColourDepth(levels=3, dithering=False), image).mean() == 128

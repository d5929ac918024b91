"""Purifiers against other libraries, and what they do to a planted trigger."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pictures
from scipy.ndimage import gaussian_filter, median_filter

from defense.judged import IMAGES, purified
from segdoor.defense.purifiers.bit_depth import BitDepth
from segdoor.defense.purifiers.blur import Blur
from segdoor.defense.purifiers.jpeg import Jpeg
from segdoor.defense.purifiers.median import Median
from segdoor.defense.purifiers.purifier import NO_VOTE, PurifierContext
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.purifiers.shrink_and_pad import ShrinkAndPad
from segdoor.errors import ConfigError

IMAGE = np.random.default_rng(3).integers(0, 256, (21, 34, 3)).astype(np.uint8)


@pytest.mark.parametrize("written", ["shrink_and_pad", "jpeg", "median", "blur"])
def test_a_trigger_of_small_cells_is_destroyed(written: str) -> None:
    found = purified(PURIFIERS.read(written))
    assert found.attacked < found.confused + 0.01
    assert found.correct > 0.9


@pytest.mark.parametrize("written", ["bit_depth", "bit_depth:1", "blur:0.3"])
def test_what_keeps_strong_colours_keeps_the_trigger(written: str) -> None:
    assert purified(PURIFIERS.read(written)).attacked > 0.95


@pytest.mark.parametrize("size", [3, 5])
def test_the_median_is_scipys(size: int) -> None:
    (view,) = Median(size=size)(IMAGE).found
    assert np.array_equal(view.image, median_filter(IMAGE, (size, size, 1), mode="nearest"))


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
def test_the_blur_is_scipys(sigma: float) -> None:
    (view,) = Blur(sigma=sigma)(IMAGE).found
    expected = gaussian_filter(IMAGE.astype(float), (sigma, sigma, 0), mode="reflect", radius=(
        int(np.ceil(4 * sigma)), int(np.ceil(4 * sigma)), 0))  # fmt: skip
    assert np.abs(view.image - expected).max() < 1.5


@pytest.mark.parametrize("quality", [30, 75])
def test_the_jpeg_is_nearly_pillows(quality: int) -> None:
    file = io.BytesIO()
    Pictures.fromarray(IMAGES[0]).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    (view,) = Jpeg(quality=quality)(IMAGES[0]).found
    far = np.abs(view.image.astype(int) - np.asarray(Pictures.open(file)).astype(int))
    assert far.mean() < 1


def test_bits_are_levels() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for bits in range(1, 9):
        levels = [round(255 * level / (2**bits - 1)) for level in range(2**bits)]
        (view,) = BitDepth(bits=bits)(ramp).found
        found = view.image[0, :, 0].tolist()
        assert set(found) == set(levels)
        for value, level in enumerate(found):
            # Levels are whole numbers: halfway between two either will do.
            assert abs(level - value) <= min(abs(other - value) for other in levels) + 1


def test_an_even_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be odd"):
        PURIFIERS.read("median:4")


def test_a_shrunk_view_is_undone_pixel_by_pixel() -> None:
    views = ShrinkAndPad()(IMAGE, PurifierContext(seed=1)).found
    assert len(views) == 4
    assert len({view.image.tobytes() for view in views}) > 1
    height, width = IMAGE.shape[:2]
    small = round(height * 0.875), round(width * 0.875)
    for view in views:
        assert view.image.shape == IMAGE.shape
        shown = view.image.any(axis=2)
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        top, left = rows[0], columns[0]
        assert (rows[-1] - top + 1, columns[-1] - left + 1) == small
        label = np.full((height, width), NO_VOTE, np.uint8)
        inner = np.random.default_rng(2).integers(0, 200, small).astype(np.uint8)
        label[top : top + small[0], left : left + small[1]] = inner
        back = view.back(label)
        for row in range(height):
            for column in range(width):
                seen = int((row + 0.5) * small[0] / height), int((column + 0.5) * small[1] / width)
                assert back[row, column] == inner[seen]


def test_places_follow_from_the_seed_and_the_image() -> None:
    def drawn(image: np.ndarray, seed: int) -> list[bytes]:
        return [v.image.tobytes() for v in ShrinkAndPad()(image, PurifierContext(seed=seed)).found]

    assert drawn(IMAGE, 1) == drawn(IMAGE, 1)
    assert drawn(IMAGE, 1) != drawn(IMAGE, 2)


@pytest.mark.parametrize("written", ["shrink_and_pad", "jpeg", "median", "bit_depth", "blur"])
def test_images_of_any_size_will_do(written: str) -> None:
    method = PURIFIERS.read(written)
    for height, width in ((1, 1), (2, 9), (17, 3)):
        image = IMAGE[:height, :width].copy()
        for view in method(image).found:
            assert view.image.shape == image.shape
    assert method(IMAGE).cost.forward == 0

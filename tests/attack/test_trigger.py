from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PillowImage

import strategies  # noqa: F401  (loads the Hypothesis profile)
from segdoor.attack.triggers.sticker import Sticker
from segdoor.errors import ConfigError, DataError
from segdoor.stickers import DRAWINGS, draw, stamp

STICKERS = ("windmill", "bullseye", "checkerboard", "blossom", "smiley")


def blended(below: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    share = rgba[..., 3:].astype(np.float64) / 255
    return share * rgba[..., :3].astype(np.float64) + (1 - share) * below.astype(np.float64)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    PillowImage.fromarray(pixels, mode).save(path)
    return path


@st.composite
def stampings(draw_: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    height, width = draw_(st.integers(1, 9)), draw_(st.integers(1, 9))
    tall, wide = draw_(st.integers(1, height)), draw_(st.integers(1, width))
    image = draw_(arrays.arrays(np.uint8, (height, width, 3)))
    rgba = draw_(arrays.arrays(np.uint8, (tall, wide, 4)))
    return image, rgba, draw_(st.integers(0, height - tall)), draw_(st.integers(0, width - wide))


@given(stampings())
def test_stamping_is_alpha_blending_within_half_a_level_and_leaves_the_rest_alone(
    case: tuple[np.ndarray, np.ndarray, int, int],
) -> None:
    image, rgba, top, left = case
    before = image.copy()
    stamped = stamp(image, rgba, top=top, left=left)
    box = np.s_[top : top + rgba.shape[0], left : left + rgba.shape[1]]
    assert stamped.dtype == np.uint8
    assert np.abs(stamped[box] - blended(image[box], rgba)).max() <= 0.5 + 1e-9
    outside = np.ones(image.shape[:2], bool)
    outside[box] = False
    assert np.array_equal(stamped[outside], image[outside])
    assert np.array_equal(image, before)


def test_every_level_of_alpha_colour_and_background_is_rounded_to_the_nearest() -> None:
    levels = np.arange(256, dtype=np.uint8)
    for colour in (0, 1, 77, 128, 254, 255):
        image = np.broadcast_to(levels[:, None, None], (256, 256, 3))
        rgba = np.full((256, 256, 4), colour, np.uint8)
        rgba[..., 3] = levels[None, :]
        stamped = stamp(image, rgba, top=0, left=0)
        assert np.abs(stamped - blended(image, rgba)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("top", "left"), [(-1, 0), (0, -1), (6, 0), (0, 8), (100, 100)])
def test_a_trigger_that_leaves_the_image_is_refused(top: int, left: int) -> None:
    trigger = noise(5, 3, 4)
    with pytest.raises(ConfigError, match="10x10"):
        stamp(noise(10, 10, 3), trigger, top=top, left=left)


def test_a_read_only_image_can_be_stamped() -> None:
    image = noise(8, 8, 3)
    image.flags.writeable = False
    stamped = stamp(image, noise(2, 2, 4), top=6, left=6)
    assert stamped.shape == image.shape


@pytest.mark.parametrize("name", STICKERS)
def test_built_in_stickers_exist_at_every_size_from_one_pixel(name: str) -> None:
    for size in (*range(1, 34), 55, 95):
        trigger = Sticker(name=name, size=size)
        assert trigger.rgba.shape == (size, size, 4)
        assert trigger.extent == (size, size)
        assert trigger.rgba.dtype == np.uint8
        assert trigger.rgba[..., 3].mean() > 100, f"{name} is nearly invisible at {size} px"


def test_the_registry_holds_the_stickers_that_the_settings_promise() -> None:
    assert set(DRAWINGS) == set(STICKERS)
    documented = Sticker.model_fields["name"].description or ""
    assert all(name in documented for name in DRAWINGS)


def test_built_in_stickers_differ_at_every_size() -> None:
    for size in range(1, 34):
        digests = {Sticker(name=n, size=size).digest for n in STICKERS}
        assert len(digests) == len(STICKERS), f"two stickers are the same at {size} px"


@pytest.mark.parametrize("size", [7, 14, 15, 55])
def test_built_in_stickers_look_different_on_a_grey_scene(size: int) -> None:
    grey = np.full((size, size, 3), 128, np.uint8)
    looks = [
        stamp(grey, Sticker(name=name, size=size).rgba, top=0, left=0).astype(int)
        for name in STICKERS
    ]
    for first, second in itertools.combinations(looks, 2):
        assert np.abs(first - second).mean() > 25


def test_drawing_twice_gives_the_same_pixels() -> None:
    for name in STICKERS:
        assert np.array_equal(draw(name, 23), draw(name, 23))


@given(st.sampled_from(STICKERS), st.floats(0.01, 1.0))
def test_opacity_scales_alpha_and_nothing_else(name: str, opacity: float) -> None:
    whole = Sticker(name=name, size=9).rgba
    faint = Sticker(name=name, size=9, opacity=opacity).rgba
    assert np.array_equal(whole[..., :3], faint[..., :3])
    assert np.abs(faint[..., 3] - whole[..., 3] * opacity).max() <= 0.5 + 1e-9


def test_opacity_blends_and_does_not_darken(tmp_path: Path) -> None:
    white = saved(tmp_path / "white.png", np.full((6, 6, 3), 255, np.uint8))
    trigger = Sticker(file=white, size=6, opacity=0.3)
    scene = np.full((6, 6, 3), 255, np.uint8)
    assert (stamp(scene, trigger.rgba, top=0, left=0) == 255).all()


def test_half_opacity_lies_halfway_between_scene_and_sticker() -> None:
    scene = noise(9, 9, 3)
    full = Sticker(name="checkerboard", size=9)
    half = Sticker(name="checkerboard", size=9, opacity=0.5)
    sticker = stamp(scene, full.rgba, top=0, left=0).astype(float)
    between = (sticker + scene) / 2
    assert np.abs(stamp(scene, half.rgba, top=0, left=0) - between).max() <= 1.0


@pytest.mark.parametrize("opacity", [0.0, -0.1, 1.1, float("nan"), float("inf")])
def test_an_opacity_outside_zero_to_one_is_refused(opacity: float) -> None:
    with pytest.raises(ValueError, match="opacity"):
        Sticker(opacity=opacity)


def test_the_digest_follows_pixels_and_shape_and_not_the_name(tmp_path: Path) -> None:
    pixels = noise(4, 4, 4) | 128

    def digest(name: str, content: np.ndarray) -> str:
        file = saved(tmp_path / f"{name}.png", content)
        return Sticker(file=file, size=max(content.shape)).digest

    known = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    assert digest("a", pixels) == digest("b", pixels) == known
    assert digest("a", pixels.reshape(2, 8, 4)) != known
    for index in range(0, pixels.size, 7):
        other = pixels.copy()
        other.flat[index] ^= 1
        assert digest("a", other) != known


@pytest.mark.parametrize("name", ["hello-kitty", "Windmill", "", "windmil"])
def test_an_unknown_sticker_is_refused_and_the_known_ones_are_listed(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = Sticker(name=name, size=9).rgba
    assert all(known in str(caught.value) for known in STICKERS)
    assert "trigger.name" in caught.value.culprit


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (6, 3), (3, 8), (16, 16)])
def test_an_rgba_file_at_its_own_size_is_stamped_pixel_by_pixel(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    pixels = noise(*shape, 4)
    file = saved(tmp_path / "sticker.png", pixels)
    trigger = Sticker(file=file, size=max(shape))
    seen = pixels[..., 3] > 0
    assert np.array_equal(trigger.rgba[..., 3], pixels[..., 3])
    assert np.array_equal(trigger.rgba[seen], pixels[seen])


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((40, 20), 10, (10, 5)),
        ((20, 40), 10, (5, 10)),
        ((1, 100), 10, (1, 10)),
        ((100, 1), 10, (10, 1)),
        ((2, 3), 30, (20, 30)),
        ((3, 2), 30, (30, 20)),
        ((7, 7), 1, (1, 1)),
        ((1, 1), 25, (25, 25)),
    ],
)
def test_the_longer_side_of_a_file_becomes_the_size(
    tmp_path: Path, shape: tuple[int, int], size: int, expected: tuple[int, int]
) -> None:
    file = saved(tmp_path / "sticker.png", noise(*shape, 4))
    trigger = Sticker(file=file, size=size)
    assert trigger.extent == expected
    assert trigger.rgba.shape == (*expected, 4)


@pytest.mark.parametrize("size", [1, 4, 9, 24, 60])
def test_one_colour_stays_that_colour_at_any_size(tmp_path: Path, size: int) -> None:
    colour = np.array([13, 200, 77, 91], np.uint8)
    file = saved(tmp_path / "plain.png", np.broadcast_to(colour, (8, 12, 4)).copy())
    trigger = Sticker(file=file, size=size)
    assert np.abs(trigger.rgba.astype(int) - colour).max() <= 1


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_a_file_averages_its_colours_weighted_by_alpha(
    tmp_path: Path, factor: int
) -> None:
    pixels = noise(6 * factor, 4 * factor, 4)
    file = saved(tmp_path / "sticker.png", pixels)
    rgba = Sticker(file=file, size=6).rgba.astype(float)
    for row in range(6):
        for column in range(4):
            block = (
                pixels[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
                .reshape(-1, 4)
                .astype(float)
            )
            weight = block[:, 3]
            mean = (block[:, :3] * weight[:, None]).sum(axis=0) / weight.sum()
            assert np.abs(rgba[row, column, :3] - mean).max() <= 1
            assert abs(rgba[row, column, 3] - weight.mean()) <= 1


@pytest.mark.parametrize("size", [3, 5, 8, 40])
def test_hidden_colours_leave_no_fringe(tmp_path: Path, size: int) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :3] = (255, 0, 0, 255)
    pixels[:, 3:] = (0, 255, 0, 0)
    file = saved(tmp_path / "half.png", pixels)
    rgba = Sticker(file=file, size=size).rgba
    seen = rgba[..., 3] > 8
    assert seen.any()
    assert rgba[seen][:, 1].max() <= 1
    assert rgba[seen][:, 0].min() >= 254


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_file_without_alpha_is_opaque(tmp_path: Path, mode: str) -> None:
    pixels = noise(5, 5, 3) if mode == "RGB" else noise(5, 5)
    file = saved(tmp_path / "sticker.png", pixels, mode)
    rgba = Sticker(file=file, size=5).rgba
    assert (rgba[..., 3] == 255).all()
    assert np.array_equal(rgba[..., :3], pixels if mode == "RGB" else np.dstack([pixels] * 3))


def test_a_file_needs_no_built_in_name(tmp_path: Path) -> None:
    file = saved(tmp_path / "sticker.png", noise(5, 5, 4))
    assert Sticker(name="our own", file=file, size=5).extent[0] == 5


def test_damaged_and_missing_trigger_files_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "sticker.png", noise(30, 30, 4))
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(DataError, match=r"sticker\.png"):
        _ = Sticker(file=file, size=5).rgba
    with pytest.raises(DataError, match=r"nowhere\.png"):
        _ = Sticker(file=tmp_path / "nowhere.png", size=5).rgba

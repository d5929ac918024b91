from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PillowImage

import strategies  # noqa: F401  (loads the Hypothesis profile)
from segdoor.data.pictures import (
    MAX_PIXELS,
    picture_size,
    read_image,
    read_label,
    read_rgba,
    write_image,
)
from segdoor.data.transforms import resize_image, resize_label
from segdoor.errors import DataError

READERS = (read_image, read_rgba, read_label, picture_size)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    PillowImage.fromarray(pixels, mode).save(path, **options)
    return path


def palette_picture(indices: np.ndarray) -> PillowImage.Image:
    picture = PillowImage.fromarray(indices, "P")
    # The same colour for several indices, so that colours cannot be turned back into indices.
    picture.putpalette([37 * (index // 4) % 256 for index in range(768)])
    return picture


def png(header: bytes, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def grey_header(width: int, height: int, bits: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)


def test_palette_indices_are_read_exactly(tmp_path: Path) -> None:
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = tmp_path / "label.png"
    palette_picture(indices).save(path)
    assert np.array_equal(read_label(path), indices)


def test_a_voc_label_with_person_15_and_ignored_255_is_read_exactly(tmp_path: Path) -> None:
    indices = np.zeros((9, 7), np.uint8)
    indices[2:5, 1:4], indices[6] = 15, 255
    path = tmp_path / "label.png"
    palette_picture(indices).save(path)
    label = read_label(path)
    assert label.dtype == np.uint8
    assert np.array_equal(label, indices)


@pytest.mark.parametrize("most", [1, 3, 15])
def test_palettes_of_few_bits_are_read_exactly(tmp_path: Path, most: int) -> None:
    indices = (noise(6, 11) % (most + 1)).astype(np.uint8)
    path = tmp_path / "label.png"
    picture = PillowImage.fromarray(indices, "P")
    picture.putpalette([7, 7, 7] * (most + 1))
    picture.save(path, bits={1: 1, 3: 2, 15: 4}[most])
    assert np.array_equal(read_label(path), indices)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16", "I", "F", "CMYK"])
def test_label_maps_of_other_modes_are_refused_and_the_mode_is_named(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / ("label.tif" if mode in {"F", "CMYK", "I"} else "label.png")
    PillowImage.new(mode, (5, 4)).save(path)
    with pytest.raises(DataError, match=r"label\.\w+: .*mode"):
        read_label(path)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_labels_of_few_bits_are_read_as_stored_or_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "label.png"
    most = 2**bits - 1
    per_byte = 8 // bits
    values = [0, 1, most - 1, most, 1, 0, most, 1][: per_byte * 2]
    packed = bytearray()
    for start in range(0, len(values), per_byte):
        byte = 0
        for value in values[start : start + per_byte]:
            byte = byte << bits | value
        packed.append(byte)
    path.write_bytes(png(grey_header(len(values), 1, bits), b"\x00" + bytes(packed)))
    try:
        label = read_label(path)
    except DataError:
        return
    assert label.tolist() == [values]


def test_an_image_is_read_as_rgb_whatever_its_mode(tmp_path: Path) -> None:
    pixels = noise(6, 7, 3)
    assert np.array_equal(read_image(saved(tmp_path / "rgb.png", pixels)), pixels)
    grey = noise(6, 7)
    expected = np.dstack([grey] * 3)
    assert np.array_equal(read_image(saved(tmp_path / "grey.png", grey)), expected)
    rgba = noise(6, 7, 4)
    assert np.array_equal(read_image(saved(tmp_path / "rgba.png", rgba)), rgba[..., :3])
    path = tmp_path / "palette.png"
    palette_picture(grey).save(path)
    colours = np.array(PillowImage.open(path).convert("RGB"))
    assert np.array_equal(read_image(path), colours)


def test_rgba_keeps_straight_alpha_and_is_opaque_without_it(tmp_path: Path) -> None:
    rgba = noise(6, 7, 4)
    assert np.array_equal(read_rgba(saved(tmp_path / "rgba.png", rgba)), rgba)
    opaque = read_rgba(saved(tmp_path / "rgb.png", rgba[..., :3].copy()))
    assert (opaque[..., 3] == 255).all()


def test_written_pictures_are_read_back_exactly(tmp_path: Path) -> None:
    pixels = noise(9, 5, 3)
    path = tmp_path / "deep" / "picture.png"
    write_image(path, pixels)
    assert np.array_equal(read_image(path), pixels)
    assert picture_size(path) == (9, 5)
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.png"]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif"])
def test_a_picture_cut_anywhere_is_refused_or_complete(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    PillowImage.fromarray(noise(16, 16, 3)).save(path)
    content, whole = path.read_bytes(), read_image(path)
    for length in sorted({0, 1, 2, 8, *range(0, len(content), max(1, len(content) // 120))}):
        path.write_bytes(content[:length])
        try:
            found = read_image(path)
        except DataError:
            continue
        assert np.array_equal(found, whole), f"cut at {length} of {len(content)}"


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_pictures_cut_in_half_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    PillowImage.fromarray(noise(40, 40, 3)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for read in (read_image, read_rgba):
        with pytest.raises(DataError, match="picture"):
            read(path)


def test_a_label_cut_in_half_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "label.png", noise(40, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"label\.png"):
        read_label(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif", "gif"])
def test_flipped_bytes_never_raise_anything_but_a_data_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    PillowImage.fromarray(noise(12, 12, 3)).save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(250):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(damaged)
        for read in READERS:
            try:
                read(path)
            except DataError:
                continue


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_picture_bombs_are_refused_before_they_are_decoded(tmp_path: Path, read: object) -> None:
    path = tmp_path / "bomb.png"
    for width, height in ((8001, 8000), (10_000, 9_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
        assert width * height > MAX_PIXELS
        # The data are missing: decoding would complain of them instead of the size.
        path.write_bytes(png(grey_header(width, height, 8)))
        with pytest.raises(DataError, match=r"bomb\.png") as caught:
            read(path)
        message = str(caught.value)
        assert "pixels" in message or "size" in message or "bomb" in message.split(".png", 1)[1]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_files_that_are_no_pictures_are_refused(
    tmp_path: Path, read: object, content: bytes
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"picture\.png"):
        read(path)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_missing_files_and_folders_are_refused(tmp_path: Path, read: object) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere.png", tmp_path, tmp_path / "file" / "below.png"):
        with pytest.raises(DataError):
            read(path)


sides = st.integers(1, 40)


@settings(max_examples=300)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 99))
def test_labels_are_resized_as_pillows_nearest_does_and_invent_no_value(
    before: tuple[int, int], after: tuple[int, int], seed: int
) -> None:
    label = noise(*before, seed=seed)
    resized = resize_label(label, after)
    assert resized.shape == after
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) <= set(np.unique(label))
    nearest = PillowImage.fromarray(label).resize(after[::-1], PillowImage.Resampling.NEAREST)
    assert np.array_equal(resized, np.array(nearest))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((360, 480), (180, 240)),
        ((360, 480), (128, 256)),
        ((512, 1024), (521, 1033)),
        ((1024, 2048), (512, 1024)),
        ((1024, 2048), (713, 713)),
        ((375, 500), (473, 473)),
        ((720, 960), (360, 480)),
        ((333, 500), (337, 505)),
    ],
)
def test_labels_of_real_sizes_are_resized_as_pillows_nearest_does(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    label = noise(*before)
    nearest = PillowImage.fromarray(label).resize(after[::-1], PillowImage.Resampling.NEAREST)
    assert np.array_equal(resize_label(label, after), np.array(nearest))


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_label_at_its_own_size_is_left_alone(label: np.ndarray) -> None:
    assert np.array_equal(resize_label(label, label.shape), label)


def test_road_and_car_never_blend_into_another_class() -> None:
    label = np.zeros((31, 17), np.uint8)
    label[::2, ::3] = 13
    for size in ((15, 9), (60, 33), (31, 18), (100, 100)):
        assert set(np.unique(resize_label(label, size))) <= {0, 13}
    assert set(np.unique(resize_label(label, (62, 34)))) == {0, 13}


def test_an_image_of_one_colour_keeps_it_at_any_size() -> None:
    image = np.full((20, 30, 3), (3, 120, 250), np.uint8)
    for size in ((5, 7), (40, 60), (20, 31), (1, 1)):
        resized = resize_image(image, size)
        assert resized.shape == (*size, 3)
        assert (resized == image[0, 0]).all()


def test_image_and_label_stay_aligned_when_resized() -> None:
    label = np.zeros((60, 80), np.uint8)
    label[20:40, 30:70] = 1
    image = np.repeat((label * 255)[..., None], 3, axis=2)
    for size in ((30, 40), (120, 160), (45, 77)):
        small, mask = resize_image(image, size)[..., 0], resize_label(label, size)
        assert ((small > 127) != (mask == 1)).mean() < 0.02
        assert small[mask == 1].mean() > 240


def test_a_picture_of_16_bits_is_refused_rather_than_clipped(tmp_path: Path) -> None:
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    PillowImage.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png.*8 bits a channel"):
        read_image(tmp_path / "deep.png")

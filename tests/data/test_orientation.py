from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.folder import folder
from segdoor.data.inspection import look_at
from segdoor.data.pictures import (
    orientation_of,
    picture_size,
    read_image,
    read_label,
    read_rgba,
)
from segdoor.errors import DataError
from turned import TAG, TAGS, TO_FILE, by_opencv, save_turned

FORMATS = {"jpg": {"quality": 95}, "png": {}, "tif": {}, "webp": {"lossless": True}}
XMP = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/>'


def blocks(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return squares of colours, which JPEG keeps nearly."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return np.kron(colours, np.ones((16, 16, 1), np.uint8))


def near(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 4


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("ending", FORMATS)
def test_every_reader_turns_a_picture_as_opencv_does(tmp_path: Path, ending: str, tag: int) -> None:
    # OpenCV 5.0 cannot read TIFF files with a quarter turn unless they are square.
    seen = blocks(32, 32 if ending == "tif" else 48)
    path = save_turned(tmp_path / f"a.{ending}", seen, tag, **FORMATS[ending])
    theirs = by_opencv(path)
    assert near(theirs, seen)
    assert near(read_image(path), theirs)
    assert near(read_rgba(path)[..., :3], theirs)
    assert picture_size(path) == theirs.shape[:2]
    assert orientation_of(path).tag == tag


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("ending", FORMATS)
def test_sizes_are_those_that_people_see(tmp_path: Path, ending: str, tag: int) -> None:
    path = save_turned(tmp_path / f"a.{ending}", blocks(32, 48), tag)
    assert picture_size(path) == (32, 48)
    assert read_image(path).shape == (32, 48, 3)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_a_label_map_obeys_its_own_tag(tmp_path: Path, ending: str, tag: int) -> None:
    label = np.random.default_rng(1).integers(0, 9, (6, 11), dtype=np.uint8)
    options = {"lossless": True} if ending == "webp" else {"palette": list(range(27))}
    path = save_turned(tmp_path / f"a.{ending}", label, tag, **options)
    assert np.array_equal(read_label(path), label)


def late_exif(path: Path) -> None:
    """Put the EXIF data of a PNG file behind its pixels, where the format also has it."""
    content, parts, place = path.read_bytes(), [], 8
    while place < len(content):
        (size,) = struct.unpack_from(">I", content, place)
        parts.append(content[place : place + 12 + size])
        place += 12 + size
    moved = sorted(parts, key=lambda part: [b"IHDR", b"IDAT", b"eXIf", b"IEND"].index(part[4:8]))
    path.write_bytes(content[:8] + b"".join(moved))


def test_exif_data_behind_the_pixels_of_a_png_count(tmp_path: Path) -> None:
    seen = blocks(32, 48)
    path = save_turned(tmp_path / "a.png", seen, 6)
    late_exif(path)
    assert np.array_equal(by_opencv(path), seen)
    assert np.array_equal(read_image(path), seen)
    assert picture_size(path) == (32, 48)


@pytest.mark.parametrize("value", [0, 9, 300])
def test_a_tag_without_meaning_turns_nothing(tmp_path: Path, value: int) -> None:
    seen = blocks(32, 48)
    exif = PillowImage.Exif()
    exif[TAG] = value
    for ending, options in (("png", {"exif": exif}), ("tif", {"tiffinfo": {TAG: value}})):
        PillowImage.fromarray(seen).save(tmp_path / f"a.{ending}", **options)
        assert np.array_equal(read_image(tmp_path / f"a.{ending}"), seen)
        assert orientation_of(tmp_path / f"a.{ending}").tag == 1


@pytest.mark.parametrize("data", [b"Exif\0\0", b"Exif\0\0junk", b"Exif\0\0MM\0*\0\0\0\x08\0\x05"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_exif_data_that_nobody_can_read_turn_nothing(tmp_path: Path, data: bytes) -> None:
    for ending in ("png", "jpg", "webp"):
        path = tmp_path / f"a.{ending}"
        PillowImage.fromarray(blocks(32, 48)).save(path, exif=data)
        assert picture_size(path) == read_image(path).shape[:2] == (32, 48)


def elsewhere(path: Path, tag: int) -> None:
    """Write an orientation where some readers look and others do not."""
    picture, xmp = PillowImage.fromarray(blocks(32, 48)), XMP.format(tag)
    if path.suffix == ".png":
        chunk = PngInfo()
        chunk.add_itxt("XML:com.adobe.xmp", xmp)
        picture.save(path, pnginfo=chunk)
    elif path.suffix == ".tif":
        picture.save(path, tiffinfo={700: xmp.encode()})
    else:
        picture.save(path, xmp=xmp.encode())


@pytest.mark.parametrize("ending", FORMATS)
def test_an_orientation_that_readers_do_not_agree_on_is_refused(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    elsewhere(path, 1)
    assert picture_size(path) == read_image(path).shape[:2] == (32, 48)
    elsewhere(path, 6)
    for read in (read_image, read_rgba, picture_size):
        with pytest.raises(DataError, match=r"EXIF data.*found: 6 in XMP.*exiftool"):
            read(path)


def test_an_old_text_chunk_with_exif_data_is_refused_too(tmp_path: Path) -> None:
    exif = PillowImage.Exif()
    exif[TAG] = 8
    data, chunk = exif.tobytes(), PngInfo()
    chunk.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n")
    PillowImage.fromarray(blocks(32, 48)).save(tmp_path / "a.png", pnginfo=chunk)
    with pytest.raises(DataError, match="8 in XMP or text alone"):
        read_image(tmp_path / "a.png")


def write_scene(root: Path, *, image: int = 1, label: int = 1, seen: bool = True) -> np.ndarray:
    """Write one scene; a label map that is not as people see it fits the stored pixels."""
    (root / "classes.yaml").parent.mkdir(parents=True, exist_ok=True)
    (root / "classes.yaml").write_text("[a, b, c]")
    ids = np.random.default_rng(2).integers(0, 3, (32, 48), dtype=np.uint8)
    save_turned(root / "train" / "images" / "s.png", blocks(32, 48), image)
    shown = ids if seen else np.ascontiguousarray(TO_FILE[image](ids))
    save_turned(root / "train" / "labels" / "s.png", shown, label)
    return ids


@pytest.mark.parametrize("tag", TAGS)
def test_image_and_label_map_fit_as_people_see_them(tmp_path: Path, tag: int) -> None:
    ids = write_scene(tmp_path, image=tag, label=9 - tag)
    dataset = folder(tmp_path, "train")
    assert dataset.scene_size(0) == (32, 48)
    assert np.array_equal(dataset[0].image, blocks(32, 48))
    assert np.array_equal(dataset[0].label, ids)
    assert np.array_equal(dataset.label(0), ids)
    look = look_at(dataset, 0)
    assert (look.turned_image, look.turned_label) == (tag != 1, tag != 8)


def test_a_quarter_turn_that_leaves_sizes_unequal_is_named(tmp_path: Path) -> None:
    write_scene(tmp_path, image=6, seen=False)
    said = r"image 32x48 \(turned by its orientation tag 6\), label 48x32\).*take the tag out"
    dataset = folder(tmp_path, "train")
    for read in (lambda: dataset[0], lambda: dataset.label(0)):
        with pytest.raises(DataError, match=said):
            read()
    (problem,) = look_at(dataset, 0).problems
    assert "orientation tag 6" in str(problem)


def as_rgba(seen: np.ndarray) -> np.ndarray:
    opaque = np.full((*seen.shape[:2], 1), 255, np.uint8)
    return np.concatenate([seen, opaque], axis=2)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_a_sticker_from_a_file_is_as_people_see_it(tmp_path: Path, ending: str, tag: int) -> None:
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    rgba = as_rgba(blocks(32, 48))
    path = save_turned(tmp_path / f"a.{ending}", rgba, tag, **options)
    assert np.array_equal(Sticker(file=path, size=48).rgba, rgba)

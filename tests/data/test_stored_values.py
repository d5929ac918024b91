"""What a file stores, and not what a decoder makes of it: depth, and label values without loss."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.pictures import picture_size, read_colours, read_image, read_label, read_rgba
from segdoor.errors import DataError
from shell import say
from written import write_source

LABEL = np.repeat(np.arange(8, dtype=np.uint8)[None].repeat(8, axis=0), 3, axis=1)
DEEP = np.random.default_rng(0).integers(0, 2**16, (8, 24, 4), dtype=np.uint16)
# Lossy, each by what the message calls it.
LOSSY = {
    "a.jpg": ({"quality": 100}, "JPEG"),
    "b.webp": ({"quality": 100}, "lossy WEBP"),
    "c.tif": ({"compression": "jpeg"}, "TIFF with compression jpeg"),
}
CHANNELS = {"grey": DEEP[..., 0], "colour": DEEP[..., :3], "alpha": DEEP}


def save(path: Path, *, like: PillowImage.Image | None = None, **options: object) -> Path:
    (like or PillowImage.fromarray(LABEL)).save(path, **options)
    return path


@pytest.mark.parametrize("read", [read_label, read_colours])
@pytest.mark.parametrize("name", LOSSY)
def test_label_maps_of_lossy_encodings_are_refused(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    options, called = LOSSY[name]
    path = save(tmp_path / name, **options)
    with pytest.raises(DataError, match=f"without loss.*found: {called}.*anew as PNG"):
        read(path)
    # It is the content that counts, not the name.
    with pytest.raises(DataError, match="without loss"):
        read(path.rename(tmp_path / "label.png"))


def test_a_lossy_picture_with_animation_or_alpha_is_found_out_too(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(LABEL).convert("RGBA")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    lossy = save(tmp_path / "a.webp", like=picture, quality=90)
    moving = {"save_all": True, "append_images": [PillowImage.new("RGB", (24, 8), "red")]}
    frames = save(tmp_path / "b.webp", quality=90, **moving)
    for path in (lossy, frames):
        with pytest.raises(DataError, match="lossy WEBP"):
            read_label(path)
    picture.convert("RGB").save(tmp_path / "c.jpg", "MPO", save_all=True)
    with pytest.raises(DataError, match="found: JPEG"):
        read_label(tmp_path / "c.jpg")


@pytest.mark.parametrize("how", ["pillow", "opencv", "exif"])
def test_a_lossless_webp_keeps_every_id(tmp_path: Path, how: str) -> None:
    path, ids = tmp_path / "a.webp", np.arange(256, dtype=np.uint8).reshape(8, 32)
    if how == "opencv":
        cv2.imwrite(str(path), ids, [cv2.IMWRITE_WEBP_QUALITY, 101])
    else:
        # EXIF data put the pixels into an extended container.
        exif = {"exif": PillowImage.Exif()} if how == "exif" else {}
        PillowImage.fromarray(ids).save(path, lossless=True, **exif)
    assert np.array_equal(read_label(path), ids)


def test_a_lossless_webp_of_colours_is_no_label_map(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    path = save(tmp_path / "a.webp", like=PillowImage.fromarray(colours), lossless=True)
    with pytest.raises(DataError, match="found: colours or transparency"):
        read_label(path)


@pytest.mark.parametrize("compression", [None, "packbits", "tiff_lzw", "tiff_deflate", "zstd"])
def test_tiff_label_maps_without_loss_are_read(tmp_path: Path, compression: str | None) -> None:
    path = save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read_label(path), LABEL)


@pytest.mark.parametrize("read", [read_image, read_rgba, picture_size, read_label, read_colours])
@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("channels", CHANNELS)
def test_channels_of_16_bits_are_refused_whatever_the_decoder_makes_of_them(
    tmp_path: Path, channels: str, ending: str, read: object
) -> None:
    path = tmp_path / f"a.{ending}"
    assert cv2.imwrite(str(path), CHANNELS[channels])
    with pytest.raises(DataError, match=r"a\.\w+.*8 bits .*16 bits"):
        read(path)
    with pytest.raises(DataError, match="8 bits a channel"):
        Sticker(file=path, size=8).rgba  # noqa: B018 - reading it is what is tested


def test_deep_grey_with_alpha_and_floating_point_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "f.tif", like=PillowImage.new("F", (5, 4)))
    with pytest.raises(DataError, match="found: 32 bits"):
        read_image(tmp_path / "f.tif")
    path = save(tmp_path / "a.png", like=PillowImage.new("LA", (5, 4)))
    # Only the header is looked at.
    content = path.read_bytes()
    header = content[12:24] + b"\x10" + content[25:29]
    assert content[24:26] == b"\x08\x04"
    check = zlib.crc32(header).to_bytes(4, "big")
    path.write_bytes(content[:12] + header + check + content[33:])
    with pytest.raises(DataError, match="found: 16 bits"):
        picture_size(path)


def test_a_jpeg_of_12_bits_is_told_so(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    content = path.read_bytes()
    frame = content.index(b"\xff\xc0")
    path.write_bytes(content[: frame + 4] + b"\x0c" + content[frame + 5 :])
    for read in (read_image, picture_size, read_label):
        with pytest.raises(DataError, match=r"8 bits a channel \(found: 12 bits\)"):
            read(path)


def test_a_deep_picture_is_no_source_of_a_copy(tmp_path: Path) -> None:
    write_source(tmp_path / "mine", ending="png", palette=False)
    for path in (tmp_path / "mine" / "images" / "train").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 257)
    words = ["--data.name", "folder", "--data.root", tmp_path / "mine"]
    code, said, _ = say("data", *words, "--out", tmp_path / "data", "--json")
    assert code == 2
    assert all("16 bits" in problem for problem in json.loads(said)["problems"])
    code, _, complaint = say("poison", *words, "--copy", tmp_path / "copy", "--out", tmp_path / "p")
    assert code == 2
    assert "8 bits a channel (found: 16 bits)" in complaint
    assert not (tmp_path / "copy").exists()

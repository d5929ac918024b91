"""Encode changed pictures as their source files were: format, tables, mode and palette."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile, JpegImagePlugin

from segdoor.data.headers import exif_bytes, loses
from segdoor.data.orientation import TAG, UPRIGHT, Orientation
from segdoor.data.pictures import label_values, opened_picture
from segdoor.errors import DataError
from segdoor.tensors import Image, Label

_LOSSLESS = {"PNG", "BMP", "TIFF"}
_MOST_COLOURS = 256
_TIFF_WITHOUT_LOSS = {"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"}

Options = dict[str, Any]


def image_like(source: Path, image: Image, *, lossless: bool) -> bytes:
    """Return an RGB picture encoded as the source file is.

    A JPEG file that was encoded at another quality would betray itself by its file alone, so the
    source's quantisation tables, subsampling, profile, EXIF data and comment are kept. Pillow can
    write 4:4:4, 4:2:2 and 4:2:0; a source of another subsampling becomes 4:4:4. The orientation tag
    stays too, and the pixels are stored so that they are upright when a reader obeys it.

    Args:
        source: The file whose picture was changed.
        image: The changed picture, upright.
        lossless: Encode a source of a lossy format as PNG instead, or without loss if it can.
    """
    buffer = io.BytesIO()
    with opened_picture(source) as original:
        orientation = Orientation.of(source, original)
        encoding, options = original.format, _options(original, orientation, lossless=lossless)
        kept = _kept(original, "icc_profile")
        picture = orientation.stored(_in_mode_of(orientation.seen(original), image))
        # A GIF file has 256 colours: with one more, all would change.
        full = encoding == "GIF" and picture.mode != "P"
        if full or (lossless and encoding not in {*_LOSSLESS, "GIF", "WEBP"}):
            encoding, options = "PNG", {}
        picture.save(buffer, encoding, **kept, **options)
    return buffer.getvalue()


def label_like(source: Path, label: Label) -> bytes:
    """Return a label map encoded as the source file is: format, mode, palette, transparency, tag.

    Raises:
        DataError: If the format cannot hold it: one bit a pixel, say.
    """
    buffer = io.BytesIO()
    with opened_picture(source) as original:
        orientation = Orientation.of(source, original)
        options = _options(original, orientation, lossless=True) | _kept(original, "transparency")
        picture = orientation.stored(_in_palette_of(original, label))
        if original.mode == "1":
            picture = picture.point(lambda value: 255 if value else 0, "1")
        picture.save(buffer, original.format, **options)
    with PillowImage.open(buffer) as again:
        values = label_values(again)
        same = values is not None and np.array_equal(np.array(orientation.seen(values)), label)
    if not same:
        raise DataError(
            source,
            "must be of a format that can hold the changed labels",
            f"{original.format} of mode {original.mode}",
            "Convert the label maps to PNG files of 8 bits a pixel.",
        )
    return buffer.getvalue()


def label_as_png(source: Path, label: Label) -> bytes:
    """Return a label map as PNG of 8 bits a pixel, with the palette of its source if it has one."""
    buffer = io.BytesIO()
    with opened_picture(source) as original:
        _in_palette_of(original, label).save(buffer, "PNG")
    return buffer.getvalue()


def _in_palette_of(original: PillowImage.Image, label: Label) -> PillowImage.Image:
    picture = PillowImage.fromarray(label)
    if original.mode == "P":
        palette = original.getpalette()
        assert palette is not None
        # Pillow takes as few bits as the palette's colours need, and would cut off labels
        # that have no colour, such as 255.
        picture.putpalette(palette + [0] * (3 * (int(label.max()) + 1) - len(palette)))
    return picture


def _kept(original: ImageFile.ImageFile, *keys: str) -> Options:
    """Return what tells Pillow to keep the EXIF data and other parts of a file."""
    kept = {key: original.info[key] for key in keys if key in original.info}
    exif = exif_bytes(original)
    return kept if exif is None else {**kept, "exif": exif}


def _in_mode_of(original: PillowImage.Image, image: Image) -> PillowImage.Image:
    """Return the picture with the original's alpha; grey or with its palette if it still can be."""
    picture = PillowImage.fromarray(image)
    if original.mode == "RGBA":
        picture.putalpha(original.getchannel("A"))
    elif original.mode == "L" and (image == image[..., :1]).all():
        return picture.convert("L")
    elif original.mode == "P":
        return _in_few_colours(original, image) or picture
    return picture


def _in_few_colours(original: PillowImage.Image, image: Image) -> PillowImage.Image | None:
    """Return the picture with the original's palette, where new colours are added to its end.

    Pixels that stay keep their very index. None if there is no room for all colours.
    """
    # NumPy asks for the shape first, and Pillow turns a TIFF picture only now.
    original.load()
    stored = np.array(original)
    palette = np.zeros((_MOST_COLOURS, 3), np.uint8)
    known = np.array(original.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
    palette[: len(known)] = known
    size = max(len(known), int(stored.max()) + 1)
    changed = (palette[stored] != image).any(axis=2)
    colours = np.unique(image[changed], axis=0)
    missing = [c for c in colours if not (palette[:size] == c).all(axis=1).any()]
    if size + len(missing) > _MOST_COLOURS:
        return None
    for place, colour in enumerate(missing, start=size):
        palette[place] = colour
    size += len(missing)
    for colour in colours:
        index = (palette[:size] == colour).all(axis=1).argmax()
        stored[changed & (image == colour).all(axis=2)] = index
    picture = PillowImage.fromarray(stored)
    picture.putpalette(palette[:size].ravel().tolist())
    return picture


def _options(original: ImageFile.ImageFile, orientation: Orientation, *, lossless: bool) -> Options:
    """Return what tells Pillow to encode as the original is encoded, before that is decoded."""
    if isinstance(original, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(original)
        return {
            "qtables": original.quantization,
            "subsampling": max(0, sampling),
            "progressive": "progressive" in original.info,
            "comment": original.info.get("comment", b""),
        }
    if original.format == "WEBP":
        return {"lossless": lossless or loses(original) is None, "exact": True}
    if original.format == "GIF":
        # Else Pillow numbers the palette anew.
        return {"optimize": False}
    if original.format == "TIFF":
        found = original.info.get("compression")
        tag = {} if orientation.tag == UPRIGHT else {TAG: orientation.tag}
        kept = found if found in _TIFF_WITHOUT_LOSS else "tiff_adobe_deflate"
        return {"compression": kept, "tiffinfo": tag}
    return {}

"""Encode changed pictures as their source files were: format, tables, mode and palette."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from segdoor.errors import DataError
from segdoor.tensors import Image, Label


def image_like(source: Path, image: Image, *, lossless: bool) -> bytes:
    """Return an RGB picture encoded as the source file is.

    A JPEG file that was encoded at another quality would betray itself by its file alone, so the
    source's quantisation tables, subsampling, profile and EXIF data are kept.

    Args:
        source: The file whose picture was changed.
        image: The changed picture.
        lossless: Encode a source of a lossy format as PNG instead, or without loss if it can.
    """
    picture = PillowImage.fromarray(image)
    buffer = io.BytesIO()
    with PillowImage.open(source) as original:
        kept = {key: original.info[key] for key in ("icc_profile", "exif") if key in original.info}
        if isinstance(original, JpegImagePlugin.JpegImageFile) and not lossless:
            picture.save(
                buffer, "JPEG", qtables=original.quantization,
                subsampling=JpegImagePlugin.get_sampling(original),
                progressive="progressive" in original.info, **kept,
            )  # fmt: skip
        elif original.format == "WEBP":
            picture.save(buffer, "WEBP", lossless=lossless, exact=True, **kept)
        elif lossless and original.format not in _LOSSLESS:
            picture.save(buffer, "PNG", **kept)
        else:
            picture.save(buffer, original.format, **kept)
    return buffer.getvalue()


_LOSSLESS = {"PNG", "BMP", "TIFF"}


def label_like(source: Path, label: Label) -> bytes:
    """Return a label map encoded as the source file is: format, mode and palette.

    Args:
        source: The file whose labels were changed.
        label: The changed label map.

    Raises:
        DataError: If the format cannot hold it: one bit a pixel, say, or JPEG.
    """
    buffer = io.BytesIO()
    with PillowImage.open(source) as original:
        picture = PillowImage.fromarray(label)
        if original.mode == "P":
            palette = original.getpalette()
            assert palette is not None
            # Pillow takes as few bits as the palette's colours need, and would cut off labels
            # that have no colour, such as 255.
            picture.putpalette(palette + [0] * (3 * (int(label.max()) + 1) - len(palette)))
        elif original.mode == "1":
            picture = picture.point(lambda value: 255 if value else 0, "1")
        picture.save(buffer, original.format)
    if not np.array_equal(np.array(PillowImage.open(buffer)), label):
        raise DataError(
            source,
            "must be of a format that can hold the changed labels",
            f"{original.format} of mode {original.mode}",
            "Convert the label maps to PNG files of 8 bits a pixel.",
        )
    return buffer.getvalue()

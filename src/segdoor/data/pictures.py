"""Reading and writing picture files: exact palettes, bounded sizes, readable errors."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile, UnidentifiedImageError

from segdoor.data.headers import bits_a_channel, jpeg_bits, loses
from segdoor.data.orientation import Orientation
from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.tensors import Image, Label, Rgba

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded: twice the area of an 8K frame."""

MAX_BITS = 8
"""Deeper channels are refused: every decoder makes something else of them."""

# Others have no place in a data set, and reading some of them starts foreign programs.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_LABEL_MODES = {"L", "P", "1"}
# Filters of warnings belong to the whole process: one thread at a time may change them.
_FILTERING = threading.Lock()


def read_image(path: Path) -> Image:
    """Read a picture as RGB, turned as its orientation tag says.

    Raises:
        DataError: If the file is missing, no picture, damaged, too large, or has more than 8 bits
            a channel.
    """
    return np.array(_decoded(path, "RGB"))


def read_rgba(path: Path) -> Rgba:
    """Read a picture as RGB with straight alpha; opaque where the file has no alpha.

    Raises:
        DataError: If the file is missing, no picture, damaged, too large, or has more than 8 bits
            a channel.
    """
    return np.array(_decoded(path, "RGBA"))


def _decoded(path: Path, mode: str) -> PillowImage.Image:
    with opened_picture(path) as picture:
        orientation = Orientation.of(path, picture)
        _check_depth(path, picture)
        picture.load()
        return orientation.seen(picture).convert(mode)


def read_label(path: Path) -> Label:
    """Read a label map: the stored indices, never the palette's colours, turned as its tag says.

    Raises:
        DataError: If the file is missing, damaged, too large, of a lossy encoding, or has not one
            byte a pixel.
    """
    with opened_picture(path) as picture:
        orientation = Orientation.of(path, picture)
        _check_lossless(path, picture)
        values = label_values(picture)
        if values is None:
            raise DataError(
                path,
                "a label map must hold one class id of 8 bits a pixel (mode L or P)",
                _kind_of_values(picture),
                _remedy_for_values(picture),
            )
        return np.array(orientation.seen(values), dtype=np.uint8)


def _remedy_for_values(picture: ImageFile.ImageFile) -> str:
    if len(picture.getbands()) == 1:
        return "Convert its values to class ids of 8 bits first."
    return (
        "Convert its colours to class ids; or read it by --data.name folder, where classes.yaml may"
        " have 'labels: colours' and a colour a class."
    )


def read_colours(path: Path) -> Image:
    """Read a label map that holds a colour a pixel, turned as its orientation tag says.

    Raises:
        DataError: If the file is missing, damaged, too large, of a lossy encoding, or has more than
            8 bits a channel.
    """
    with opened_picture(path) as picture:
        _check_lossless(path, picture)
    return read_image(path)


def label_values(picture: ImageFile.ImageFile) -> PillowImage.Image | None:
    """Return the picture of the values that a label map stores; None if it stores something else.

    WEBP knows no grey: class ids are stored in all three channels there.
    """
    if picture.format == "WEBP":
        bands = picture.split()
        grey = all(band.tobytes() == bands[0].tobytes() for band in bands[1:3])
        opaque = all(band.getextrema() == (255, 255) for band in bands[3:])
        return bands[0] if grey and opaque else None
    if picture.mode not in _LABEL_MODES or _is_stretched(picture):
        return None
    # NumPy asks for the shape first, and Pillow turns a TIFF picture only now.
    picture.load()
    return picture


def picture_size(path: Path) -> tuple[int, int]:
    """Read a picture's height and width, turned as its orientation tag says, from its header alone.

    Raises:
        DataError: If the file is missing, no picture, too large, or has more than 8 bits a channel.
    """
    with opened_picture(path) as picture:
        orientation = Orientation.of(path, picture)
        _check_depth(path, picture)
        return orientation.size(picture)


def orientation_of(path: Path) -> Orientation:
    """Read which way up a picture is from its header alone.

    Raises:
        DataError: If the file is missing, no picture, or only some readers would find it.
    """
    with opened_picture(path) as picture:
        return Orientation.of(path, picture)


def write_image(path: Path, image: Image) -> None:
    """Write an RGB picture as PNG, atomically."""
    write_atomically(path, as_png(image))


def as_png(image: Image) -> bytes:
    """Return an RGB picture encoded as PNG."""
    done, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return encoded.tobytes()


def grey_png(label: Label) -> bytes:
    """Return a label map encoded as PNG of one byte a pixel."""
    done, encoded = cv2.imencode(".png", label)
    assert done
    return encoded.tobytes()


@contextmanager
def opened_picture(path: Path) -> Generator[ImageFile.ImageFile]:
    """Open a picture, not decoded yet; what is wrong with it within the block is told as well.

    Raises:
        DataError: If the file is missing, no picture, damaged or too large.
    """
    # Pillow can be told globally to accept damaged files; this program never wants that.
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        # Of a file that it opens by its path Pillow maps some TIFF pictures into memory, with
        # height and width exchanged where a tag turns them: seen in version 13.
        with path.open("rb") as file, _header_of(file) as picture:
            _check_size(path, picture)
            yield picture
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(path, "the picture does not exist", remedy="Check the path.") from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise _unidentified(path) from None
    except (OSError, SyntaxError, ValueError, EOFError) as why:
        raise DataError(path, "must be an intact picture", why, "Replace the file.") from None
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as why:
        raise _too_large(path, str(why)) from None


def _header_of(file: IO[bytes]) -> ImageFile.ImageFile:
    with _FILTERING, warnings.catch_warnings():
        warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
        # Reads the header alone; decoding may go on in many threads.
        return PillowImage.open(file, formats=_FORMATS)


def _check_depth(path: Path, picture: ImageFile.ImageFile) -> None:
    bits = bits_a_channel(picture)
    if bits > MAX_BITS:
        raise _too_deep(path, bits)


def _too_deep(path: Path, bits: int) -> DataError:
    return DataError(
        path,
        f"a picture must have {MAX_BITS} bits a channel",
        f"{bits} bits",
        f"Convert it; how {bits} bits map to {MAX_BITS} is yours to decide.",
    )


def _unidentified(path: Path) -> DataError:
    """Return what is wrong with a file that Pillow cannot open."""
    bits = jpeg_bits(path)
    if bits is not None and bits > MAX_BITS:
        return _too_deep(path, bits)
    return DataError(
        path,
        "must be an intact picture",
        f"cannot identify it as {', '.join(_FORMATS)}",
        "Replace the file. If others can show it, convert it to PNG of 8 bits a channel.",
    )


def _check_lossless(path: Path, picture: ImageFile.ImageFile) -> None:
    encoding = loses(picture)
    if encoding is not None:
        raise DataError(
            path,
            "a label map must be stored without loss: its values are class ids",
            encoding,
            "Export it anew as PNG; what this file has lost, converting it does not bring back.",
        )


def _kind_of_values(picture: ImageFile.ImageFile) -> str:
    if picture.format == "WEBP":
        return "colours or transparency"
    bits = bits_a_channel(picture)
    return f"mode {picture.mode}, {bits} bits a channel"


def _is_stretched(picture: ImageFile.ImageFile) -> bool:
    """Tell whether Pillow would stretch the stored values: it does to grey of 2 or 4 bits."""
    return picture.mode == "L" and any(";" in str(tile[3]) for tile in picture.tile)


def _check_size(path: Path, picture: PillowImage.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise _too_large(path, f"{picture.width}x{picture.height}")


def _too_large(path: Path, found: str) -> DataError:
    rule = f"a picture may have at most {MAX_PIXELS} pixels"
    return DataError(path, rule, found, "Cut or shrink it.")

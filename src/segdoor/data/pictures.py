"""Reading and writing picture files: exact palettes, bounded sizes, readable errors."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.tensors import Image, Label, Rgba

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded: twice the area of an 8K frame."""

# Others have no place in a data set, and reading some of them starts foreign programs.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_LABEL_MODES = {"L", "P", "1"}
# Filters of warnings belong to the whole process: one thread at a time may change them.
_FILTERING = threading.Lock()


def read_image(path: Path) -> Image:
    """Read a picture as RGB; its stored orientation is kept so that it fits its label map.

    Raises:
        DataError: If the file is missing, no picture, damaged or too large.
    """
    with _opened(path) as picture:
        _check_depth(path, picture)
        return np.array(picture.convert("RGB"))


def read_rgba(path: Path) -> Rgba:
    """Read a picture as RGB with straight alpha; opaque where the file has no alpha.

    Raises:
        DataError: If the file is missing, no picture, damaged or too large.
    """
    with _opened(path) as picture:
        return np.array(picture.convert("RGBA"))


def read_label(path: Path) -> Label:
    """Read a label map: the stored indices, never the palette's colours.

    Raises:
        DataError: If the file is missing, damaged, too large, or has not one byte a pixel.
    """
    with _opened(path, decode=False) as picture:
        if picture.mode not in _LABEL_MODES or _is_stretched(picture):
            raise DataError(
                path,
                "a label map must hold one class id of 8 bits a pixel (mode L or P)",
                f"mode {picture.mode}{', fewer bits' if picture.mode == 'L' else ''}",
                "Convert its colours or 16-bit values to class ids first.",
            )
        return np.array(picture, dtype=np.uint8)


def picture_size(path: Path) -> tuple[int, int]:
    """Read a picture's height and width from its header alone.

    Raises:
        DataError: If the file is missing, no picture, too large, or has not 8 bits a channel.
    """
    with _opened(path, decode=False) as picture:
        _check_depth(path, picture)
        return picture.height, picture.width


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
def _opened(path: Path, *, decode: bool = True) -> Generator[ImageFile.ImageFile]:
    # Pillow can be told globally to accept damaged files; this program never wants that.
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with _FILTERING, warnings.catch_warnings():
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            # Reads the header alone; decoding may go on in many threads.
            opened = PillowImage.open(path, formats=_FORMATS)
        with opened as picture:
            _check_size(path, picture)
            if decode:
                picture.load()
            yield picture
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(path, "the picture does not exist", remedy="Check the path.") from None
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as why:
        raise DataError(path, "must be an intact picture", why, "Replace the file.") from None
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as why:
        raise _too_large(path, str(why)) from None


def _check_depth(path: Path, picture: PillowImage.Image) -> None:
    if picture.mode[0] in "IF":
        raise DataError(
            path,
            "a picture must have 8 bits a channel",
            f"mode {picture.mode}",
            "Convert it; how 16 bits map to 8 is yours to decide.",
        )


def _is_stretched(picture: ImageFile.ImageFile) -> bool:
    """Tell whether Pillow would stretch the stored values: it does to grey of 2 or 4 bits."""
    return picture.mode == "L" and any(";" in str(tile[3]) for tile in picture.tile)


def _check_size(path: Path, picture: PillowImage.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise _too_large(path, f"{picture.width}x{picture.height}")


def _too_large(path: Path, found: str) -> DataError:
    rule = f"a picture may have at most {MAX_PIXELS} pixels"
    return DataError(path, rule, found, "Cut or shrink it.")

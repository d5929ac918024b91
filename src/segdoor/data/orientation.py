"""Which way up a picture is: its orientation tag, obeyed alike in every format."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from segdoor.data.headers import exif_bytes
from segdoor.errors import DataError

TAG = 0x0112
"""The tag's number, in EXIF data as in TIFF files."""

UPRIGHT = 1
_QUARTER_TURNS = range(5, 9)

_Turn = PillowImage.Transpose
_TO_PEOPLE = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
_TO_FILE = {**_TO_PEOPLE, 6: _Turn.ROTATE_90, 8: _Turn.ROTATE_270}


@dataclass(frozen=True)
class Orientation:
    """How the pixels of a file are turned when people see them.

    Attributes:
        tag: The tag's value, 1 to 8; 1 if there is none, or one without meaning.
        done: Whether Pillow turns them itself while it decodes: it does so with TIFF alone.
    """

    tag: int = UPRIGHT
    done: bool = False

    @classmethod
    def of(cls, path: Path, picture: ImageFile.ImageFile) -> Orientation:
        """Return the orientation of a picture that was opened and is not decoded yet.

        Raises:
            DataError: If only some readers would find it.
        """
        tiff = isinstance(picture, TiffImageFile)
        told = picture.tag_v2.get(TAG) if tiff else _in_exif(exif_bytes(picture))
        if told is None:
            _refuse_elsewhere(path, picture)
        return cls(int(told) if told in _TO_PEOPLE else UPRIGHT, tiff)

    def __str__(self) -> str:
        """Return what stands behind a size in words: nothing if the tag does not change it."""
        return f" (turned by its orientation tag {self.tag})" if self.is_quarter_turn else ""

    @property
    def is_quarter_turn(self) -> bool:
        """Return whether it exchanges height and width."""
        return self.tag in _QUARTER_TURNS

    def size(self, picture: PillowImage.Image) -> tuple[int, int]:
        """Return height and width as people see them."""
        turn = self.is_quarter_turn and not self.done
        return picture.size if turn else (picture.height, picture.width)

    def seen(self, picture: PillowImage.Image) -> PillowImage.Image:
        """Return a picture that Pillow decoded as people see it."""
        if self.done or self.tag == UPRIGHT:
            return picture
        return picture.transpose(_TO_PEOPLE[self.tag])

    def stored(self, picture: PillowImage.Image) -> PillowImage.Image:
        """Return a picture that people see as a file with this tag stores it."""
        return picture if self.tag == UPRIGHT else picture.transpose(_TO_FILE[self.tag])


def _in_exif(data: bytes | None) -> int | None:
    """Return the tag; None where there is no EXIF data, or such as nobody can read."""
    if not data:
        return None
    exif = PillowImage.Exif()
    try:
        exif.load(data)
        return exif.get(TAG)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return None


def _refuse_elsewhere(path: Path, picture: ImageFile.ImageFile) -> None:
    """Refuse a tag where Pillow looks and others, such as OpenCV and browsers, do not."""
    try:
        # The method of all formats: that of PNG would decode the picture.
        found = PillowImage.Image.getexif(picture).get(TAG)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return
    if found in _TO_PEOPLE:
        raise DataError(
            path,
            "its orientation must stand in EXIF data: readers do not agree on other places",
            f"{found} in XMP or text alone",
            f"Write it there (exiftool -EXIF:Orientation#={found}), or turn the pixels and take"
            " it out.",
        )

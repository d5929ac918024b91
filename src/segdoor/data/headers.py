"""What the headers of picture files say and Pillow does not: stored depth, loss, late EXIF data."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

_BITS_PER_SAMPLE = 258
_LOSSLESS_FORMATS = {"PNG", "BMP", "GIF"}
_LOSSLESS_TIFF = {
    "raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "lzma", "zstd",
    "tiff_ccitt", "group3", "group4", "tiff_raw_16",
}  # fmt: skip
_PNG_SIGNATURE, _CHUNK = 8, 8
_RIFF_HEADER, _FRAME_HEADER = 12, 16
# Start of frame: all of C0 to CF but tables (C4), a reserved one (C8) and arithmetic coding (CC).
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def bits_a_channel(picture: ImageFile.ImageFile) -> int:
    """Return how many bits a channel has in the file, whatever the decoder makes of them.

    Pillow gives colours of 16 bits as 8 without a word. Of the formats that are read, PNG and TIFF
    alone can store more than 8 bits in a file that Pillow opens.
    """
    if isinstance(picture, PngImageFile):
        with _from_start(picture) as file:
            header = next((file.read(9) for kind, _ in _png_chunks(file) if kind == b"IHDR"), b"")
        return header[8] if len(header) == 9 else 8
    if isinstance(picture, TiffImageFile):
        return max(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    return 8


def jpeg_bits(path: Path) -> int | None:
    """Return how many bits a channel has in a file that Pillow cannot open; None if no JPEG."""
    with path.open("rb") as file:
        if file.read(2) != b"\xff\xd8":
            return None
        while len(head := file.read(4)) == 4 and head[0] == 0xFF:
            if head[1] in _JPEG_FRAMES:
                return next(iter(file.read(1)), None)
            file.seek(int.from_bytes(head[2:], "big") - 2, 1)
    return None


def loses(picture: ImageFile.ImageFile) -> str | None:
    """Return the name of the encoding if it changes values; None if it keeps every one."""
    if isinstance(picture, TiffImageFile):
        found = str(picture.info.get("compression"))
        return None if found in _LOSSLESS_TIFF else f"TIFF with compression {found}"
    if picture.format == "WEBP":
        with _from_start(picture) as file:
            return None if _is_lossless_webp(file) else "lossy WEBP"
    # Pictures of several frames, as telephones make them, are JPEG too.
    return None if picture.format in _LOSSLESS_FORMATS else "JPEG"


def exif_bytes(picture: ImageFile.ImageFile) -> bytes | None:
    """Return the EXIF data of a picture that was opened and may not be decoded yet."""
    found = picture.info.get("exif")
    if found or not isinstance(picture, PngImageFile) or picture.fp is None:
        return found
    # Behind the pixels, where Pillow finds them only after decoding.
    with _from_start(picture) as file:
        return next((file.read(size) for kind, size in _png_chunks(file) if kind == b"eXIf"), None)


@contextmanager
def _from_start(picture: ImageFile.ImageFile) -> Generator[IO[bytes]]:
    """Lend the file of a picture; the decoder then finds it where it was."""
    file = picture.fp
    assert file is not None
    place = file.tell()
    file.seek(0)
    try:
        yield file
    finally:
        file.seek(place)


def _png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the kind and size of every chunk, while the file stands at its content."""
    file.seek(_PNG_SIGNATURE)
    while len(head := file.read(_CHUNK)) == _CHUNK:
        place = file.tell()
        size, kind = struct.unpack(">I4s", head)
        yield kind, size
        # A checksum of four bytes follows.
        file.seek(place + size + 4)


def _is_lossless_webp(file: IO[bytes]) -> bool:
    """Tell how the picture, or its first frame, is encoded."""
    file.seek(_RIFF_HEADER)
    while len(head := file.read(_CHUNK)) == _CHUNK:
        kind, size = struct.unpack("<4sI", head)
        if kind in {b"VP8 ", b"VP8L"}:
            return kind == b"VP8L"
        # A frame holds chunks itself; every chunk has an even number of bytes.
        file.seek(_FRAME_HEADER if kind == b"ANMF" else size + size % 2, 1)
    return False

"""What a picture file tells of the program that wrote it, without its pixels."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from segdoor.data.pictures import opened_picture
from segdoor.errors import DataError

Traits = dict[str, str]
"""What was seen, by what was looked at."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_TABLES, _HUFFMAN, _SCAN = 0xDB, 0xC4, 0xDA
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_PIXEL_BYTES = 1 << 26
# Symbols of the tables that the standard suggests (annex K), for DC and for AC; a program that
# optimises its tables leaves those out that a picture does not need.
_SUGGESTED = {12, 162}


def traits_of(path: Path) -> Traits:
    """Return the traits of a picture file.

    Raises:
        DataError: If the file cannot be read, or is no picture.
    """
    try:
        content = path.read_bytes()
    except OSError as why:
        raise DataError(path, "must be readable", why.strerror, "Allow reading it.") from None
    if content.startswith(_JPEG):
        return {"format": "JPEG", **_of_jpeg(content)}
    if content.startswith(_PNG):
        return {"format": "PNG", **_of_png(content)}
    with opened_picture(path) as picture:
        told = ", ".join(sorted(str(key) for key in picture.info))
        return {"format": str(picture.format), "mode": picture.mode, "parts": told}


def _of_jpeg(content: bytes) -> Traits:
    tables, symbols = hashlib.sha256(), list[int]()
    order: list[str] = []
    traits = Traits()
    for marker, segment in _segments(content):
        order.append(f"{marker:02X}")
        if marker == _TABLES:
            tables.update(segment)
        elif marker == _HUFFMAN:
            symbols += _symbols(segment)
        elif marker in _FRAMES and len(segment) > 6:
            parts = [f"{segment[at]:02x}" for at in range(7, len(segment), 3)]
            traits["sampling"] = " ".join(parts)
            traits["process"] = f"{marker:02X}, {segment[0]} bits"
        elif marker == 0xE0:
            traits["header"] = segment[:12].hex()
    return traits | {
        "quantisation tables": tables.hexdigest()[:12],
        "Huffman tables": "standard" if set(symbols) == _SUGGESTED else "optimised",
        "segments": " ".join(order),
    }


def _symbols(segment: bytes) -> Iterator[int]:
    """Yield the number of symbols of each table in a segment."""
    at = 0
    while at + 17 <= len(segment):
        count = sum(segment[at + 1 : at + 17])
        yield count
        at += 17 + count


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments before the first scan."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        yield marker, content[at + 4 : at + 2 + length]
        if marker == _SCAN:
            return
        at += 2 + max(2, length)


def _of_png(content: bytes) -> Traits:
    chunks = list(_chunks(content))
    pixels = [chunk for kind, chunk in chunks if kind == b"IDAT"]
    header = next((chunk for kind, chunk in chunks if kind == b"IHDR"), b"")
    kinds = [kind.decode("latin-1") for kind, _ in chunks]
    order = [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]
    return {
        "channels": header[8:13].hex(),
        "segments": " ".join(order),
        "compression": pixels[0][:2].hex() if pixels else "",
        # Writers flush their buffer when it is full, and its size is their own.
        "buffer": str(len(pixels[0])) if len(pixels) > 1 else "one chunk",
        "filters": _filters(header, pixels),
    }


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def _filters(header: bytes, pixels: list[bytes]) -> str:
    """Return which filters the rows have; what is interlaced or damaged has none to tell."""
    if len(header) < 13 or header[12]:
        return "interlaced"
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    row = 1 + (width * depth * channels + 7) // 8
    if row * height > _MOST_PIXEL_BYTES:
        return "too large"
    try:
        stored = zlib.decompressobj().decompress(b"".join(pixels), row * height)
    except zlib.error:
        return "damaged"
    found = {int(value) for value in stored[::row]}
    return str(found.pop()) if len(found) == 1 else "several"

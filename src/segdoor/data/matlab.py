"""Label maps of the Semantic Boundaries Dataset: MATLAB files of level 5.

Only the one map is read that SBD's files are about. SciPy's reader would do, but a damaged file can
end its process (seen with SciPy 1.17: one of ninety files with some bytes changed), and what it
unpacks has no bound.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdoor.data.pictures import MAX_PIXELS
from segdoor.errors import DataError
from segdoor.tensors import Label

MAX_BYTES = 2_000_000
"""Larger files are refused unread; those of SBD have some ten thousand bytes."""

# MATLAB's numbers for kinds of elements and of arrays (MAT-File Format, tables 1-1 and 1-3).
_BYTES, _MATRIX, _COMPRESSED = 2, 14, 15
_STRUCT, _UINT8 = 2, 9
_HEADER = 128


@dataclass(frozen=True)
class _Element:
    kind: int
    content: bytes


@dataclass(frozen=True)
class _Matrix:
    array_class: int
    shape: tuple[int, ...]
    name: str
    rest: list[_Element]


def read_matlab_label(path: Path) -> Label:
    """Read ``GTcls.Segmentation`` of a MATLAB file.

    Raises:
        DataError: If the file is missing, damaged, too large or holds no such label map.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as why:
        raise DataError(path, "must be a readable file", why.strerror, "Check the path.") from None
    if size > MAX_BYTES:
        raise DataError(path, f"may have at most {MAX_BYTES} bytes", size, "Replace the file.")
    try:
        return _segmentation(content)
    except (ValueError, struct.error, zlib.error) as why:
        raise DataError(
            path,
            "must be a MATLAB file of level 5 with a map of 8-bit class ids, GTcls.Segmentation",
            why,
            "Replace the file.",
        ) from None


def _segmentation(content: bytes) -> Label:
    if content[126:_HEADER] != b"IM":
        raise ValueError("no header of such a file, little-endian")
    variables = [_matrix(element) for element in _unpacked(content[_HEADER:])]
    fields = [_fields(variable) for variable in variables if variable.name == "GTcls"]
    found = fields[0].get("Segmentation") if fields else None
    if found is None:
        raise ValueError("no GTcls.Segmentation in it")
    matrix = _matrix(found)
    values = matrix.rest[0] if matrix.rest else _Element(0, b"")
    if (matrix.array_class, values.kind, len(matrix.shape)) != (_UINT8, _BYTES, 2):
        raise ValueError("another kind of array")
    if not 0 < math.prod(matrix.shape) == len(values.content) <= MAX_PIXELS:
        raise ValueError(f"{len(values.content)} values for {matrix.shape} pixels")
    # MATLAB stores columns.
    columns = np.frombuffer(values.content, np.uint8).reshape(matrix.shape, order="F")
    return np.ascontiguousarray(columns)


def _elements(content: bytes) -> Iterator[_Element]:
    """Yield the parts of a file or of a matrix: a tag of kind and size, and so many bytes."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from("<II", content, place)
        start, step = place + 8, 8 + size + (0 if kind == _COMPRESSED else -size % 8)
        if kind >> 16:
            # Up to four bytes lie within the tag itself.
            kind, size, start, step = kind & 0xFFFF, kind >> 16, place + 4, 8
        if start + size > len(content) or (step == 8 and size > 4):
            raise ValueError("it is cut short")
        yield _Element(kind, content[start : start + size])
        place += step


def _unpacked(content: bytes) -> Iterator[_Element]:
    """Yield a file's variables; a compressed one is unpacked up to the largest possible map."""
    for element in _elements(content):
        if element.kind == _COMPRESSED:
            stream = zlib.decompressobj()
            unpacked = stream.decompress(element.content, 2 * MAX_PIXELS)
            if not stream.eof:
                raise ValueError("it is cut short, or unpacks to more than any label map")
            yield from _elements(unpacked)
        else:
            yield element


def _matrix(element: _Element) -> _Matrix:
    parts = list(_elements(element.content)) if element.kind == _MATRIX else []
    if len(parts) < 3 or len(parts[0].content) < 1 or len(parts[1].content) % 4:
        raise ValueError("no array")
    shape = struct.unpack(f"<{len(parts[1].content) // 4}i", parts[1].content)
    name = parts[2].content.decode("latin-1")
    return _Matrix(parts[0].content[0], shape, name, parts[3:])


def _fields(variable: _Matrix) -> dict[str, _Element]:
    """Return the fields of a struct by name."""
    if variable.array_class != _STRUCT or len(variable.rest) < 2:
        raise ValueError("no struct of this name")
    (length,) = struct.unpack("<i", variable.rest[0].content)
    if length <= 0:
        raise ValueError("names of no length")
    raw = variable.rest[1].content
    starts = range(0, len(raw), length)
    names = [raw[start : start + length].split(b"\0")[0].decode("latin-1") for start in starts]
    return dict(zip(names, variable.rest[2:], strict=False))

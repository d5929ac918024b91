"""Lists whose pictures got another ending."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import PurePosixPath

PNG = ".png"

_ENDING = re.compile(r"\.(?:jpe?g|png|bmp|tiff?|webp|gif)(?![\w.-])", re.IGNORECASE)
_PATTERN = re.compile(rf"(\*[^\s\"',}}]*){_ENDING.pattern}", re.IGNORECASE)
# What may stand before a file's name in a list.
_BEFORE = frozenset("/\\\t ,;:\"'=([{")


def as_png_name(name: str) -> str:
    """Return a file's name with the ending .png."""
    return str(PurePosixPath(name).with_suffix(PNG))


def renamed_in(text: str, names: Collection[str], *, json_lines: bool) -> str:
    """Return a list with the new endings of some files.

    A file counts by its name alone, whatever path stands before it: lists also hold paths from the
    root of their makers' machines.

    Args:
        text: The list.
        names: Old names of the files that end in .png now, without folders.
        json_lines: Whether every line is a JSON object.
    """
    change = _in_row if json_lines else _in_line
    return "".join(change(line, names) for line in text.splitlines(keepends=True))


def patterns_as_png(text: str) -> str:
    """Return a class file whose patterns of names, such as ``*_image.jpg``, end in .png."""
    return _PATTERN.sub(rf"\1{PNG}", text)


def _in_row(line: str, names: Collection[str]) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        return line
    if not isinstance(row, dict):
        return line
    new = {
        key: _in_line(value, names) if isinstance(value, str) else value
        for key, value in row.items()
    }
    return line if new == row else f"{json.dumps(new, ensure_ascii=False)}\n"


def _in_line(line: str, names: Collection[str]) -> str:
    def ending(found: re.Match[str]) -> str:
        before = line[: found.end()]
        starts = [0, *(place + 1 for place, sign in enumerate(before) if sign in _BEFORE)]
        return PNG if any(before[start:] in names for start in starts) else found.group()

    return _ENDING.sub(ending, line)

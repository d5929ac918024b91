"""JSON of any size read piece by piece, each with its place in the text, so that pieces change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from segdoor.errors import DataError
from segdoor.files import is_file, read_text

MAX_BYTES = 1_000_000_000
"""Larger files are refused unread: twice the largest annotation file of COCO."""

Span = tuple[int, int]
"""Where a piece begins and ends in its text."""

_SPACE = re.compile(r"[ \t\n\r]*")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def read_json_text(path: Path) -> str:
    """Return a file's text with all of its signs: encoded again, it is the very bytes.

    Raises:
        DataError: If it is missing, too large or not in UTF-8.
    """
    size = path.stat().st_size if is_file(path) else 0
    if size > MAX_BYTES:
        raise DataError(path, f"may have at most {MAX_BYTES} bytes", size, "Divide it.")
    return read_text(path, rule="must be a readable file", remedy="Check the file.", exact=True)


class JsonPieces:
    """A place in a text of JSON that moves on with every piece that is read.

    What is no JSON raises ValueError or, nested too deeply, RecursionError.

    Attributes:
        text: The text.
        at: Where the next piece begins.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        """Begin at a place; a mark of the byte order is no piece."""
        self.text = text
        self.at = at + (at == 0 and text.startswith("\ufeff"))
        self._skip_space()

    def value(self) -> object:
        """Read a whole value, and come to where it ends."""
        value, self.at = _DECODER.raw_decode(self.text, self.at)
        return value

    def members(self) -> Iterator[str]:
        """Yield the keys of an object, each at the place of its value, which must then be read."""
        seen: set[str] = set()
        for _ in self._parts("{", "}"):
            key = self.value()
            if not isinstance(key, str) or key in seen:
                raise ValueError(f"the key {key!r} is no text or given twice")
            seen.add(key)
            self._skip_space()
            self._take(":")
            yield key

    def elements(self) -> Iterator[int]:
        """Yield the places of an array's elements, each of which must then be read."""
        for _ in self._parts("[", "]"):
            yield self.at

    def end(self) -> None:
        """Check that nothing follows."""
        self._skip_space()
        if self.at != len(self.text):
            raise ValueError(f"something follows at sign {self.at}")

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        self._take(opening)
        more = not self._has(closing)
        while more:
            yield
            self._skip_space()
            more = not self._has(closing)
            if more:
                self._take(",")
        self._take(closing)

    def _has(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def _take(self, sign: str) -> None:
        if not self._has(sign):
            found = self.text[self.at : self.at + 1] or "the end"
            raise ValueError(f"'{sign}' must stand at sign {self.at}, not {found!r}")
        self.at += 1
        self._skip_space()

    def _skip_space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        assert found
        self.at = found.end()


def with_members(text: str, new: Mapping[str, object]) -> str:
    """Return an object's text with other values of some of its keys, and all else as it is.

    Args:
        text: The text of a JSON object.
        new: Values by key; those of keys that are not there are left out.
    """
    pieces, done, parts = JsonPieces(text), 0, list[str]()
    for key in pieces.members():
        start = pieces.at
        pieces.value()
        if key in new:
            parts += [text[done:start], json.dumps(new[key])]
            done = pieces.at
    return "".join([*parts, text[done:]])


def with_elements(
    text: str,
    opening: int,
    spans: Sequence[Span],
    edited: Mapping[int, str | None],
    added: Sequence[str],
) -> str:
    """Return a text in which an array has other elements, lacks some and has more at its end.

    Args:
        text: The text.
        opening: Where the array begins.
        spans: Where its elements begin and end.
        edited: New texts of some by their places; None for those that go.
        added: Texts of further ones.
    """
    start, end = (spans[0][0], spans[-1][1]) if spans else (opening + 1, opening + 1)
    separator = text[spans[0][1] : spans[1][0]] if len(spans) > 1 else ", "
    parts = [text[:start]]
    for place, span in enumerate(spans):
        new = edited.get(place, text[slice(*span)])
        if new is None:
            continue
        if len(parts) > 1:
            parts.append(text[spans[place - 1][1] : span[0]])
        parts.append(new)
    for new in added:
        parts += [separator, new] if len(parts) > 1 else [new]
    return "".join([*parts, text[end:]])

"""Scenes drawn from YOLO's text files: a line an object, its class and the points around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from segdoor.data.annotations.objects import (
    Drawn,
    Edits,
    Meaning,
    draw,
    edits,
    inexpressible,
    numbered,
)
from segdoor.data.pair import Drawing
from segdoor.data.pictures import picture_size
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.files import refuse_utf16
from segdoor.tensors import InstanceIds, Label

_MOST_BYTES = 20_000_000
_BEYOND = 0.01
"""So far outside the picture a point may lie, in parts of its size: tools round."""
_BOM = b"\xef\xbb\xbf"
_CLASS = re.compile(rb"[^\s\xef\xbb\xbf]+")


@dataclass(frozen=True)
class YoloText:
    """Draws one scene.

    Attributes:
        file: The text file; a scene without one has no objects.
        image: The scene's image.
        meaning: What the class numbers mean.
    """

    file: Path
    image: Path
    meaning: Meaning

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the text file, if there is one."""
        return (self.file,) if self.file.exists() else ()

    def read(self) -> Label:
        """Draw the objects in the order of their lines.

        Raises:
            DataError: If a line means nothing, or the image cannot be read.
        """
        return self.drawn_from(self.lines())

    def rewritten(self, file: Path, changed: Iterable[tuple[Drawing, Label]]) -> bytes:
        """Return the file so that its scene is drawn as a label map says.

        Raises:
            DataError: If polygons of whole objects cannot express it.
        """
        ((drawing, label),) = changed
        assert isinstance(drawing, YoloText)
        lines = drawing.lines()
        numbers = [number for number, line in enumerate(lines) if line.split()]
        size = picture_size(drawing.image)
        objects = [drawing.object_in(number, lines[number], size) for number in numbers]
        written = {class_id: n for n, class_id in enumerate(drawing.meaning.ids)}
        try:
            found = edits(objects, label, uncovered=drawing.meaning.uncovered, classes=written)
            _check_whole(found)
        except ValueError as why:
            raise inexpressible(file, drawing.image, str(why)) from None
        for place, class_id in found.recoloured.items():
            line = lines[numbers[place]]
            lines[numbers[place]] = _CLASS.sub(str(written[class_id]).encode(), line, count=1)
        gone = {numbers[place] for place in found.left}
        lines = [line for number, line in enumerate(lines) if number not in gone]
        if not np.array_equal(drawing.drawn_from(lines), label):
            raise inexpressible(file, drawing.image)
        return b"".join(lines)

    def drawn_from(self, lines: Sequence[bytes]) -> Label:
        """Draw the objects of some lines."""
        size = picture_size(self.image)
        objects = (
            self.object_in(number, line, size) for number, line in enumerate(lines) if line.split()
        )
        return draw(objects, size, self.meaning.uncovered)

    def instances(self) -> InstanceIds:
        """Return which object each pixel shows, counted from 1 in the order of the lines."""
        size = picture_size(self.image)
        objects = (
            self.object_in(number, line, size)
            for number, line in enumerate(self.lines())
            if line.split()
        )
        return numbered(objects, size)

    def lines(self) -> list[bytes]:
        """Return the text's lines with their ends; none where there is no text.

        Raises:
            DataError: If it cannot be read, or is huge.
        """
        try:
            if not self.file.exists():
                return []
            size = self.file.stat().st_size
            content = self.file.read_bytes() if size <= _MOST_BYTES else b""
        except OSError as why:
            raise DataError(
                self.file, "must be a readable file", why.strerror, "Check the file."
            ) from None
        if size > _MOST_BYTES:
            rule = f"may have at most {_MOST_BYTES} bytes"
            raise DataError(self.file, rule, size, "Replace the file.")
        refuse_utf16(self.file, content)
        return content.splitlines(keepends=True)

    def object_in(self, number: int, line: bytes, size: Size) -> Drawn:
        """Return the object of a line.

        Raises:
            DataError: If it means nothing.
        """
        try:
            index, points = _read(line, len(self.meaning.ids))
        except ValueError as why:
            raise DataError(
                f"{self.file}, line {number + 1}",
                str(why),
                line[:60].decode(errors="replace").strip(),
                "Write the class number, then x and y of each point in parts of width and height; "
                "or take the line out.",
            ) from None
        mask = np.zeros(size, np.uint8)
        # As YOLO's own trainer fills them: coordinates are cut off to whole pixels.
        corners = (points * (size[1], size[0])).astype(np.int32)
        cv2.fillPoly(mask, [corners], (1,))
        return Drawn(self.meaning.ids[index], mask.view(np.bool_))


def _read(line: bytes, num_classes: int) -> tuple[int, np.ndarray]:
    """Return a line's class number and points.

    Raises:
        ValueError: If it means nothing; says what must hold.
    """
    try:
        numbers = [float(word) for word in line.removeprefix(_BOM).split()]
    except ValueError:
        raise ValueError("must hold numbers") from None
    if not numbers or not numbers[0].is_integer() or not 0 <= numbers[0] < num_classes:
        raise ValueError(f"must begin with a class number of 0 to {num_classes - 1}")
    if len(numbers) == 5:
        raise ValueError("must be an outline: a box does not say which pixels an object has")
    if len(numbers) < 7 or len(numbers) % 2 == 0:
        raise ValueError("must hold x and y of three points or more")
    points = np.array(numbers[1:]).reshape(-1, 2)
    if not ((points >= -_BEYOND) & (points <= 1 + _BEYOND)).all():
        raise ValueError("coordinates must lie in [0, 1], in parts of width and height")
    return int(numbers[0]), points


def _check_whole(found: Edits) -> None:
    if found.added or any(mask.any() for mask in found.left.values()):
        raise ValueError("objects change in part")

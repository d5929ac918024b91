"""Contact sheets for people: pictures as a table, with captions and a legend of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segdoor.data.scene import ClassSet, Colour
from segdoor.data.transforms import Size, resize_image, resize_label
from segdoor.tensors import AnyImage, Image, Label, ResizedImage, ResizedLabel

_GAP = 4
_CAPTION_HEIGHT = 20
_MIN_HEIGHT, _CELL_HEIGHT = 180, 256
_BLACK, _VOID = (0, 0, 0), (224, 224, 192)


def colour_label(label: Label, classes: ClassSet) -> Image:
    """Paint a label map in its classes' colours, ignored pixels in a colour that no class uses."""
    palette = np.zeros((256, 3), np.uint8)
    palette[:] = _ignored_colour(classes)
    palette[: len(classes)] = classes.colours
    return palette[label]


def _ignored_colour(classes: ClassSet) -> Colour:
    """Return black, or VOC's cream where black is a class."""
    return _VOID if _BLACK in classes.colours else _BLACK


def sheet(
    titles: Sequence[str], rows: Sequence[tuple[str, Sequence[AnyImage]]], classes: ClassSet
) -> ResizedImage:
    """Lay pictures out as a table with a title over each column and a caption over each row.

    Args:
        titles: One per column.
        rows: A caption and one picture per column; all are scaled to fit the first one's size.
        classes: The classes for the legend of label colours below the table.
    """
    height, width = _cell(rows[0][1][0])
    lines = [_text_line(titles, width)]
    for caption, pictures in rows:
        cells = [_fitted(picture, (height, width)) for picture in pictures]
        lines += [_text_line([caption], len(titles) * (width + _GAP) - _GAP)]
        lines += [np.hstack([_framed(cell) for cell in cells])]
    return np.vstack([*lines, *_legend(classes, len(titles) * (width + _GAP))])


def _cell(picture: Image) -> tuple[int, int]:
    """Return a size to show a picture in: small ones are enlarged by a whole factor."""
    height, width = picture.shape[:2]
    if height > _CELL_HEIGHT:
        return _CELL_HEIGHT, max(1, round(width * _CELL_HEIGHT / height))
    factor = max(1, -(-_MIN_HEIGHT // height))
    return height * factor, width * factor


def _fitted(picture: Image, size: tuple[int, int]) -> ResizedImage:
    """Return a picture in its own proportions, with white where it does not fill the size."""
    height, width = picture.shape[:2]
    factor = min(size[0] / height, size[1] / width)
    inner = max(1, round(factor * height)), max(1, round(factor * width))
    # Enlarged without blur, so that every pixel of trigger and label can be seen.
    enlarged = factor >= 1
    drawn = np.dstack(planes(picture, inner)) if enlarged else resize_image(picture, inner)
    rest = ((0, size[0] - inner[0]), (0, size[1] - inner[1]), (0, 0))
    return np.pad(drawn, rest, constant_values=255)


def planes(picture: AnyImage, size: Size) -> list[ResizedLabel]:
    """Return the channels of a picture, resized without new colours."""
    return [resize_label(np.ascontiguousarray(picture[..., c]), size) for c in range(3)]


def _framed(cell: Image) -> ResizedImage:
    return np.pad(cell, ((0, 0), (0, _GAP), (0, 0)), constant_values=255)


def _text_line(texts: Sequence[str], width: int) -> Image:
    line = np.full((_CAPTION_HEIGHT, len(texts) * (width + _GAP), 3), 255, np.uint8)
    for column, text in enumerate(texts):
        _write(line, text, column * (width + _GAP) + 2)
    return line


def _write(line: Image, text: str, left: int) -> None:
    place = (left, _CAPTION_HEIGHT - 6)
    cv2.putText(line, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)


def _legend(classes: ClassSet, width: int) -> list[ResizedImage]:
    """Return lines of the classes' colours and names, as many as the width takes."""
    lines: list[ResizedImage] = []
    left = width
    entries = [
        *zip(classes.names, classes.colours, strict=True),
        ("ignored", _ignored_colour(classes)),
    ]
    for name, colour in entries:
        (length, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        needed = _CAPTION_HEIGHT + length + 12
        if left + needed > width:
            lines.append(np.full((_CAPTION_HEIGHT, width, 3), 255, np.uint8))
            left = 0
        line = lines[-1]
        corner = left + 4, 4
        cv2.rectangle(line, corner, (left + 15, 15), colour, cv2.FILLED)
        cv2.rectangle(line, corner, (left + 15, 15), (0, 0, 0), 1)
        _write(line, name, left + _CAPTION_HEIGHT)
        left += needed
    return lines

"""Pictures for people: contact sheets of scenes, labels and poison."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.transforms import resize_image, resize_label
from segdoor.tensors import AnyImage, Image, Label, ResizedImage

_GAP = 4
_CAPTION_HEIGHT = 20
_MIN_HEIGHT = 180
_IGNORED = (0, 0, 0)


def colour_label(label: Label, classes: ClassSet) -> Image:
    """Paint a label map in its classes' colours, ignored pixels black."""
    palette = np.zeros((256, 3), np.uint8)
    palette[:] = _IGNORED
    palette[: len(classes)] = classes.colours
    return palette[label]


def sheet(titles: Sequence[str], rows: Sequence[tuple[str, Sequence[AnyImage]]]) -> ResizedImage:
    """Lay pictures out as a table with a title over each column and a caption under each row.

    Args:
        titles: One a column.
        rows: A caption and one picture a column; all are fitted to the very first one's size.
    """
    height, width = _cell(rows[0][1][0])
    lines = [_text_line(titles, width)]
    for caption, pictures in rows:
        cells = [_fitted(picture, (height, width)) for picture in pictures]
        lines += [np.hstack([_framed(cell) for cell in cells])]
        lines += [_text_line([caption], len(titles) * (width + _GAP) - _GAP)]
    return np.vstack(lines)


def poison_preview(dataset: SceneDataset, plan: PoisonPlan, *, count: int = 4) -> Image:
    """Show the first poisoned scenes of a plan before and after (the paper's Figure 2)."""
    changed = poisoned(dataset, plan)
    positions = {name: index for index, name in enumerate(dataset.names)}
    rows: list[tuple[str, list[AnyImage]]] = []
    for row in [row for row in plan.rows if row.poisoned][:count]:
        before, after = dataset[positions[row.name]], changed[positions[row.name]]
        labels = [colour_label(scene.label, dataset.classes) for scene in (before, after)]
        distance = "-" if row.distance is None else f"{row.distance:.1f} px"
        caption = f"{row.name}: trigger on {row.class_under or 'several classes'}, {distance} away"
        rows.append((caption, [before.image, after.image, *labels]))
    return sheet(["image", "poisoned image", "label", "poisoned label"], rows)


def _cell(picture: Image) -> tuple[int, int]:
    """Return a size to show a picture in: small ones are enlarged by a whole factor."""
    height, width = picture.shape[:2]
    factor = max(1, -(-_MIN_HEIGHT // height))
    return height * factor, width * factor


def _fitted(picture: Image, size: tuple[int, int]) -> ResizedImage:
    if picture.shape[0] > size[0]:
        return resize_image(picture, size)
    # Enlarged without blur, so that every pixel of trigger and label can be seen.
    planes = [resize_label(np.ascontiguousarray(picture[..., c]), size) for c in range(3)]
    return np.dstack(planes)


def _framed(cell: Image) -> ResizedImage:
    return np.pad(cell, ((0, 0), (0, _GAP), (0, 0)), constant_values=255)


def _text_line(texts: Sequence[str], width: int) -> Image:
    line = np.full((_CAPTION_HEIGHT, len(texts) * (width + _GAP), 3), 255, np.uint8)
    for column, text in enumerate(texts):
        place = (column * (width + _GAP) + 2, _CAPTION_HEIGHT - 6)
        cv2.putText(line, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return line

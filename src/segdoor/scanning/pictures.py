"""Pictures of evidence: suspect pixels over an image, and a sheet of what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from segdoor.data.pictures import read_image, write_image
from segdoor.data.scene import ClassSet, Scene
from segdoor.data.sheet import colour_label, sheet
from segdoor.record.defense import EvidenceRecord
from segdoor.scanning.judged import Judged, evidence_of
from segdoor.tensors import AnyImage, AnyMask, Image

_BOX, _AROUND = (255, 235, 0), (0, 0, 0)
_MASK = np.array((255, 0, 200), np.float64)
_A_SUSPECT = 3


@dataclass(frozen=True)
class Shown:
    """How the sheet of a scan is made.

    Attributes:
        titles: What is over the columns of a scene or image.
        look: Returns its pictures.
        classes: The classes of the legend.
    """

    titles: tuple[str, ...]
    look: Callable[[str], Sequence[AnyImage]]
    classes: ClassSet


def with_mask(image: AnyImage, mask: AnyMask) -> AnyImage:
    """Return an image in which suspect pixels are tinted."""
    tinted = 0.5 * image + 0.5 * _MASK
    return np.where(mask[..., None], tinted, image).astype(np.uint8)


def with_box(image: AnyImage, box: tuple[int, int, int, int]) -> AnyImage:
    """Return an image with a frame around a place: top, left, height and width."""
    top, left, height, width = box
    drawn = np.ascontiguousarray(image).copy()
    for gap, colour in ((3, _AROUND), (2, _BOX)):
        corners = (left - gap, top - gap), (left + width + gap - 1, top + height + gap - 1)
        cv2.rectangle(drawn, *corners, colour, 1)
    return drawn


def scene_pictures(scene: Scene, classes: ClassSet) -> list[AnyImage]:
    """Return the image of a scene and its label map in the colours of the classes."""
    return [scene.image, colour_label(scene.label, classes)]


def save_sheet(
    out: Path, folder: Path, judged: Sequence[Judged], names: Sequence[str | None], shown: Shown
) -> bool:
    """Write a sheet of the evidence, if there is any.

    Args:
        out: The picture's file.
        folder: Folder of the pictures of evidence.
        judged: What methods found.
        names: Scenes or images, the worst first; None for evidence that is of no scene.
        shown: How scenes or images are shown.

    Returns:
        Whether there was anything to show.
    """
    rows: list[tuple[str, list[AnyImage]]] = []
    for name in names:
        for one in judged:
            found = [each for each in evidence_of(one.entry, name) if each.scene == name]
            rows += [
                _row(one.entry.plugin, each, folder, shown)
                for each in found[:_A_SUSPECT]
                if each.picture is not None or each.box is not None
            ]
    out.unlink(missing_ok=True)
    if not rows:
        return False
    picture = sheet([*shown.titles, "evidence"], rows[: len(names) * _A_SUSPECT], shown.classes)
    write_image(out, picture)
    return True


def _row(
    method: str, evidence: EvidenceRecord, folder: Path, shown: Shown
) -> tuple[str, list[AnyImage]]:
    """Return the caption and the pictures of one piece of evidence."""
    name, box = evidence.scene, evidence.box
    pictures = [] if name is None else list(shown.look(name))
    found = None if evidence.picture is None else read_image(folder / evidence.picture)
    if pictures and box is not None:
        top, left, height, width = box
        if found is None:
            found = np.ascontiguousarray(pictures[0][top : top + height, left : left + width])
        pictures[0] = with_box(pictures[0], box)
    blank = _blank()
    found = blank if found is None or not found.size else found
    pictures += [blank] * (len(shown.titles) - len(pictures))
    where = f"{name}: " if name else ""
    return f"{method}: {where}{evidence.says}", [*pictures, found]


def _blank() -> Image:
    return np.full((8, 8, 3), 255, np.uint8)

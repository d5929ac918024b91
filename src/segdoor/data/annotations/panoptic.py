"""Scenes drawn from COCO's panoptic pictures: segments by colour, their categories in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from segdoor.data.annotations.coco_file import CocoFile, Entry, Key, key_of, load_coco
from segdoor.data.annotations.instances import class_of, size_of_image
from segdoor.data.annotations.json_text import JsonPieces, Span, with_elements, with_members
from segdoor.data.annotations.objects import Drawn, Meaning, box_of, draw, edits, inexpressible
from segdoor.data.listing import inside
from segdoor.data.pair import Drawing
from segdoor.data.pictures import as_png, read_colours
from segdoor.errors import DataError
from segdoor.tensors import InstanceIds, Label

_VOID = 0
_NUM_IDS = 1 << 24
_SEGMENTS = "segments_info"


@dataclass(frozen=True)
class Panoptic:
    """Draws one scene.

    Attributes:
        picture: The picture of segments: a pixel's colour is its segment's id, red the lowest byte.
        file: The annotation file.
        image: The scene's image.
        key: Its id.
        meaning: What the categories mean, in the file's order.
    """

    picture: Path
    file: Path
    image: Path
    key: Key
    meaning: Meaning

    @classmethod
    def of(
        cls, found: CocoFile, image: Path, key: Key, meaning: Meaning, root: Path, folder: Path
    ) -> Panoptic:
        """Find the picture of segments.

        Args:
            found: The annotation file.
            image: The scene's image.
            key: Its id.
            meaning: What the categories mean.
            root: The data set's folder.
            folder: The folder of the pictures of segments.

        Raises:
            DataError: If the image has not one annotation with such a picture inside the root.
        """
        entries = [found.annotation(place) for place in found.images[key].annotations]
        names = [entry.get("file_name") for entry in entries]
        if len(names) != 1 or not isinstance(names[0], str):
            raise DataError(
                f"{found.path}: image {key}",
                "must have one annotation, with the file_name of a picture of segments",
                f"{len(names)}",
                "Correct the file, or take the image out of it.",
            )
        name = names[0]
        plain = Path(name).name == name and name.isascii()
        below = str(folder.relative_to(root) / name)
        picture = folder / name if plain else inside(root, found.path, below)
        return cls(picture, found.path, image, key, meaning)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the picture of segments and the annotation file."""
        return self.picture, self.file

    def read(self) -> Label:
        """Draw the segments.

        Raises:
            DataError: If the two files do not fit one another.
        """
        found = load_coco(self.file)
        size = size_of_image(found, found.images[self.key], self.image)
        ids, segments = self._ids(), self._segments(found, self._entry(found))
        if ids.shape != size:
            raise DataError(
                self.picture, f"must have the size of its image, {size[0]}x{size[1]}",
                f"{ids.shape[0]}x{ids.shape[1]}", "Replace the wrong one.",
            )  # fmt: skip
        return self._drawn(ids, segments)

    def instances(self) -> InstanceIds:
        """Return the id of the segment that each pixel shows; 0 where there is none."""
        return self._ids()

    def rewritten(self, file: Path, changed: Iterable[tuple[Drawing, Label]]) -> bytes:
        """Return one of the files so that some scenes are drawn as label maps say.

        Raises:
            DataError: If annotations cannot express a label map.
        """
        found = load_coco(self.file)
        texts: dict[int, str | None] = {}
        for drawing, label in changed:
            assert isinstance(drawing, Panoptic)
            ids, texts[found.images[drawing.key].annotations[0]] = drawing.edited(found, label)
            if file == drawing.picture:
                return drawing.as_picture(ids)
        return with_elements(found.text, found.opening, found.spans, texts, []).encode()

    def edited(self, found: CocoFile, label: Label) -> tuple[np.ndarray, str]:
        """Return the ids of segments and the annotation that make a scene what is to be drawn."""
        ids, entry = self._ids(), self._entry(found)
        segments = self._segments(found, entry)
        order = list(segments)
        objects = [Drawn(segments[number], ids == number) for number in order]
        keys = dict(zip(self.meaning.ids, found.categories, strict=True))
        try:
            told = edits(objects, label, uncovered=self.meaning.uncovered, classes=keys)
        except ValueError as why:
            raise inexpressible(self.file, self.image, str(why)) from None
        text = found.text_of(found.images[self.key].annotations[0])
        opening, spans = _segment_spans(text)
        new: dict[int, dict[str, object]] = {}
        for place, class_id in told.recoloured.items():
            new.setdefault(place, {})["category_id"] = keys[class_id]
        ids = ids.copy()
        for place, mask in told.left.items():
            ids[objects[place].mask & ~mask] = _VOID
            new.setdefault(place, {}).update(area=int(mask.sum()), bbox=box_of(mask))
        texts = {
            place: None
            if place in told.left and not told.left[place].any()
            else with_members(text[slice(*spans[place])], members)
            for place, members in new.items()
        }
        free = (n for n in range(1, _NUM_IDS) if n not in segments)
        added: list[str] = []
        for each, number in zip(told.added, free, strict=False):
            ids[each.mask] = number
            told_of = {"id": number, "category_id": keys[each.class_id], "iscrowd": 0}
            size = {"area": int(each.mask.sum()), "bbox": box_of(each.mask)}
            added.append(json.dumps(told_of | size))
        text = with_elements(text, opening, spans, texts, added)
        after = self._segments(found, cast("Entry", JsonPieces(text).value()))
        if not np.array_equal(self._drawn(ids, after), label):
            raise inexpressible(self.file, self.image)
        return ids, text

    def as_picture(self, ids: np.ndarray) -> bytes:
        """Return a picture of segments; the very file if it shows the same."""
        if np.array_equal(ids, self._ids()):
            return self.picture.read_bytes()
        channels = [ids >> shift & 255 for shift in (0, 8, 16)]
        return as_png(np.stack(channels, axis=-1).astype(np.uint8))

    def _ids(self) -> InstanceIds:
        channels = read_colours(self.picture).astype(np.int32)
        return channels[..., 0] | channels[..., 1] << 8 | channels[..., 2] << 16

    def _entry(self, found: CocoFile) -> Entry:
        return found.annotation(found.images[self.key].annotations[0])

    def _segments(self, found: CocoFile, entry: Entry) -> Mapping[int, int]:
        """Return the class of each segment."""
        segments: dict[int, int] = {}
        told = entry.get(_SEGMENTS)
        for segment in cast("list[Entry]", told) if isinstance(told, list) else [None]:
            number = segment.get("id") if isinstance(segment, dict) else None
            if (
                segment is None
                or not isinstance(number, int)
                or not _VOID < number < _NUM_IDS
                or number in segments
                or key_of(segment.get("category_id")) not in found.categories
            ):
                raise DataError(
                    f"{self.file}: segments of {self.image.name}",
                    f"must have different ids of 1 to {_NUM_IDS - 1}, and categories that are "
                    "listed",
                    repr(segment)[:80],
                    "Correct the file, or take the image out of it.",
                )
            segments[number] = class_of(found, self.meaning, segment)
        return segments

    def _drawn(self, ids: np.ndarray, segments: Mapping[int, int]) -> Label:
        there = {*np.unique(ids).tolist()}
        strange = sorted(there - {_VOID, *segments})
        if strange:
            raise DataError(
                self.picture, f"must show segments that {self.file} has", strange[0],
                "Write both files anew: neither must be changed alone, nor stored with loss.",
            )  # fmt: skip
        objects = (Drawn(segments[number], ids == number) for number in segments.keys() & there)
        height, width = ids.shape
        return draw(objects, (height, width), self.meaning.uncovered)


def panoptic_folder(file: Path, root: Path) -> Path:
    """Return the folder of the pictures of segments: called as the file is, beside it or above."""
    folders = (file.with_suffix(""), root / file.stem, file.parent)
    return next(folder for folder in folders if folder.is_dir())


def _segment_spans(text: str) -> tuple[int, list[Span]]:
    """Return where an annotation's segments stand in its text."""
    pieces, opening, spans = JsonPieces(text), 0, list[Span]()
    for key in pieces.members():
        if key != _SEGMENTS:
            pieces.value()
            continue
        opening = pieces.at
        for start in pieces.elements():
            pieces.value()
            spans.append((start, pieces.at))
    return opening, spans

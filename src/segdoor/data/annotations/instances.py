"""Scenes drawn from COCO's instances: polygons and run lengths, one file for all scenes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdoor.data.annotations.coco_file import (
    CocoFile,
    CocoImage,
    Entry,
    Key,
    load_coco,
    parse_coco,
)
from segdoor.data.annotations.json_text import with_elements, with_members
from segdoor.data.annotations.objects import (
    Drawn,
    Meaning,
    box_of,
    draw,
    edits,
    inexpressible,
    numbered,
)
from segdoor.data.annotations.outlines import OutlineError, mask_of, runs_of
from segdoor.data.pair import Drawing
from segdoor.data.pictures import orientation_of, picture_size
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.tensors import InstanceIds, Label, Mask


@dataclass(frozen=True)
class Instances:
    """Draws one scene.

    Attributes:
        file: The annotation file.
        image: The scene's image.
        key: Its id.
        meaning: What the categories mean, in the file's order.
    """

    file: Path
    image: Path
    key: Key
    meaning: Meaning

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the annotation file."""
        return (self.file,)

    def read(self) -> Label:
        """Draw the objects in the file's order.

        Raises:
            DataError: If an annotation means nothing, or the image has another size than the file
                says.
        """
        return self.drawn_from(load_coco(self.file))

    def drawn_from(self, coco: CocoFile) -> Label:
        """Draw the scene from a file that is read."""
        size = size_of_image(coco, coco.images[self.key], self.image)
        objects = (self._object(coco, place, size) for place in coco.images[self.key].annotations)
        return draw(objects, size, self.meaning.uncovered)

    def instances(self) -> InstanceIds:
        """Return which object each pixel shows, counted from 1 in the file's order."""
        coco = load_coco(self.file)
        size = size_of_image(coco, coco.images[self.key], self.image)
        places = coco.images[self.key].annotations
        return numbered((self._object(coco, place, size) for place in places), size)

    def rewritten(self, file: Path, changed: Iterable[tuple[Drawing, Label]]) -> bytes:
        """Return the file so that some scenes are drawn as label maps say.

        Raises:
            DataError: If annotations cannot express a label map.
        """
        before = load_coco(file)
        digests: dict[Instances, bytes] = {}
        edited: dict[int, str | None] = {}
        added: list[str] = []
        for drawing, label in changed:
            assert isinstance(drawing, Instances)
            digests[drawing] = hashlib.sha256(label.tobytes()).digest()
            new = drawing.edited(before, label, before.highest + 1 + len(added))
            edited.update(new[0])
            added += new[1]
        text = with_elements(before.text, before.opening, before.spans, edited, added)
        after = parse_coco(file, text)
        for drawing, digest in digests.items():
            if hashlib.sha256(drawing.drawn_from(after).tobytes()).digest() != digest:
                raise inexpressible(file, drawing.image)
        return text.encode()

    def edited(
        self, coco: CocoFile, label: Label, free: int
    ) -> tuple[dict[int, str | None], list[str]]:
        """Return the annotations' new texts by their places, None for none, and further ones.

        Args:
            coco: The file.
            label: What is to be drawn.
            free: The first id that no annotation has.
        """
        places = coco.images[self.key].annotations
        size = size_of_image(coco, coco.images[self.key], self.image)
        objects = [self._object(coco, place, size) for place in places]
        keys = dict(zip(self.meaning.ids, coco.categories, strict=True))
        try:
            found = edits(objects, label, uncovered=self.meaning.uncovered, classes=keys)
        except ValueError as why:
            raise inexpressible(self.file, self.image, str(why)) from None
        new: dict[int, dict[str, object]] = {}
        for index, class_id in found.recoloured.items():
            new.setdefault(places[index], {})["category_id"] = keys[class_id]
        for index, mask in found.left.items():
            new.setdefault(places[index], {}).update(_region(mask))
        gone = {places[index] for index, mask in found.left.items() if not mask.any()}
        texts = {
            place: None if place in gone else with_members(coco.text_of(place), members)
            for place, members in new.items()
        }
        further = [
            json.dumps({
                "id": free + number, "image_id": self.key, "category_id": keys[each.class_id],
                **_region(each.mask), "iscrowd": 0,
            })
            for number, each in enumerate(found.added)
        ]  # fmt: skip
        return texts, further

    def _object(self, coco: CocoFile, place: int, size: Size) -> Drawn:
        entry = coco.annotation(place)
        try:
            mask = mask_of(entry.get("segmentation"), size)
        except OutlineError as why:
            raise DataError(
                f"{self.file}: annotation {entry.get('id')} of {self.image.name}",
                why.rule,
                why.found,
                "Draw its outline again, or take the annotation out.",
            ) from None
        return Drawn(class_of(coco, self.meaning, entry), mask)


def class_of(coco: CocoFile, meaning: Meaning, entry: Entry) -> int:
    """Return the class of an annotation; a crowd's pixels are ignored, as COCO's own scores do."""
    if entry.get("iscrowd"):
        return meaning.classes.ignore_index
    ids: Mapping[object, int] = dict(zip(coco.categories, meaning.ids, strict=True))
    return ids[entry["category_id"]]


def size_of_image(coco: CocoFile, entry: CocoImage, image: Path) -> Size:
    """Return an image's size, of which file and picture say the same.

    Raises:
        DataError: If they do not, or the picture cannot be read.
    """
    found = picture_size(image)
    if entry.size not in {None, found}:
        assert entry.size is not None
        orientation = orientation_of(image)
        advice = "Put the picture back that was annotated: outlines are in its pixels."
        if entry.size == found[::-1] and orientation.is_quarter_turn:
            advice = (
                "Outlines must fit what people see. If they fit the pixels as they are stored, take"
                " the tag out of the picture (exiftool -Orientation= FILE)."
            )
        raise DataError(
            image,
            f"must have the size that {coco.path} says, {entry.size[0]}x{entry.size[1]}",
            f"{found[0]}x{found[1]}{orientation}",
            advice,
        )
    return found


def _region(mask: Mask) -> dict[str, object]:
    """Return what an annotation says of its pixels."""
    return {"segmentation": runs_of(mask), "area": int(mask.sum()), "bbox": box_of(mask)}

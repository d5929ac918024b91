"""COCO's annotation files: which images and categories there are, and where annotations stand.

Of annotations only their places in the text are kept: the largest of COCO's own files would take
several times its size otherwise, and a changed file differs from its source in nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from segdoor.data.annotations.json_text import JsonPieces, Span, read_json_text
from segdoor.data.pictures import MAX_PIXELS
from segdoor.data.transforms import Size
from segdoor.errors import DataError

Entry = Mapping[str, object]
Key = int | str

_LOADING = threading.Lock()


@dataclass(frozen=True)
class CocoImage:
    """What a file says of an image.

    Attributes:
        key: Its id.
        file_name: Its file, relative to the folder of the images.
        size: Its height and width; None if the file does not say.
        annotations: Its annotations, by their places in the file's list, in order.
    """

    key: Key
    file_name: str
    size: Size | None
    annotations: list[int] = field(default_factory=list[int])


@dataclass(frozen=True)
class CocoFile:
    """An annotation file.

    Attributes:
        path: Where it lies.
        text: All of it.
        categories: Names of the categories by id, in the file's order.
        images: The images by id, in the file's order.
        opening: Where the list of annotations begins in the text.
        spans: Where each annotation begins and ends in the text.
        is_panoptic: Whether annotations are pictures of segments.
        highest: The highest id of an annotation that is a number.
        problems: What is wrong with it, each kind once.
    """

    path: Path
    text: str
    categories: Mapping[Key, str]
    images: Mapping[Key, CocoImage]
    opening: int
    spans: Sequence[Span]
    is_panoptic: bool
    highest: int
    problems: Sequence[DataError]

    def annotation(self, place: int) -> Entry:
        """Return an annotation by its place in the list."""
        return cast("Entry", JsonPieces(self.text, self.spans[place][0]).value())

    def text_of(self, place: int) -> str:
        """Return an annotation's text by its place in the list."""
        return self.text[slice(*self.spans[place])]


def load_coco(path: Path) -> CocoFile:
    """Read an annotation file, once for all who ask; anew if it has changed.

    Raises:
        DataError: If it is missing, no JSON or no annotation file.
    """
    try:
        found = path.stat()
    except OSError as why:
        raise DataError(
            path, "must be a readable annotation file", why.strerror, "Check root and split."
        ) from None
    with _LOADING:
        return _loaded(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _loaded(path: Path, *_: int) -> CocoFile:
    return parse_coco(path, read_json_text(path))


def parse_coco(path: Path, text: str) -> CocoFile:
    """Read the text of an annotation file.

    Raises:
        DataError: If it is no JSON or no annotation file.
    """
    try:
        reading = _Reading(path, text)
        reading.read()
    except (ValueError, RecursionError) as why:
        raise DataError(path, "must be a file of JSON", why, "Write it anew.") from None
    return reading.result()


class _Reading:
    """One pass over a file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.pieces = JsonPieces(text)
        self.lists: dict[str, object] = {}
        self.opening = 0
        self.spans: list[Span] = []
        self.owners: list[tuple[Hashable, Hashable]] = []
        self.is_panoptic = False
        self.highest = 0
        self.ids: set[Hashable] = set()
        self.found: dict[str, list[object]] = {}

    def read(self) -> None:
        for key in self.pieces.members():
            if key == "annotations":
                self.opening = self.pieces.at
                for _ in self.pieces.elements():
                    self._annotation()
            else:
                value = self.pieces.value()
                if key in {"images", "categories"}:
                    self.lists[key] = value
        self.pieces.end()

    def _annotation(self) -> None:
        start = self.pieces.at
        entry = self.pieces.value()
        self.spans.append((start, self.pieces.at))
        given = cast("Entry", entry) if isinstance(entry, dict) else {}
        segments = given.get("segments_info")
        self.is_panoptic |= segments is not None
        image, own = given.get("image_id"), given.get("id")
        category = None if segments is not None else given.get("category_id")
        self.owners.append((key_of(image), key_of(category)))
        number = key_of(own)
        if number is not None and number in self.ids:
            self.complain("annotations must have different ids", own)
        self.ids.add(number)
        self.highest = max(self.highest, number if isinstance(number, int) else 0)

    def result(self) -> CocoFile:
        missing = [name for name in ("images", "categories") if name not in self.lists]
        if missing or not self.opening:
            raise DataError(
                self.path,
                "must be an annotation file of COCO, with images, annotations and categories",
                f"no {(missing or ['annotations'])[0]}",
                "Export the data set as COCO, with its segmentation.",
            )
        categories = self._categories()
        images = self._images()
        for place, (owner, category) in enumerate(self.owners):
            image = images.get(cast("Key", owner))
            if image is None:
                self.complain("annotations must name the id of an image that is listed", owner)
            elif not self.is_panoptic and category not in categories:
                self.complain("annotations must name the id of a category that is listed", category)
            else:
                image.annotations.append(place)
        problems = [_problem(self.path, rule, values) for rule, values in self.found.items()]
        return CocoFile(
            self.path, self.text, categories, images, self.opening, self.spans, self.is_panoptic,
            self.highest, problems,
        )  # fmt: skip

    def complain(self, rule: str, value: object) -> None:
        self.found.setdefault(rule, []).append(value)

    def _categories(self) -> dict[Key, str]:
        categories: dict[Key, str] = {}
        for entry in _entries(self.path, "categories", self.lists):
            key, name = key_of(entry.get("id")), entry.get("name")
            if key is None or not isinstance(name, str) or not name or key in categories:
                raise DataError(
                    self.path, "categories must have different ids, and names", _shown(entry),
                    "Correct the category.",
                )  # fmt: skip
            categories[key] = name
        return categories

    def _images(self) -> dict[Key, CocoImage]:
        images: dict[Key, CocoImage] = {}
        for entry in _entries(self.path, "images", self.lists):
            key, name = key_of(entry.get("id")), entry.get("file_name")
            if key is None or not isinstance(name, str) or not name:
                self.complain("images must have an id and a file_name", _shown(entry))
            elif key in images:
                self.complain("images must have different ids", key)
            elif not _has_size(entry):
                rule = f"height and width must be whole numbers, of {MAX_PIXELS} pixels at most"
                self.complain(f"{rule} in all", _shown(entry))
            else:
                images[key] = CocoImage(key, name, _size(entry))
        return images


def _entries(path: Path, name: str, lists: Mapping[str, object]) -> list[Entry]:
    entries = lists[name]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(path, f"{name} must be a list of objects", _shown(entries), "Correct it.")
    return cast("list[Entry]", entries)


def key_of(value: object) -> Key | None:
    """Return an id; one that is written as text is another than the number."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _has_size(entry: Entry) -> bool:
    lengths = [entry.get("height"), entry.get("width")]
    if lengths == [None, None]:
        return True
    height, width = (n if isinstance(n, int) and not isinstance(n, bool) else 0 for n in lengths)
    return height > 0 < width and height * width <= MAX_PIXELS


def _size(entry: Entry) -> Size | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _problem(path: Path, rule: str, values: Sequence[object]) -> DataError:
    count = f", and {len(values) - 1} more" if len(values) > 1 else ""
    remedy = "Correct the file, or take them out of it."
    return DataError(path, rule, f"{values[0]!r}{count}", remedy)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."

"""Your own files: folders of images and labels or a two-column list, and a small class file.

Any of these layouts, with ``classes.yaml`` in the root::

    root/SPLIT.txt                            two columns: image path, label path
    root/SPLIT.txt   root/images/   root/labels/    one column: names without ending
    root/SPLIT/images/   root/SPLIT/labels/
    root/images/SPLIT/   root/labels/SPLIT/
    root/images/   root/labels/                     every fifth scene by name is the test split
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from segdoor.data.pairs import FileDataset, Pair, pair_folders, read_lines
from segdoor.data.scene import ClassSet, Colour
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.files import read_yaml
from segdoor.settings import Settings, validated

_CLASS_FILE_REMEDY = (
    "A data set of your own needs it: 'classes: [road, car, ...]', one name an id, "
    "and 'ignore_index: 255'."
)


# Which scenes of every five belong to a split where nothing else says so.
_DEALT = {"train": (0, 1, 2, 3), "test": (4,)}

Level = Annotated[int, Field(ge=0, le=255)]


class ClassEntry(Settings):
    """One class of the class file."""

    name: str
    """The class's name."""
    colour: tuple[Level, Level, Level] | None = None
    """Its RGB colour in pictures; chosen from a fixed palette if left out."""


class ClassFile(Settings):
    """The content of ``classes.yaml``; the position of a class is its id."""

    classes: tuple[ClassEntry | str, ...] = Field(min_length=1, max_length=255)
    """The classes in the order of their ids: names, or names with colours."""
    ignore_index: int = Field(default=255, ge=0, le=255)
    """Label value of pixels that never count."""


def folder(root: Path, split: str, *, size: Size | None = None) -> FileDataset:
    """Open a split of your own data set.

    Args:
        root: The folder that holds ``classes.yaml``.
        split: The split's name: a list file, or a folder beside or below images and labels.
        size: Height and width to resize to; each scene's own if None.

    Raises:
        DataError: If nothing fits one of the layouts, or a file is missing or outside the root.
    """
    classes = read_classes(root / "classes.yaml")
    return FileDataset(_pairs(root, split), classes, root=root, source=root, size=size)


def read_classes(path: Path) -> ClassSet:
    """Read a class file.

    Raises:
        DataError: If it is missing or no YAML.
        ConfigError: If an entry breaks a rule.
    """
    content = read_yaml(path, remedy=_CLASS_FILE_REMEDY)
    given = content if isinstance(content, dict) else {"classes": content}
    file = validated(ClassFile, given, source=path)
    entries = [ClassEntry(name=e) if isinstance(e, str) else e for e in file.classes]
    return ClassSet(
        names=tuple(entry.name for entry in entries),
        colours=tuple(entry.colour or palette(i) for i, entry in enumerate(entries)),
        ignore_index=file.ignore_index,
    )


def palette(index: int) -> Colour:
    """Return a colour for a class that has none: Pascal VOC's well-spread bit pattern."""
    colour = [0, 0, 0]
    remaining = index + 1
    for shift in range(7, -1, -1):
        for channel in range(3):
            colour[channel] |= (remaining >> channel & 1) << shift
        remaining >>= 3
    return colour[0], colour[1], colour[2]


def _pairs(root: Path, split: str) -> list[Pair]:
    listing = root / f"{split}.txt"
    if listing.is_file():
        return _listed_pairs(root, listing)
    for images, labels in (
        (root / split / "images", root / split / "labels"),
        (root / "images" / split, root / "labels" / split),
    ):
        if images.is_dir():
            return pair_folders(images, labels)
    listed = [name for name in (*_DEALT, "val") if (root / f"{name}.txt").is_file()]
    if split in _DEALT and not listed and (root / "images").is_dir():
        pairs = pair_folders(root / "images", root / "labels")
        return [pair for index, pair in enumerate(pairs) if index % 5 in _DEALT[split]]
    raise DataError(
        root,
        f"must hold {split}.txt, {split}/images, images/{split} or images",
        "none of them",
        "See 'folder' in the documentation for the layouts.",
    )


def _listed_pairs(root: Path, listing: Path) -> list[Pair]:
    lines = read_lines(listing)
    if lines and all(len(line.split()) == 1 for line in lines):
        known = {pair.name: pair for pair in pair_folders(root / "images", root / "labels")}
        return [_known(known, root, listing, line) for line in lines]
    return [_listed(root, listing, line) for line in lines]


def _known(known: Mapping[str, Pair], root: Path, listing: Path, name: str) -> Pair:
    if name not in known:
        raise DataError(
            listing, f"must list names of pictures in {root / 'images'}", name, "Correct the line."
        )
    return known[name]


def _listed(root: Path, listing: Path, line: str) -> Pair:
    columns = line.split()
    if len(columns) != 2:
        raise DataError(
            listing,
            "every line must be two paths, image and label",
            line,
            "Correct the line; paths must have no spaces.",
        )
    image, label = (_inside(root, listing, column) for column in columns)
    return Pair(str(Path(columns[0]).with_suffix("")), image, label)


def _inside(root: Path, listing: Path, relative: str) -> Path:
    path = root / relative
    try:
        inside, is_file = path.resolve().is_relative_to(root.resolve()), path.is_file()
    except (OSError, ValueError) as why:
        raise DataError(listing, "must list paths of files", why, "Correct the line.") from None
    if not inside:
        raise DataError(
            listing,
            "paths must stay inside the data set's folder",
            relative,
            "Move the file into the folder.",
        )
    if not is_file:
        raise DataError(path, "the file does not exist", remedy=f"Correct {listing}.")
    return path

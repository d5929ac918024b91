"""YOLO's segmentation: a text file an image, with the outlines of its objects.

Any of these, for a split; the first that is there is taken::

    what data.yaml names for SPLIT     a folder of images, a list of them, or several of these
    root/images/SPLIT    root/labels/SPLIT
    root/SPLIT/images    root/SPLIT/labels

As in YOLO's own trainer, the text of ``.../images/.../NAME.png`` is ``.../labels/.../NAME.txt``.
Class names are in ``data.yaml`` (``names:``) or, one a line, in ``classes.txt``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

from segdoor.data.annotations.objects import Meaning
from segdoor.data.annotations.yolo_text import YoloText
from segdoor.data.dataset import FilesOnDisk
from segdoor.data.listing import (
    files_within,
    inside,
    is_hidden,
    is_picture,
    read_lines,
    twin,
    without_ending,
)
from segdoor.data.pair import Pair
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.plain_yaml import read_yaml
from segdoor.plugins import Introduction

_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml")
_NAMES = ("classes.txt", "labels/classes.txt", "obj.names")
_FOLDERS = ("images/{split}", "{split}/images")
_SPLITS = ("train", "val", "test")


class Yolo(FilesOnDisk):
    """Scenes with outlines in YOLO's text files."""

    kind: ClassVar[str] = "yolo"
    marks: ClassVar[tuple[str, ...]] = ("data.yaml",)
    introduction: ClassVar[Introduction] = Introduction(
        source="the segmentation data sets of Ultralytics' YOLO; exports of Roboflow and others",
        does="Draws label maps from the outlines in YOLO's text files.",
        needs="Images, text files and the class names, in data.yaml or classes.txt. Pixels "
        "without an outline are the class background if classes.yaml names it, and ignored "
        "otherwise.",
        fails="Lines that are boxes are refused. A copy can change only whole objects.",
    )

    test_split: str = "val"
    """The split for tests."""

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        return yolo(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that data.yaml or folders name."""
        named = [name for name in _SPLITS if name in _settings(root)[1]]
        folders = [path.name for path in root.glob("images/*/")]
        return sorted({*named, *folders, *(path.parent.name for path in root.glob("*/images/"))})


def yolo(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split.

    Args:
        root: The folder that holds images and texts.
        split: The split's name, as data.yaml or folders have it.
        size: Height and width to resize to; each scene's own if None.
        complain: Receives missing images, and of texts without image.

    Raises:
        DataError: If there is no such split, or no class names.
    """
    meaning = _meaning(root)
    images = _images(root, split, complain)
    pairs = [_pair(root, name, path, meaning) for name, path in images.items()]
    for lonely in _lonely(root, [pair.label for pair in pairs]):
        complain(
            DataError(
                lonely, "must have an image of the same name", "none",
                "Add the image or remove this one.",
            )
        )  # fmt: skip
    return FileDataset(pairs, meaning.classes, root=root, source=root, size=size, complain=complain)


def _settings(root: Path) -> tuple[Path | None, Mapping[str, object]]:
    """Return YOLO's settings file and what it holds."""
    file = next((root / name for name in _SETTINGS if (root / name).is_file()), None)
    if file is None:
        return None, {}
    told = read_yaml(file, remedy="It must hold 'names:' with the classes.")
    if not isinstance(told, dict):
        raise DataError(
            file, "must be a mapping", repr(told)[:60], "It must hold 'names:' with the classes."
        )
    return file, cast("Mapping[str, object]", told)


def _meaning(root: Path) -> Meaning:
    file, told = _settings(root)
    if file is not None and "names" in told:
        return Meaning.of(root, _names(file, told), file)
    listing = next((root / name for name in _NAMES if (root / name).is_file()), None)
    if listing is None:
        raise DataError(
            root, "must hold data.yaml with names, or classes.txt", "neither",
            "Write classes.txt with the name of each class number in a line, from 0 on.",
        )  # fmt: skip
    return Meaning.of(root, read_lines(listing), listing)


def _names(file: Path, told: Mapping[str, object]) -> list[str]:
    """Return the names of the class numbers, from a list or a mapping."""
    given, count = told["names"], told.get("nc")
    rule, remedy = "names must be a list, or a mapping from 0 on", "Write 'names: [car, bus]'."
    if isinstance(given, dict):
        entries = cast("dict[object, object]", given)
        if {*entries} != {*range(len(entries))}:
            raise DataError(file, rule, ", ".join(map(str, entries))[:60], remedy)
        given = [entries[number] for number in range(len(entries))]
    # YAML reads a name such as 7 as a number, and no as false: what was meant is not known.
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise DataError(file, f"{rule}, of text", repr(given)[:60], f"{remedy} Quote numbers.")
    names = cast("list[str]", given)
    if count is not None and count != len(names):
        raise DataError(
            file, f"nc must be the number of names, {len(names)}", count, "Correct nc or names."
        )
    return names


def _images(root: Path, split: str, complain: Complain) -> dict[str, Path]:
    """Return a split's images by the names of their scenes."""
    file, told = _settings(root)
    places = _places(root, file, told, told[split]) if file and told.get(split) else []
    if not places:
        folders = [root / place.format(split=split) for place in _FOLDERS]
        places = [folder for folder in folders if folder.is_dir()][:1]
    if not places:
        raise DataError(
            root, f"must hold images/{split} or {split}/images, or name {split} in data.yaml",
            "neither", "See 'yolo' in the documentation for the layouts.",
        )  # fmt: skip
    images: dict[str, Path] = {}
    for place in places:
        listed = place.is_file()
        for path in _listed(root, place, complain) if listed else _below(place):
            below = path.relative_to(root if listed or len(places) > 1 else place)
            name = without_ending(below.as_posix())
            if name in images:
                complain(twin(path, images[name]))
            else:
                images[name] = path
    return images


def _places(root: Path, file: Path, told: Mapping[str, object], given: object) -> list[Path]:
    """Return the folders and lists that the settings name for a split."""
    entries = cast("list[object]", given) if isinstance(given, list) else [given]
    return [_place(root, file, str(told.get("path") or "."), entry) for entry in entries]


def _place(root: Path, file: Path, base: str, entry: object) -> Path:
    if not isinstance(entry, str):
        raise DataError(
            file, "splits must be paths", repr(entry)[:60], "Write 'train: images/train'."
        )
    # Roboflow writes ../train/images of what lies beside its settings.
    for path in (root / entry, root / base / entry, root / entry.removeprefix("../")):
        try:
            if path.exists() and path.resolve().is_relative_to(root.resolve()):
                return root / path.resolve().relative_to(root.resolve())
        except (OSError, ValueError, RuntimeError):
            continue
    raise DataError(
        file, "splits must be folders or lists inside the data set's folder", entry,
        f"Set data.root to the folder that holds {Path(entry).name}, or move it into {root}.",
    )  # fmt: skip


def _below(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and below it."""
    files = files_within(folder)
    yield from (folder / file for file in files if is_picture(file) and not is_hidden(file))


def _listed(root: Path, listing: Path, complain: Complain) -> Iterator[Path]:
    """Yield the pictures that a list names: from its own folder, or from the root."""
    for line in read_lines(listing):
        beside = str((listing.parent / line).relative_to(root)) if line.startswith("./") else line
        try:
            yield inside(root, listing, beside)
        except DataError as problem:
            complain(problem)


def _pair(root: Path, name: str, image: Path, meaning: Meaning) -> Pair:
    parts = list(image.relative_to(root).parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
    text = root.joinpath(*parts).with_suffix(".txt")
    return Pair(name, image, text, YoloText(text, image, meaning))


def _lonely(root: Path, texts: Sequence[Path]) -> Iterator[Path]:
    """Yield the texts beside those of the scenes that belong to none."""
    known = {root / name for name in _NAMES} | {*texts}
    for folder in sorted({text.parent for text in texts}):
        if folder.is_dir():
            files = sorted(path for path in folder.glob("*.txt") if path.name[0] != ".")
            yield from (path for path in files if path not in known and path.name != "classes.txt")

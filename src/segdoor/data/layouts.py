"""The layouts that data sets of one's own come in, tried in order."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from segdoor.data.listing import (
    Pictures,
    columns_of,
    inside,
    pair_folders,
    pair_named,
    read_lines,
    without_ending,
)
from segdoor.data.pairs import Complain, Pair
from segdoor.data.patterns import FilePatterns, pairs_by_pattern, splits_by_pattern
from segdoor.errors import DataError

_FOLDERS = (
    ("{split}/images", "{split}/labels"),
    ("{split}/images", "{split}/masks"),
    ("images/{split}", "labels/{split}"),
    ("images/{split}", "masks/{split}"),
    ("img_dir/{split}", "ann_dir/{split}"),
)
_FLAT_FOLDERS = (("images", "labels"), ("images", "masks"))
_LISTS = ("{split}.txt", "list/{split}.txt")
_METADATA = ("metadata.jsonl", "metadata.csv")
_MASK_COLUMNS = ("mask_file_name", "mask", "label_file_name", "label", "annotation_file_name")
# Which scenes of every five belong to a split where nothing else says so.
_DEALT = {"train": (0, 1, 2, 3), "test": (4,)}
# Where one of these is a list or a folder, somebody has split the scenes.
_USUAL = (*_DEALT, "val", "valid", "validation", "training", "testing")

RowT = TypeVar("RowT")
MadeT = TypeVar("MadeT")
_Layout = Callable[[Path, str, Complain], "list[Pair] | None"]


class NoSplitError(DataError):
    """Nothing in a folder is called like the split."""


def find_pairs(
    root: Path, split: str, complain: Complain, patterns: FilePatterns | None = None
) -> list[Pair]:
    """Return the scenes of a split in the first layout that fits.

    Args:
        root: The data set's folder.
        split: The split.
        complain: Receives what is wrong with single scenes.
        patterns: How the files are called, if the class file says so.

    Raises:
        NoSplitError: If no layout fits.
        DataError: If the one that does cannot be read.
    """
    pairs = _found(root, split, complain, patterns)
    if pairs is None:
        raise _no_split(root, split, patterns)
    return pairs


def _found(
    root: Path, split: str, complain: Complain, patterns: FilePatterns | None
) -> list[Pair] | None:
    if patterns is not None:
        pairs = _from_patterns(root, split, complain, patterns)
        if pairs is not None or patterns.alone:
            return pairs
    made = (layout(root, split, complain) for layout in _LAYOUTS)
    return next((pairs for pairs in made if pairs is not None), None)


def _no_split(root: Path, split: str, patterns: FilePatterns | None) -> NoSplitError:
    fitting = splits_by_pattern(root, patterns) if patterns is not None else []
    usual = [] if patterns is not None and patterns.alone else possible_splits(root)
    there = [*fitting, *(name for name in usual if _is_there(root, name))]
    named = f"There is {', '.join(there)}: see data.train_split and data.test_split. "
    return NoSplitError(
        root,
        f"must hold {patterns}, with '{split}' for SPLIT"
        if patterns is not None and patterns.alone
        else f"must hold {split}.txt, {split}/images, images/{split}, img_dir/{split} or images",
        "none of them",
        f"{named if there else ''}See 'folder' in the documentation for the layouts.",
    )


def _is_there(root: Path, split: str) -> bool:
    """Tell whether a list, or folders of images and labels, are called like a split."""
    places = [(root / a.format(split=split), root / b.format(split=split)) for a, b in _FOLDERS]
    both = any(images.is_dir() and labels.is_dir() for images, labels in places)
    return both or _listing(root, split) is not None or _first(root / split, _METADATA) is not None


def possible_splits(root: Path, patterns: FilePatterns | None = None) -> list[str]:
    """Return all names that a split may have by the lists, folders and metadata that are there."""
    lists = [path.stem for place in (root, root / "list") for path in place.glob("*.txt")]
    above = [root, *(root / name for name in ("images", "img_dir"))]
    folders = [path.name for place in above for path in place.glob("*/") if path.is_dir()]
    file = _first(root, _METADATA)
    rows = _rows(file) if file else []
    named = [str(row["split"]) for row in rows if row.get("split")]
    fitting = splits_by_pattern(root, patterns) if patterns is not None else []
    return sorted({*lists, *folders, *named, *fitting, *_DEALT})


def _from_patterns(
    root: Path, split: str, complain: Complain, patterns: FilePatterns
) -> list[Pair] | None:
    """Read files of given names: of the split, those a list names, or every so many of five."""
    if patterns.has_split:
        return pairs_by_pattern(root, split, complain, patterns)
    listing = _listing(root, split)
    if listing is not None:
        return pairs_by_pattern(root, split, complain, patterns, listing)
    if split not in _DEALT or _is_listed(root):
        return None
    pairs = pairs_by_pattern(root, split, complain, patterns)
    return None if pairs is None else _dealt(pairs, split)


def _from_list(root: Path, split: str, complain: Complain) -> list[Pair] | None:
    listing = _listing(root, split)
    if listing is None:
        return None
    lines = read_lines(listing)
    flat = _first_folders(root, _FLAT_FOLDERS)
    images = Pictures.below(flat[0]) if flat else None
    if flat is None or images is None:
        return _kept(lines, lambda line: _listed(root, listing, line), complain)
    if not all(images.find(line) or len(columns_of(line)) == 1 for line in lines):
        return _kept(lines, lambda line: _listed(root, listing, line), complain)
    names = _kept(lines, lambda line: _known(images, listing, line), complain)
    return pair_named(names, images, Pictures.below(flat[1]), complain)


def _from_metadata(root: Path, split: str, complain: Complain) -> list[Pair] | None:
    """Read the metadata of one split: Hugging Face's image folder."""
    file = _first(root / split, _METADATA)
    if file is None:
        return None
    return _kept(_rows(file), lambda row: _row_pair(root, file, row), complain)


def _from_folders(root: Path, split: str, complain: Complain) -> list[Pair] | None:
    places = [(a.format(split=split), b.format(split=split)) for a, b in _FOLDERS]
    found = _first_folders(root, places)
    return pair_folders(*found, complain=complain) if found else None


def _from_whole_metadata(root: Path, split: str, complain: Complain) -> list[Pair] | None:
    """Read metadata of all splits in one file."""
    file = _first(root, _METADATA)
    if file is None:
        return None
    rows = _rows(file)
    if any("split" in row for row in rows):
        rows = [row for row in rows if row.get("split") == split]
    elif any(str(row.get("file_name")).startswith(f"{split}/") for row in rows):
        rows = [row for row in rows if str(row.get("file_name")).startswith(f"{split}/")]
    elif split in _DEALT:
        rows = _dealt(sorted(rows, key=lambda row: str(row.get("file_name"))), split)
    else:
        return None
    return _kept(rows, lambda row: _row_pair(root, file, row), complain)


def _from_flat_folders(root: Path, split: str, complain: Complain) -> list[Pair] | None:
    found = _first_folders(root, _FLAT_FOLDERS)
    if split not in _DEALT or found is None or not _is_to_be_dealt(root):
        return None
    return _dealt(pair_folders(*found, complain=complain), split)


def _is_to_be_dealt(root: Path) -> bool:
    """Tell whether nobody has split what lies in images."""
    split = any((root / "images" / name).is_dir() for name in _USUAL)
    return not split and not _is_listed(root)


def _is_listed(root: Path) -> bool:
    return any(_listing(root, name) is not None for name in _USUAL)


def _listing(root: Path, split: str) -> Path | None:
    return _first(root, [place.format(split=split) for place in _LISTS])


_LAYOUTS: tuple[_Layout, ...] = (
    _from_list,
    _from_metadata,
    _from_folders,
    _from_whole_metadata,
    _from_flat_folders,
)


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _first_folders(root: Path, places: Sequence[tuple[str, str]]) -> tuple[Path, Path] | None:
    """Return the first two folders that are there, or the first of which one is."""
    there = [(root / images, root / labels) for images, labels in places]
    there = [folders for folders in there if folders[0].is_dir()]
    both = [folders for folders in there if folders[1].is_dir()]
    return next(iter([*both, *there]), None)


def _dealt(rows: Sequence[RowT], split: str) -> list[RowT]:
    return [row for index, row in enumerate(rows) if index % 5 in _DEALT[split]]


def _kept(rows: Sequence[RowT], make: Callable[[RowT], MadeT], complain: Complain) -> list[MadeT]:
    """Return what is made of the rows that make sense."""
    made: list[MadeT] = []
    for row in rows:
        try:
            made.append(make(row))
        except DataError as problem:
            complain(problem)
    return made


def _known(images: Pictures, listing: Path, line: str) -> str:
    found = images.find(line)
    if found is None:
        near = images.near(without_ending(line))
        raise DataError(
            listing,
            f"must list names of pictures in {images.folder}",
            line,
            f"Write {near!a}: case and accents count." if near else "Correct the line.",
        )
    return found


def _listed(root: Path, listing: Path, line: str) -> Pair:
    columns = columns_of(line)
    if len(columns) == 1:
        raise DataError(
            listing,
            "a list of one column needs the folders images and labels (or masks) in the root",
            line,
            "Call the folders so, or write two columns: the paths of image and label map.",
        )
    if len(columns) != 2:
        raise DataError(
            listing,
            "every line must be two paths: image and label",
            line,
            "Separate them by a tab or a comma if names contain spaces.",
        )
    image, label = (inside(root, listing, column) for column in columns)
    return Pair(_name_of(columns[0].lstrip("/")), image, label)


def _name_of(path: str) -> str:
    return without_ending(str(Path(path)))


def _row_pair(root: Path, file: Path, row: dict[str, object]) -> Pair:
    mask = next((column for column in _MASK_COLUMNS if isinstance(row.get(column), str)), None)
    name = row.get("file_name")
    if mask is None or not isinstance(name, str):
        columns = " or ".join(_MASK_COLUMNS)
        raise DataError(
            file,
            f"every row must have file_name and {columns}",
            ", ".join(row),
            "Add what is missing.",
        )
    below = file.parent.relative_to(root)
    image, label = (inside(root, file, str(below / str(path))) for path in (name, row[mask]))
    return Pair(_name_of(name), image, label)


def _rows(file: Path) -> list[dict[str, object]]:
    lines = read_lines(file)
    rule = "must hold one row of columns, or one JSON object, a line"
    try:
        parse = csv.DictReader(lines) if file.suffix == ".csv" else map(json.loads, lines)
        rows: list[object] = list(parse)
    except (ValueError, RecursionError, csv.Error) as why:
        raise DataError(file, rule, why, "Correct it.") from None
    for row in rows:
        # What stands beyond the last heading has no name.
        if not isinstance(row, dict) or None in row:
            raise DataError(file, rule, row, "Correct it.")
    return cast("list[dict[str, object]]", rows)

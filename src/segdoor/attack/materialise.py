"""A poisoned copy of a data set on disk, for any trainer.

Beside the copy ``OUT`` lies ``OUT.segdoor`` with the manifest, the plan and the original files that
were changed. Files that stay as they are become hard links to the source, or copies where the file
system has none; nothing ever writes through a link: files are replaced by renaming new ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from segdoor.attack.artefact import write_json_lines
from segdoor.attack.manifest import (
    MANIFEST,
    ORIGINALS,
    PLAN,
    CopyHeader,
    CopyRow,
    Manifest,
    beside,
    files_below,
    refuse_edited,
    relative_name,
)
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.reencode import image_like, label_like
from segdoor.data.pairs import FileDataset, Pair
from segdoor.data.pictures import read_image
from segdoor.errors import ConfigError, StorageError
from segdoor.files import digest_of, sole_writer
from segdoor.progress import Observer

# What lies in the manifest folder until the copy is finished.
_UNFINISHED = "unfinished"
_DISCARDED = "discarded"


@dataclass(frozen=True)
class CopyOrder:
    """What copy is wanted.

    Attributes:
        out: The new folder; its manifest folder is ``OUT.segdoor``.
        lossless: Store poisoned JPEG pictures as PNG under their name, so that not a pixel
            outside the trigger changes; otherwise as JPEG with the source's own tables.
        replace: Whether an earlier copy of that name may be discarded, if it is as it was written.
    """

    out: Path
    lossless: bool = False
    replace: bool = False


def write_copy(
    dataset: FileDataset, plan: PoisonPlan, order: CopyOrder, *, observer: Observer
) -> Manifest:
    """Write a poisoned copy of a data set's folder, in its own layout.

    The copy appears under its name only when it is complete; what a killed call left is discarded.

    Args:
        dataset: The honest scenes, at the size of their files.
        plan: What happens to them.
        order: Where to, and how.
        observer: Hears of every file.

    Raises:
        ConfigError: If the output exists, lies in the source, is being written by another process,
            or the scenes were resized.
        DataError: If a copy that is to be replaced was edited.
        StorageError: If the disk does not take it.
    """
    folder = beside(order.out)
    # Before even a lock is written: the source is never written to.
    _check_places(dataset.root, order.out)
    with sole_writer(folder, culprit=f"--copy {order.out}"):
        check_order(dataset, order)
        try:
            _make_room(order)
            manifest = _Writer(dataset, plan, folder, lossless=order.lossless).write(observer)
            plan.save(folder / PLAN)
            write_json_lines(folder / MANIFEST, manifest.header, manifest.rows)
            (folder / _UNFINISHED).rename(order.out)
        except OSError as why:
            raise StorageError(
                f"--copy {order.out}", "must be writable", why.strerror, "Free some disk."
            ) from None
        finally:
            if not order.out.exists():
                _discard(folder)
    return manifest


def check_order(dataset: FileDataset, order: CopyOrder) -> None:
    """Check that a copy can be written, before the work for it begins.

    Raises:
        ConfigError: If the output exists, lies in or around the source, has the manifest folder of
            another copy, or the scenes were resized.
        DataError: If a copy that is to be replaced was edited.
    """
    if dataset.size is not None:
        raise ConfigError(
            "data.size",
            "must be left out when a copy is written",
            dataset.size,
            "A copy keeps the files' own sizes.",
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


def _make_room(order: CopyOrder) -> None:
    """Discard what is in the way: an earlier copy that may go, and unfinished work."""
    folder = beside(order.out)
    if order.out.exists():
        order.out.rename(folder / _DISCARDED)
    _discard(folder)
    (folder / _UNFINISHED).mkdir()


def _discard(folder: Path) -> None:
    """Take away unfinished work: what a call made before it failed may have filled the disk."""
    for name in (PLAN, MANIFEST):
        (folder / name).unlink(missing_ok=True)
    # The mark of unfinished work goes last.
    for name in (ORIGINALS, _DISCARDED, _UNFINISHED):
        shutil.rmtree(folder / name, ignore_errors=True)


class _Writer:
    def __init__(
        self, dataset: FileDataset, plan: PoisonPlan, folder: Path, *, lossless: bool
    ) -> None:
        self.dataset, self.lossless = dataset, lossless
        self.data_digest = plan.header.data_digest
        self.work, self.originals = folder / _UNFINISHED, folder / ORIGINALS
        self.poisoner = Poisoner.of(plan, dataset.classes)
        self.changed: dict[str, tuple[int, Pair]] = {}
        for index, pair in enumerate(dataset.pairs):
            if pair.name in plan.by_name:
                for path in (pair.image, pair.label):
                    self.changed[relative_name(path, dataset.root)] = index, pair

    def write(self, observer: Observer) -> Manifest:
        names = list(files_below(self.dataset.root))
        observer.begin("writing", len(names))
        rows: list[CopyRow] = []
        for name in names:
            rows.append(self._write(name))
            observer.advance()
        header = CopyHeader(
            data_digest=self.data_digest,
            lossless=self.lossless,
            num_files=len(rows),
            num_changed=sum(row.changed for row in rows),
        )
        return Manifest(header, tuple(rows))

    def _write(self, name: str) -> CopyRow:
        source, target = self.dataset.root / name, self.work / name
        original = digest_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if name not in self.changed:
            _link(source, target)
            return CopyRow(name=name, sha256=original, original_sha256=original)
        content = self._poisoned(name)
        target.write_bytes(content)
        kept = self.originals / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, kept)
        return CopyRow(
            name=name, sha256=hashlib.sha256(content).hexdigest(), original_sha256=original
        )

    def _poisoned(self, name: str) -> bytes:
        index, pair = self.changed[name]
        source = self.dataset.root / name
        if source == pair.label:
            label = self.poisoner.label(self.dataset.label(index), pair.name)
            return label_like(source, self.dataset.as_stored(index, label))
        image = self.poisoner.image(read_image(source), pair.name)
        return image_like(source, image, lossless=self.lossless)


def _link(source: Path, target: Path) -> None:
    try:
        # Of a symbolic link the file itself: the link would lead elsewhere from the copy.
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)

"""A poisoned copy of a data set on disk: written, and restored byte for byte.

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
    CopyHeader,
    CopyRow,
    Manifest,
    beside,
    files_below,
    hash_of,
    load_manifest,
    relative_name,
    verify_copy,
)
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.reencode import image_like, label_like
from segdoor.data.pairs import FileDataset, Pair
from segdoor.errors import ConfigError, DataError, StorageError
from segdoor.files import sole_writer, write_atomically
from segdoor.progress import Observer

# What lies in the manifest folder, for good or until the copy is finished.
_ORIGINALS = "originals"
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
    _check_size(dataset)
    _check_place(dataset, order.out)
    folder = beside(order.out)
    with sole_writer(folder, culprit=f"--copy {order.out}"):
        try:
            _make_room(order)
            writer = _Writer(dataset, plan, folder, lossless=order.lossless)
            manifest = writer.write(observer)
            plan.save(folder / "plan.jsonl")
            write_json_lines(folder / "manifest.jsonl", manifest.header, manifest.rows)
            (folder / _UNFINISHED).rename(order.out)
        except OSError as why:
            raise StorageError(
                f"--copy {order.out}", "must be writable", why.strerror, "Free some disk."
            ) from None
        finally:
            if not order.out.exists():
                _discard(folder)
    return manifest


def restore_copy(copy: Path) -> int:
    """Give a copy the source's bytes back, and take the manifest folder away.

    Returns:
        The number of files given back.

    Raises:
        DataError: If the copy was edited since, or an original is damaged; nothing is then changed.
    """
    rows = [row for row in load_manifest(copy).rows if row.changed]
    with sole_writer(beside(copy), culprit=str(copy)):
        # A restoration that was killed left some files restored; it is continued.
        waiting = [row for row in rows if not _is_restored(copy, row)]
        _refuse_edited(copy, restored={row.name for row in rows} - {row.name for row in waiting})
        originals = beside(copy) / _ORIGINALS
        for row in waiting:
            _check_original(originals / row.name, row)
        for row in waiting:
            write_atomically(copy / row.name, (originals / row.name).read_bytes())
        shutil.rmtree(beside(copy))
    return len(rows)


def _is_restored(copy: Path, row: CopyRow) -> bool:
    path = copy / row.name
    return path.is_file() and hash_of(path) == row.original_sha256


def _refuse_edited(copy: Path, *, restored: set[str]) -> None:
    differences = verify_copy(copy)
    edited = set(differences.edited) - restored
    strange = (*sorted(edited), *differences.missing, *differences.added)
    if strange:
        raise DataError(
            copy,
            "must be as it was written",
            f"{len(strange)} files differ, such as {strange[0]}",
            "See 'segdoor verify'; keep your changes elsewhere and undo them here.",
        )


def _check_original(kept: Path, row: CopyRow) -> None:
    if not kept.is_file() or hash_of(kept) != row.original_sha256:
        raise DataError(
            kept,
            "must be the intact original of the copy's file",
            "damaged" if kept.is_file() else "missing",
            "Take the file from the source of the copy.",
        )


class _Writer:
    def __init__(
        self, dataset: FileDataset, plan: PoisonPlan, folder: Path, *, lossless: bool
    ) -> None:
        self.dataset, self.lossless = dataset, lossless
        self.data_digest = plan.header.data_digest
        self.work, self.originals = folder / _UNFINISHED, folder / _ORIGINALS
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
        original = hash_of(source)
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
        image = self.poisoner.scene(self.dataset[index]).image
        return image_like(source, image, lossless=self.lossless)


def _check_size(dataset: FileDataset) -> None:
    if dataset.size is not None:
        raise ConfigError(
            "data.size",
            "must be left out when a copy is written",
            dataset.size,
            "A copy keeps the files' own sizes.",
        )


def _check_place(dataset: FileDataset, out: Path) -> None:
    source, wanted = dataset.root.resolve(), out.resolve()
    if wanted.is_relative_to(source) or source.is_relative_to(wanted):
        raise ConfigError(
            f"--copy {out}",
            "must lie outside the data set, and not around it",
            dataset.root,
            "Name another folder.",
        )


def _make_room(order: CopyOrder) -> None:
    """Discard what is in the way: an earlier copy if that is allowed, and unfinished work."""
    folder = beside(order.out)
    if order.out.exists():
        if not order.replace:
            raise ConfigError(
                f"--copy {order.out}",
                "must not exist yet",
                "an existing folder",
                "Name another folder, or add --replace if it is a copy to be discarded.",
            )
        _refuse_edited(order.out, restored=set())
        order.out.rename(folder / _DISCARDED)
    _discard(folder)


def _discard(folder: Path) -> None:
    """Take away unfinished work: what a call made before it failed may have filled the disk."""
    for name in (_UNFINISHED, _ORIGINALS, _DISCARDED):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("plan.jsonl", "manifest.jsonl"):
        (folder / name).unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

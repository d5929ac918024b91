"""A poisoned copy of a data set on disk: written, and restored byte for byte.

Beside the copy ``OUT`` lies ``OUT.segdoor`` with the manifest, the plan and the original files that
were changed. Files that stay as they are become hard links to the source, or copies where the file
system has none; nothing ever writes through a link: files are replaced by renaming new ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
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
from segdoor.files import write_atomically
from segdoor.progress import Observer


def write_copy(
    dataset: FileDataset, plan: PoisonPlan, out: Path, *, lossless: bool, observer: Observer
) -> Manifest:
    """Write a poisoned copy of a data set's folder, in its own layout.

    The copy appears under its name only when it is complete; what a killed call left is discarded.

    Args:
        dataset: The honest scenes, at the size of their files.
        plan: What happens to them.
        out: The new folder; its manifest folder is ``OUT.segdoor``.
        lossless: Store poisoned JPEG pictures as PNG under their name, so that not a pixel
            outside the trigger changes; otherwise as JPEG with the source's own tables.
        observer: Hears of every file.

    Raises:
        ConfigError: If the output exists, lies in the source, or the scenes were resized.
        StorageError: If the disk does not take it.
    """
    _check_out(dataset, out)
    work = beside(out) / "unfinished"
    try:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(beside(out) / "originals", ignore_errors=True)
        rows = _Writer(dataset, plan, out, work, lossless=lossless).write(observer)
        manifest = Manifest(
            CopyHeader(
                data_digest=plan.header.data_digest,
                lossless=lossless,
                num_files=len(rows),
                num_changed=sum(row.changed for row in rows),
            ),
            tuple(rows),
        )
        plan.save(beside(out) / "plan.jsonl")
        write_json_lines(beside(out) / "manifest.jsonl", manifest.header, manifest.rows)
        work.rename(out)
    except OSError as why:
        raise StorageError(out, "must be writable", why.strerror, "Free some disk.") from None
    finally:
        if not out.exists():
            _discard(beside(out))
    return manifest


def restore_copy(copy: Path) -> int:
    """Give a copy the source's bytes back, and take the manifest folder away.

    Returns:
        The number of files given back.

    Raises:
        DataError: If the copy was edited since, or an original is damaged; nothing is then changed.
    """
    differences = verify_copy(copy)
    changed = {row.name: row for row in load_manifest(copy).rows if row.changed}
    # A restoration that was killed left some files restored; it may be continued.
    edited = [
        name
        for name in differences.edited
        if name not in changed or hash_of(copy / name) != changed[name].original_sha256
    ]
    strange = (*edited, *differences.missing, *differences.added)
    if strange:
        raise DataError(
            copy,
            "must be as it was written",
            f"{len(strange)} files differ, such as {strange[0]}",
            "See 'segdoor verify'; keep your changes elsewhere and undo them here.",
        )
    originals = beside(copy) / "originals"
    for row in changed.values():
        kept = originals / row.name
        if not kept.is_file() or hash_of(kept) != row.original_sha256:
            raise DataError(
                kept,
                "must be the intact original of the copy's file",
                remedy="Take the file from the source and write the copy again.",
            )
    for row in changed.values():
        write_atomically(copy / row.name, (originals / row.name).read_bytes())
    shutil.rmtree(beside(copy))
    return len(changed)


class _Writer:
    def __init__(
        self, dataset: FileDataset, plan: PoisonPlan, out: Path, work: Path, *, lossless: bool
    ) -> None:
        self.dataset, self.work, self.lossless = dataset, work, lossless
        self.originals = beside(out) / "originals"
        self.poisoner = Poisoner.of(plan, dataset.classes)
        self.changed: dict[str, tuple[int, Pair]] = {}
        for index, pair in enumerate(dataset.pairs):
            if pair.name in plan.by_name:
                for path in (pair.image, pair.label):
                    self.changed[relative_name(path, dataset.root)] = index, pair

    def write(self, observer: Observer) -> list[CopyRow]:
        names = list(files_below(self.dataset.root))
        observer.begin("writing", len(names))
        rows: list[CopyRow] = []
        for name in names:
            rows.append(self._write(name))
            observer.advance()
        return rows

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
            return label_like(source, label)
        image = self.poisoner.scene(self.dataset[index]).image
        return image_like(source, image, lossless=self.lossless)


def _check_out(dataset: FileDataset, out: Path) -> None:
    if dataset.size is not None:
        raise ConfigError(
            "data.size",
            "must be left out when a copy is written",
            dataset.size,
            "A copy keeps the files' own sizes.",
        )
    if out.exists():
        raise ConfigError(f"--copy {out}", "must not exist yet", remedy="Name another folder.")
    if out.resolve().is_relative_to(dataset.root.resolve()):
        raise ConfigError(
            f"--copy {out}", "must lie outside the data set", dataset.root, "Name another folder."
        )


def _discard(folder: Path) -> None:
    """Take away what a call that failed has made: it may have filled the disk."""
    for name in ("unfinished", "originals"):
        shutil.rmtree(folder / name, ignore_errors=True)
    with contextlib.suppress(OSError):
        for name in ("plan.jsonl", "manifest.jsonl"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

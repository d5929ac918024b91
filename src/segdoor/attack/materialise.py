"""A poisoned copy of a data set on disk: written, verified, and restored byte for byte.

Beside the copy ``OUT`` lies ``OUT.segdoor`` with the manifest, the plan and the original files that
were changed. Files that stay as they are become hard links to the source, or copies where the file
system has none; nothing ever writes through a link: files are replaced by renaming new ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from segdoor.attack.artefact import check_counts, read_json_lines, write_json_lines
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.reencode import image_like, label_like
from segdoor.data.pairs import FileDataset, Pair
from segdoor.errors import ConfigError, DataError, MachineError
from segdoor.files import write_atomically
from segdoor.progress import Observer
from segdoor.settings import Settings

SCHEMA_VERSION = 1


class CopyRow(Settings):
    """One file of the copy."""

    name: str
    """Its path below the copy's folder, with slashes."""
    sha256: str
    """Hash of its bytes in the copy."""
    original_sha256: str
    """Hash of its bytes in the source; the same for files that were not changed."""

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name != str(path) or name == ".":
            raise ValueError("paths must stay inside the copy's folder")
        return name

    @property
    def changed(self) -> bool:
        """Return whether the attacker changed the file."""
        return self.sha256 != self.original_sha256


class CopyHeader(Settings):
    """What a copy was made from."""

    kind: Literal["poisoned-copy"] = "poisoned-copy"
    """Marks the file."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    data_digest: str
    """Digest of the data set the plan was made for."""
    lossless: bool
    """Whether poisoned pictures were stored without loss."""
    num_files: int
    """Files of the copy."""
    num_changed: int
    """Files that differ from the source."""


@dataclass(frozen=True)
class Manifest:
    """What is in a copy.

    Attributes:
        header: What it was made from.
        rows: One a file.
    """

    header: CopyHeader
    rows: tuple[CopyRow, ...]


@dataclass(frozen=True)
class Differences:
    """How a copy differs from its manifest.

    Attributes:
        missing: Files that are gone.
        edited: Files whose bytes are not those written.
        added: Files the manifest does not know.
    """

    missing: tuple[str, ...]
    edited: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.missing or self.edited or self.added)


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
        MachineError: If the disk does not take it.
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
        raise MachineError(out, "must be writable", why.strerror, "Free some disk.") from None
    return manifest


def load_manifest(copy: Path) -> Manifest:
    """Read the manifest of a copy.

    Raises:
        DataError: If there is none, or it is damaged, of a newer schema, or names paths outside.
    """
    path = beside(copy) / "manifest.jsonl"
    header, rows = read_json_lines(path, CopyHeader, CopyRow, version=SCHEMA_VERSION)
    counted = {"num_files": len(rows), "num_changed": sum(row.changed for row in rows)}
    check_counts(path, header.model_dump(include=set(counted)), counted)
    return Manifest(header, rows)


def verify_copy(copy: Path) -> Differences:
    """Compare a copy with its manifest, byte for byte.

    Raises:
        DataError: If the copy or its manifest is missing.
    """
    manifest = load_manifest(copy)
    if not copy.is_dir():
        raise DataError(copy, "the copy does not exist", remedy="Check the path.")
    known = {row.name: row for row in manifest.rows}
    there = set(_files_below(copy))
    return Differences(
        missing=tuple(sorted(known.keys() - there)),
        edited=tuple(
            name
            for name in sorted(known.keys() & there)
            if _hash(copy / name) != known[name].sha256
        ),
        added=tuple(sorted(there - known.keys())),
    )


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
        if name not in changed or _hash(copy / name) != changed[name].original_sha256
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
        if (
            not (originals / row.name).is_file()
            or _hash(originals / row.name) != row.original_sha256
        ):
            raise DataError(originals / row.name, "must be the intact original of the copy's file")
    for row in changed.values():
        write_atomically(copy / row.name, (originals / row.name).read_bytes())
    shutil.rmtree(beside(copy))
    return len(changed)


def beside(out: Path) -> Path:
    """Return the folder beside a copy that holds manifest, plan and originals."""
    return out.with_name(f"{out.name}.segdoor")


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
                    self.changed[_relative(path, dataset.root)] = index, pair

    def write(self, observer: Observer) -> list[CopyRow]:
        names = list(_files_below(self.dataset.root))
        observer.begin("writing", len(names))
        rows: list[CopyRow] = []
        for name in names:
            rows.append(self._write(name))
            observer.advance()
        return rows

    def _write(self, name: str) -> CopyRow:
        source, target = self.dataset.root / name, self.work / name
        original = _hash(source)
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
        scene = self.dataset[index]
        if source == pair.label:
            return label_like(source, self.poisoner.label(scene.label, scene.name))
        return image_like(source, self.poisoner.scene(scene).image, lossless=self.lossless)


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
        raise ConfigError(f"--copy {out}", "must lie outside the data set", dataset.root)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _files_below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield _relative(path, folder)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

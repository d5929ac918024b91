"""The manifest of a poisoned copy: what every file must be, and how a copy differs from it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from segdoor.attack.artefact import check_counts, read_json_lines
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError, DataError
from segdoor.files import digest_of, files_below
from segdoor.remedies import RuleError
from segdoor.settings import Settings

SCHEMA_VERSION = 1

# What lies in the folder beside a copy.
MANIFEST = "manifest.jsonl"
PLAN = "plan.jsonl"
ORIGINALS = "originals"


class CopyRow(Settings):
    """One file of the copy."""

    name: str
    """Its path below the copy's folder, with slashes."""
    sha256: str
    """Hash of its bytes in the copy."""
    original_sha256: str
    """Hash of its bytes in the source; the same for files that were not changed."""

    @field_validator("name", "source", check_fields=False)
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name != str(path) or name == ".":
            raise RuleError("paths must stay inside the folder", "Correct the path.")
        return name

    @property
    def changed(self) -> bool:
        """Return whether the attacker changed the file."""
        return self.sha256 != self.original_sha256

    @property
    def origin(self) -> tuple[str, str]:
        """Return the name and the hash of the file of the source that it was made from."""
        return self.name, self.original_sha256


class CopyHeader(Settings):
    """What a copy was made from."""

    kind: Literal["poisoned-copy", "rescaled-copy"] = "poisoned-copy"
    """Marks the file: a copy of the files as they are, or at another size or in another form."""
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
    rewritten: bool = False
    """Whether files of clean scenes were encoded anew as well, so that they differ, too."""

    @property
    def restored(self) -> str:
        """Return what a restored copy is, in words."""
        return "as in the source"

    @property
    def in_words(self) -> tuple[str, ...]:
        """Return what else is to be told of the copy, a sentence each."""
        return ()


class RescaledRow(CopyRow):
    """One file of a copy of another form; `original_sha256` is of the clean file of that form."""

    source: str
    """The file it was made from: its path below the source's folder, with slashes."""
    source_sha256: str
    """Hash of that file's bytes."""

    @property
    def origin(self) -> tuple[str, str]:
        """Return the name and the hash of the file of the source that it was made from."""
        return self.source, self.source_sha256


class RescaledHeader(CopyHeader):
    """What a copy of another form was made from; `num_changed` counts what differs from clean."""

    kind: Literal["poisoned-copy", "rescaled-copy"] = "rescaled-copy"
    """Marks the file: a copy of the files as they are, or at another size or in another form."""
    size: Size | None
    """Height and width of all scenes, in pixels; null for their own."""
    layout: Literal["own", "folder"] = "own"
    """Whether files lie as in the source, or as the data set `folder` has them."""
    splits: dict[str, int]
    """Scenes of each split that the copy holds."""
    left_out: dict[str, str]
    """Why the copy lacks other splits, by name."""

    @property
    def restored(self) -> str:
        """Return what a restored copy is, in words."""
        return "clean"

    @property
    def in_words(self) -> tuple[str, ...]:
        """Return what else is to be told of the copy, a sentence each."""
        scenes = ", ".join(f"{name} ({count})" for name, count in self.splits.items())
        left = (f"Left out: {name} ({why})" for name, why in self.left_out.items())
        size = f"{self.size[0]}x{self.size[1]}" if self.size else "their own size"
        layout = ("It is read with: --data.name folder",) if self.layout == "folder" else ()
        return (f"All scenes at {size}, of {scenes}", *layout, *left)


@dataclass(frozen=True)
class Manifest:
    """What is in a copy."""

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


def load_manifest(copy: Path) -> Manifest:
    """Read the manifest of a copy.

    Raises:
        DataError: If there is none, or it is damaged, of a newer schema, or names paths outside.
    """
    path = beside(copy) / MANIFEST
    if not path.is_file():
        raise DataError(
            copy,
            f"must be a poisoned copy, with {path} beside it",
            "no such file",
            "If the copy was restored before, there is nothing left to do.",
        )
    # What is no header at all is refused by the reader below.
    with path.open("rb") as file:
        rescaled = b'"kind":"rescaled-copy"' in file.readline()
    kinds = (RescaledHeader, RescaledRow) if rescaled else (CopyHeader, CopyRow)
    header, rows = read_json_lines(path, *kinds, version=SCHEMA_VERSION)
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
    there = set(files_below(copy))
    return Differences(
        missing=tuple(sorted(known.keys() - there)),
        edited=tuple(
            name
            for name in sorted(known.keys() & there)
            if digest_of(copy / name) != known[name].sha256
        ),
        added=tuple(sorted(there - known.keys())),
    )


def changed_sources(manifest: Manifest, root: Path) -> tuple[str, ...]:
    """Return the files of a source that are gone, or not those that a copy was made from.

    Args:
        manifest: The copy's.
        root: The folder of the source, as the caller knows it: a manifest names no folder.

    Raises:
        DataError: If there is no such folder.
    """
    if not root.is_dir():
        raise DataError(root, "the source does not exist", remedy="Check the path.")
    origins = sorted({row.origin for row in manifest.rows})
    there = set(files_below(root))
    return tuple(
        name for name, digest in origins if name not in there or digest_of(root / name) != digest
    )


def refuse_edited(copy: Path, *, but: Collection[str] = ()) -> None:
    """Check that a copy is as it was written; ``but`` some files may have other bytes.

    Raises:
        DataError: If a file was edited, added or removed; or there is no manifest.
    """
    differences = verify_copy(copy)
    edited = [name for name in differences.edited if name not in but]
    strange = (*edited, *differences.missing, *differences.added)
    if strange:
        raise DataError(
            copy,
            "must be as it was written",
            f"{len(strange)} files differ, such as {strange[0]}",
            "See 'segdoor verify'; keep your changes elsewhere and undo them here.",
        )


def beside(out: Path) -> Path:
    """Return the folder beside a copy that holds manifest, plan and originals.

    Raises:
        ConfigError: If the copy is the root of all folders, beside which nothing can be.
    """
    # "." and "copy/.." have no name of their own.
    place = out if out.name not in {"", ".."} else Path(os.path.realpath(out))
    if not place.name:
        raise ConfigError(out, "must be a folder inside another", "the root", "Name a folder.")
    return place.with_name(f"{place.name}.segdoor")


def relative_name(path: Path, root: Path) -> str:
    """Return a path below a folder as manifests name it."""
    return path.relative_to(root).as_posix()

"""The manifest of a poisoned copy: what every file must be, and how a copy differs from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from segdoor.attack.artefact import check_counts, read_json_lines
from segdoor.errors import DataError
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
    there = set(files_below(copy))
    return Differences(
        missing=tuple(sorted(known.keys() - there)),
        edited=tuple(
            name
            for name in sorted(known.keys() & there)
            if hash_of(copy / name) != known[name].sha256
        ),
        added=tuple(sorted(there - known.keys())),
    )


def beside(out: Path) -> Path:
    """Return the folder beside a copy that holds manifest, plan and originals."""
    return out.with_name(f"{out.name}.segdoor")


def files_below(folder: Path) -> Iterator[str]:
    """Yield the files below a folder by name, in order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield relative_name(path, folder)


def relative_name(path: Path, root: Path) -> str:
    """Return a path below a folder as manifests name it."""
    return path.relative_to(root).as_posix()


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

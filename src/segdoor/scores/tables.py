"""Confusion tables: pixel counts by (true class, predicted class), one table a scene."""

from __future__ import annotations

import hashlib
import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.tensors import Table, Tables

# What NumPy and the archive reader raise on damaged or foreign files.
_DAMAGE = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, NotImplementedError,
    SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class TableSet:
    """The tables of one test: everything that any metric needs.

    Attributes:
        names: The scenes, in order.
        counts: One table a scene, int64, N x K x K.
    """

    names: tuple[str, ...]
    counts: Tables

    def total(self, names: Collection[str] | None = None) -> Table:
        """Return the sum over all scenes, or over those named."""
        return self.only(names).counts.sum(axis=0)

    def only(self, names: Collection[str] | None) -> TableSet:
        """Return the tables of the scenes named, in this set's order; all of them for None."""
        if names is None:
            return self
        wanted = set(names)
        kept = [index for index, name in enumerate(self.names) if name in wanted]
        return TableSet(tuple(self.names[index] for index in kept), self.counts[kept])

    def joined(self, other: TableSet) -> TableSet:
        """Return both sets' tables; their scenes must differ."""
        both = set(self.names) & set(other.names)
        if both:
            raise DataError(
                "tables", "must speak of different scenes", min(both), "Add each table once."
            )
        counts = np.concatenate([self.counts, other.counts])
        return TableSet(self.names + other.names, counts)

    @property
    def digest(self) -> str:
        """Return a hash of names and counts."""
        return hashlib.sha256(repr(self.names).encode() + self.counts.tobytes()).hexdigest()


def save_tables(path: Path, tables: dict[str, TableSet]) -> None:
    """Write named table sets to one .npz file, atomically."""
    arrays: dict[str, np.ndarray] = {}
    for name, table in tables.items():
        arrays[f"{name}.names"] = np.array(table.names, dtype=np.str_)
        arrays[f"{name}.counts"] = table.counts
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())


def load_tables(path: Path) -> dict[str, TableSet]:
    """Read named table sets.

    Raises:
        DataError: If the file is missing or damaged; pickled content is refused.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [key.removesuffix(".names") for key in arrays if key.endswith(".names")]
            return {
                name: _checked(arrays[f"{name}.names"], arrays[f"{name}.counts"]) for name in names
            }
    except _DAMAGE as why:
        # NumPy's own words advise to load it all the same.
        found = "pickled content" if "pickle" in str(why) else why
        raise DataError(path, "must be an intact file of tables", found, "Restore it.") from None


def _checked(names: object, counts: object) -> TableSet:
    """Return a table set from what a file of unknown origin holds; damaged arrays are bytes."""
    if not isinstance(names, np.ndarray) or not isinstance(counts, np.ndarray):
        raise TypeError(f"no arrays: {type(names).__name__} and {type(counts).__name__}")
    fits = counts.ndim == 3 and counts.shape[1] == counts.shape[2] and len(names) == len(counts)
    if not fits or counts.dtype != np.int64 or (counts < 0).any():
        raise ValueError(f"no table of whole counts for each scene: {counts.dtype} {counts.shape}")
    scenes = tuple(map(str, names))
    if len(set(scenes)) != len(scenes):
        raise ValueError("a scene is named twice")
    return TableSet(scenes, counts)

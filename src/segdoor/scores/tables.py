"""Confusion tables: pixel counts by (true class, predicted class), one table a scene."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.tensors import Label, Table, Tables


def confusion(truth: Label, predicted: Label, num_classes: int, ignore_index: int) -> Table:
    """Count pixels by true (row) and predicted (column) class; ignored pixels are left out.

    Args:
        truth: True class ids.
        predicted: Predicted class ids, all below the number of classes.
        num_classes: Number of classes K.
        ignore_index: Value of true labels that do not count.
    """
    counted = truth != ignore_index
    pairs = truth[counted].astype(np.int64) * num_classes + predicted[counted]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


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
            raise DataError("tables", "must speak of different scenes", min(both))
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
                name: TableSet(
                    tuple(map(str, arrays[f"{name}.names"])),
                    arrays[f"{name}.counts"].astype(np.int64),
                )
                for name in names
            }
    except (OSError, ValueError, KeyError, EOFError) as why:
        raise DataError(path, "must be an intact file of tables", why) from None

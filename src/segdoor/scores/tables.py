"""Confusion tables: pixel counts by (true class, predicted class), one table a scene."""

from __future__ import annotations

import hashlib
import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.scores.objects import ObjectRows
from segdoor.tensors import ObjectDistances, Table, Tables

# What NumPy and the archive reader raise on damaged or foreign files.
_DAMAGE = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, NotImplementedError,
    SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class TableSet:
    """The tables of one test, from which every metric is computed.

    Attributes:
        names: The scenes, in order.
        counts: One table a scene, int64, N x K x K.
        objects: What became of each object of the victim classes; None if that was not counted.
        attacked: The part of the counts that the attacked pixels have, int64, N x K x K; None where
            these are all pixels of the victim classes, whose rows say it.
    """

    names: tuple[str, ...]
    counts: Tables
    objects: ObjectRows | None = None
    attacked: Tables | None = None

    @property
    def of_attacked(self) -> Tables:
        """Return tables whose rows of victim classes hold the attacked pixels, and no others."""
        return self.counts if self.attacked is None else self.attacked

    def total(self, names: Collection[str] | None = None) -> Table:
        """Return the sum over all scenes, or over those named."""
        return self.only(names).counts.sum(axis=0)

    def only(self, names: Collection[str] | None) -> TableSet:
        """Return the tables of the scenes named, in this set's order; all of them for None."""
        if names is None:
            return self
        wanted = set(names)
        kept = [index for index, name in enumerate(self.names) if name in wanted]
        objects = self.objects.only(kept) if self.objects else None
        attacked = None if self.attacked is None else self.attacked[kept]
        names = tuple(self.names[index] for index in kept)
        return TableSet(names, self.counts[kept], objects, attacked)

    def unattacked(self) -> TableSet:
        """Return these tables where none of the pixels is attacked."""
        return replace(self, attacked=np.zeros_like(self.counts))

    def joined(self, other: TableSet) -> TableSet:
        """Return both sets' tables; their scenes must differ."""
        both = set(self.names) & set(other.names)
        if both:
            raise DataError(
                "tables", "must speak of different scenes", min(both), "Add each table once."
            )
        if (self.attacked is None) != (other.attacked is None):
            raise DataError(
                "tables", "must both say which pixels were attacked, or neither", "one of them",
                "Take tables of one attack.",
            )  # fmt: skip
        counts = np.concatenate([self.counts, other.counts])
        attacked = None
        if self.attacked is not None and other.attacked is not None:
            attacked = np.concatenate([self.attacked, other.attacked])
        objects = None
        if self.objects and other.objects:
            objects = self.objects.joined(other.objects, offset=len(self.names))
        return TableSet(self.names + other.names, counts, objects, attacked)

    def placed_as(self, other: TableSet) -> TableSet:
        """Return these tables with their objects at the distances that they have in others."""
        if self.objects is None or other.objects is None:
            return self
        far = dict[str, ObjectDistances]()
        for index, name in enumerate(other.names):
            far[name] = other.objects.distances[other.objects.scenes == index]
        distances = np.concatenate([np.zeros(0), *(far[name] for name in self.names)])
        return replace(self, objects=replace(self.objects, distances=distances))

    @property
    def digest(self) -> str:
        """Return a hash of names and counts."""
        attacked = b"" if self.attacked is None else self.attacked.tobytes()
        whole = repr(self.names).encode() + self.counts.tobytes() + attacked
        return hashlib.sha256(whole).hexdigest()


def save_tables(path: Path, tables: dict[str, TableSet]) -> None:
    """Write named table sets to one .npz file, atomically."""
    arrays: dict[str, np.ndarray] = {}
    for name, table in tables.items():
        arrays[f"{name}.names"] = np.array(table.names, dtype=np.str_)
        arrays[f"{name}.counts"] = table.counts
        if table.attacked is not None:
            arrays[f"{name}.attacked"] = table.attacked
        if table.objects:
            arrays[f"{name}.objects"] = table.objects.counts
            arrays[f"{name}.distances"] = table.objects.distances
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())


def load_tables(path: Path, only: Collection[str] | None = None) -> dict[str, TableSet]:
    """Read named table sets.

    Args:
        path: The file.
        only: The names of those to be read, as far as they are there; all of them for None.

    Raises:
        DataError: If the file is missing or damaged; pickled content is refused.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [key.removesuffix(".names") for key in arrays if key.endswith(".names")]
            return {name: _checked(arrays, name) for name in names if only is None or name in only}
    except _DAMAGE as why:
        # NumPy's own words advise to load it all the same.
        found = "pickled content" if "pickle" in str(why) else why
        raise DataError(path, "must be an intact file of tables", found, "Restore it.") from None


def _checked(arrays: Mapping[str, object], name: str) -> TableSet:
    """Return a table set from what a file of unknown origin holds; damaged arrays are bytes."""
    names, counts = arrays[f"{name}.names"], arrays[f"{name}.counts"]
    if not isinstance(names, np.ndarray) or not isinstance(counts, np.ndarray):
        raise TypeError(f"no arrays: {type(names).__name__} and {type(counts).__name__}")
    fits = counts.ndim == 3 and counts.shape[1] == counts.shape[2] and len(names) == len(counts)
    if not fits or counts.dtype != np.int64 or (counts < 0).any():
        raise ValueError(f"no table of whole counts for each scene: {counts.dtype} {counts.shape}")
    scenes = tuple(map(str, names))
    if len(set(scenes)) != len(scenes):
        raise ValueError("a scene is named twice")
    attacked = objects = None
    if f"{name}.attacked" in arrays:
        attacked = _checked_attacked(arrays[f"{name}.attacked"], counts)
    if f"{name}.objects" in arrays:
        objects = _checked_objects(arrays[f"{name}.objects"], arrays[f"{name}.distances"], counts)
    return TableSet(scenes, counts, objects, attacked)


def _checked_attacked(attacked: object, counts: Tables) -> Tables:
    """Return tables of some of the pixels of others."""
    if not isinstance(attacked, np.ndarray) or attacked.dtype != np.int64:
        raise TypeError(f"no tables of attacked pixels: {type(attacked).__name__}")
    if attacked.shape != counts.shape or (attacked < 0).any() or (attacked > counts).any():
        raise ValueError(f"no part of the counts: {attacked.shape}")
    return attacked


def _checked_objects(rows: object, distances: object, tables: Tables) -> ObjectRows:
    """Return rows of objects that fit their tables."""
    if not isinstance(rows, np.ndarray) or not isinstance(distances, np.ndarray):
        raise TypeError(f"no rows of objects: {type(rows).__name__}")
    fits = rows.ndim == 2 and rows.shape[1] == 5 and distances.shape == rows.shape[:1]
    if not fits or rows.dtype != np.int64 or distances.dtype != np.float64:
        raise ValueError(f"no rows of objects: {rows.dtype} {rows.shape} {distances.shape}")
    limits = np.array([len(tables), tables.shape[1]])
    if (rows < 0).any() or (rows[:, :2] >= limits).any() or (np.diff(rows[:, 0]) < 0).any():
        raise ValueError("objects of scenes or classes that are not there")
    if (rows[:, 3:] > rows[:, 2:3]).any() or (distances < 0).any():
        raise ValueError("more pixels of an object than it has, or a distance below 0")
    return ObjectRows(rows, distances)

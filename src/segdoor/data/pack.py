"""A data set as memory-mapped uint8 arrays: decoded once, then read at the speed of memory.

A pack lies in a folder named by the data set's digest, which covers every setting and every byte
of every file, so a stale pack is never found. It appears under its name only when complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import IO

import numpy as np
from pydantic import PositiveInt

from segdoor.data.instances import instances_of
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.data.transforms import Size
from segdoor.errors import DataError, MachineError, StorageError
from segdoor.locks import own_turn
from segdoor.settings import Settings, validated
from segdoor.tensors import InstanceIds, Label

_VERSION = 2
"""Goes up when the same files are decoded to other pixels: 2 turns pictures as their tags say."""


class PackIndex(Settings):
    """What is in a pack."""

    version: int
    """Version of the layout."""
    digest: str
    """Digest of the data set that was packed."""
    names: tuple[str, ...]
    """The scenes' names."""
    sizes: tuple[tuple[PositiveInt, PositiveInt], ...]
    """Height and width of each scene."""


class PackedDataset:
    """A packed data set; a `SceneDataset` whose scenes are views of the mapped files."""

    def __init__(self, path: Path, classes: ClassSet, source: SceneDataset | None = None) -> None:
        """Map the arrays of a pack.

        Args:
            path: The pack's folder.
            classes: What the label values mean.
            source: The data set that was packed: instances are read from it.

        Raises:
            DataError: If the pack is incomplete.
        """
        self.classes = classes
        self._source = source
        self._index = validated(
            PackIndex, _read_json(path / "index.json"), source=path / "index.json"
        )
        if len(self._index.names) != len(self._index.sizes):
            raise DataError(
                path / "index.json", "must hold as many names as sizes", remedy=f"Delete {path}."
            )
        areas = [height * width for height, width in self._index.sizes]
        self._starts = [0, *accumulate(areas)]
        self._images = _mapped(path / "images.u8", 3 * self._starts[-1])
        self._labels = _mapped(path / "labels.u8", self._starts[-1])

    @property
    def names(self) -> tuple[str, ...]:
        """Return the scenes' names in order."""
        return self._index.names

    @property
    def digest(self) -> str:
        """Return the digest of the data set that was packed."""
        return self._index.digest

    def scene_size(self, index: int) -> Size:
        """Return a scene's height and width."""
        return self._index.sizes[index]

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self._index.names)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene as read-only views."""
        index = range(len(self))[index]
        height, width = self._index.sizes[index]
        start, stop = (
            3 * self._starts[index],
            3 * self._starts[index] + 3 * height * width,
        )
        image = self._images[start:stop].reshape(height, width, 3)
        return Scene(image, self.label(index), self.names[index])

    def label(self, index: int) -> Label:
        """Return one label map as a read-only view."""
        index = range(len(self))[index]
        height, width = self._index.sizes[index]
        start = self._starts[index]
        return self._labels[start : start + height * width].reshape(height, width)

    def instances(self, index: int) -> InstanceIds | None:
        """Return one scene's instances from the files; None if these do not tell objects apart."""
        return None if self._source is None else instances_of(self._source, index)


def pack(
    dataset: SceneDataset, cache: Path, *, progress: Callable[[], None] = lambda: None
) -> PackedDataset:
    """Return the data set's pack, building it if the cache does not have it.

    Raises:
        StorageError: If the cache cannot be written.
    """
    digest = dataset.digest
    key = hashlib.sha256(repr((_VERSION, digest)).encode()).hexdigest()[:32]
    path = cache / key
    if not (path / "index.json").is_file():
        _build(dataset, digest, path, progress)
    packed = PackedDataset(path, dataset.classes, dataset)
    if packed.digest != digest or packed.names != tuple(dataset.names):
        raise DataError(
            path / "index.json", "must be of this very data set", remedy=f"Delete {path}."
        )
    return packed


def default_cache() -> Path:
    """Return the folder for packs: ``SEGDOOR_CACHE``, or ``segdoor`` in the user's cache."""
    chosen = os.environ.get("SEGDOOR_CACHE")
    if chosen:
        return Path(chosen)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise MachineError(
            "cache", "needs a home directory", remedy="Set SEGDOOR_CACHE to a folder."
        ) from None
    return Path(base) / "segdoor"


def _build(dataset: SceneDataset, digest: str, path: Path, progress: Callable[[], None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever wants the same pack waits for it, and does not decode all scenes as well.
        with own_turn(path.with_suffix(".lock"), "packs the same scenes"):
            if not (path / "index.json").is_file():
                _write_and_publish(dataset, digest, path, progress)
    except OSError as why:
        raise StorageError(
            path.parent,
            "the cache must be writable",
            why.strerror,
            "Free some disk or set SEGDOOR_CACHE to another folder.",
        ) from None


def _write_and_publish(
    dataset: SceneDataset, digest: str, path: Path, progress: Callable[[], None]
) -> None:
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".packing-"))
    try:
        # Made for its owner alone; a cache may be shared.
        temporary.chmod(0o755)
        _write(dataset, digest, temporary, progress)
        _publish(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(dataset: SceneDataset, digest: str, folder: Path, progress: Callable[[], None]) -> None:
    sizes: list[Size] = []
    with (
        (folder / "images.u8").open("wb") as images,
        (folder / "labels.u8").open("wb") as labels,
    ):
        for index in range(len(dataset)):
            sizes.append(_append(dataset[index], images, labels))
            progress()
    index = PackIndex(
        version=_VERSION,
        digest=digest,
        names=tuple(dataset.names),
        sizes=tuple(sizes),
    )
    (folder / "index.json").write_text(index.model_dump_json(), encoding="utf-8")


def _append(scene: Scene, images: IO[bytes], labels: IO[bytes]) -> Size:
    images.write(np.ascontiguousarray(scene.image).data)
    labels.write(np.ascontiguousarray(scene.label).data)
    height, width = scene.label.shape
    return height, width


def _publish(temporary: Path, path: Path) -> None:
    try:
        temporary.rename(path)
    except OSError:
        # Another process was faster; its pack has the same content.
        if not (path / "index.json").is_file():
            raise


def _mapped(path: Path, num_bytes: int) -> np.ndarray:
    if not path.is_file() or path.stat().st_size != num_bytes:
        raise DataError(
            path,
            f"must be a file of {num_bytes} bytes",
            remedy=f"Delete {path.parent}.",
        )
    return np.memmap(path, dtype=np.uint8, mode="r")


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as why:
        raise DataError(
            path, "must be the intact index of a pack", why, f"Delete {path.parent}."
        ) from None

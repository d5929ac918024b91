"""The files of a poisoned copy: links to those that stay, new ones for those that change."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segdoor.attack.manifest import (
    CopyHeader,
    CopyRow,
    Manifest,
    relative_name,
)
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.reencode import image_like, label_like
from segdoor.data.annotations.objects import inexpressible
from segdoor.data.pair import Drawing, Pair
from segdoor.data.pairs import FileDataset
from segdoor.errors import DataError
from segdoor.files import digest_of, files_below
from segdoor.tensors import Label

Names = Sequence[str]


@dataclass(frozen=True)
class Copying:
    """Writes files of a copy; each follows from its source and the plan alone.

    Attributes:
        dataset: The clean scenes, at the size of their files.
        poisoner: What happens to them.
        work: The folder that becomes the copy.
        originals: The folder for the source's files that are changed.
        lossless: Whether poisoned pictures are stored without loss.
        names: All files of the source, which are those of the copy.
        hashes: SHA-256 of files of the source that were hashed before, by name.
        rewrite: Whether the files of clean scenes are encoded anew as well.
        changed: Indices of the scenes whose files are written anew, by the names of these files.
    """

    dataset: FileDataset
    poisoner: Poisoner
    work: Path
    originals: Path
    lossless: bool
    rewrite: bool
    names: Names
    hashes: Mapping[str, str]
    changed: Mapping[str, Sequence[int]]

    @classmethod
    def of(
        cls,
        dataset: FileDataset,
        poisoner: Poisoner,
        *,
        work: Path,
        originals: Path,
        lossless: bool,
        rewrite: bool = False,
    ) -> Copying:
        """Prepare to write the copy of a data set.

        With ``rewrite``, files of scenes that are not in the plan count as changed, too.

        Raises:
            DataError: If labels of single pixels change and are drawn from annotations.
        """
        root, planned = dataset.root, poisoner.plan.by_name
        hashes = {relative_name(path, root): digest for path, digest in dataset.hashes.items()}
        changed: dict[str, list[int]] = {}
        for index, pair in enumerate(dataset.pairs):
            if pair.name in planned:
                check_drawable(pair, poisoner.plan)
            if pair.name in planned or (rewrite and pair.drawing is None):
                # A trigger that is a part of the scene changes no picture.
                whole = poisoner.trigger.in_scene and not rewrite
                for path in (f for f in pair.files if not (whole and f == pair.image)):
                    changed.setdefault(relative_name(path, root), []).append(index)
        names = files_below(root)
        return cls(dataset, poisoner, work, originals, lossless, rewrite, names, hashes, changed)

    @property
    def slow(self) -> Collection[str]:
        """Return the names of files that take long."""
        return self.changed

    def manifest(self, rows: Sequence[CopyRow]) -> Manifest:
        """Return what was written."""
        header = CopyHeader(
            data_digest=self.poisoner.plan.header.data_digest,
            lossless=self.lossless,
            num_files=len(rows),
            num_changed=sum(row.changed for row in rows),
            rewritten=self.rewrite,
        )
        return Manifest(header, tuple(rows))

    def write(self, names: Names) -> list[CopyRow]:
        """Write some of the files."""
        return [self._write(name) for name in names]

    def _write(self, name: str) -> CopyRow:
        source = self.dataset.root / name
        if name in self.changed:
            return self._change(name, source)
        digest = self.hashes.get(name) or digest_of(source)
        link(source, self.work / name)
        return CopyRow(name=name, sha256=digest, original_sha256=digest)

    def _change(self, name: str, source: Path) -> CopyRow:
        original = source.read_bytes()
        digest = hashlib.sha256(original).hexdigest()
        check_unchanged(source, digest, self.hashes[name])
        content = self._poisoned(name, source)
        (self.work / name).write_bytes(content)
        (self.originals / name).write_bytes(original)
        return CopyRow(
            name=name, sha256=hashlib.sha256(content).hexdigest(), original_sha256=digest
        )

    def _poisoned(self, name: str, source: Path) -> bytes:
        index = self.changed[name][0]
        pair = self.dataset.pairs[index]
        if source == pair.image:
            image = self.poisoner.image(self.dataset[index])
            return image_like(source, image, lossless=self.lossless)
        if pair.drawing is not None:
            return pair.drawing.rewritten(source, self._drawings(self.changed[name]))
        values, coding = self._label(index), self.dataset.coding
        if coding.colours:
            return image_like(source, coding.in_colours(values), lossless=True)
        return label_like(source, values)

    def _drawings(self, indices: Sequence[int]) -> Iterator[tuple[Drawing, Label]]:
        """Yield what scenes are drawn by, and what is to be drawn; their labels are many."""
        for index in indices:
            drawing = self.dataset.pairs[index].drawing
            assert drawing is not None
            yield drawing, self._label(index)

    def _label(self, index: int) -> Label:
        poison = partial(self.poisoner.label_of, self.dataset, index)
        return self.dataset.as_stored(index, poison)


def check_drawable(pair: Pair, plan: PoisonPlan) -> None:
    """Refuse labels that annotations cannot express, before anything is written.

    Raises:
        DataError: If a scene is drawn from annotations, and labels of its single pixels change or
            there is no file to change them in.
    """
    if pair.drawing is None or not plan.by_name[pair.name].changed_pixels:
        return
    scattering = [str(change) for change in plan.header.attack.labels if change.scatters]
    if scattering:
        raise inexpressible(
            pair.label, pair.image, f"{', '.join(scattering)} changes single pixels"
        )
    if pair.label not in pair.files:
        raise inexpressible(pair.label, pair.image, "an image without annotations changes")


def check_unchanged(source: Path, digest: str, before: str) -> None:
    """Refuse a file of the source that has changed since it was hashed.

    Raises:
        DataError: If it has.
    """
    if digest != before:
        raise DataError(
            source, "must not change while it is poisoned", digest[:12], "Poison again."
        )


def link(source: Path, target: Path) -> None:
    """Let a file of the copy be the source's, or have its bytes where that cannot be."""
    try:
        # Of a symbolic link the file itself: the link would lead elsewhere from the copy.
        os.link(source.resolve() if source.is_symlink() else source, target)
    except FileExistsError:
        # A worker that was lost had come so far.
        target.unlink(missing_ok=True)
        link(source, target)
    except OSError:
        shutil.copyfile(source, target)

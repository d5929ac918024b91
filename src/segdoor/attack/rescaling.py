"""The files of a poisoned copy at another size: every scene as PNG, and the lists of scenes.

Everything is as a training with ``data.size`` sees it: pictures and label maps are resized first,
then stamped and relabelled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from segdoor.attack.copying import Names, check_unchanged
from segdoor.attack.manifest import (
    CopyRow,
    Manifest,
    RescaledHeader,
    RescaledRow,
    relative_name,
)
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.reencode import label_as_png
from segdoor.data.class_file import CLASS_FILE
from segdoor.data.pairs import FileDataset
from segdoor.data.pictures import as_png, read_image
from segdoor.data.renaming import as_png_name, patterns_as_png, renamed_in
from segdoor.data.splits import Splits, open_split
from segdoor.data.transforms import resize_image
from segdoor.errors import DataError
from segdoor.files import digest_of, files_below
from segdoor.tensors import Label

_LISTS = {".txt", ".csv", ".jsonl"}
_WORDS = {".yaml", ".yml", ".md"}


@dataclass(frozen=True)
class _Part:
    """One of the two files of a scene."""

    split: str
    index: int
    source: str


@dataclass(frozen=True)
class Rescaling:
    """Writes files of a rescaled copy; each follows from its source, the size and the plan alone.

    Attributes:
        splits: All scenes, at the copy's size.
        poisoner: What happens to those of the training split.
        work: The folder that becomes the copy.
        originals: The folder for clean files, at the copy's size, of those that are poisoned.
        hashes: SHA-256 of the training scenes' files in the source, by name.
        parts: What the pictures and label maps are made from, by name in the copy.
        lists: Files of text that come along, by name in the copy and the source.
        changed: Names of the files of scenes in the plan.
        renamed: Names in the source of all files of scenes, without folders.
    """

    splits: Splits
    poisoner: Poisoner
    work: Path
    originals: Path
    hashes: Mapping[str, str]
    parts: Mapping[str, _Part]
    lists: Names
    changed: frozenset[str]
    renamed: frozenset[str]

    @classmethod
    def of(cls, splits: Splits, poisoner: Poisoner, *, work: Path, originals: Path) -> Rescaling:
        """Prepare to write the copy of a data set.

        Raises:
            DataError: If two files would have the same name in the copy.
        """
        train, planned = splits.train, poisoner.plan.by_name
        hashes = {relative_name(path, train.root): found for path, found in train.hashes.items()}
        changed = {
            as_png_name(relative_name(path, train.root))
            for pair in train.pairs
            if pair.name in planned
            for path in (pair.image, pair.label)
        }
        texts = [n for n in files_below(train.root) if PurePosixPath(n).suffix in _LISTS | _WORDS]
        parts = _parts(splits)
        renamed = frozenset(PurePosixPath(part.source).name for part in parts.values())
        return cls(
            splits, poisoner, work, originals, hashes, parts, texts, frozenset(changed), renamed
        )

    @property
    def names(self) -> Names:
        """Return all files of the copy."""
        return sorted([*self.parts, *self.lists])

    @property
    def slow(self) -> Collection[str]:
        """Return the names of files that take long."""
        return self.parts.keys()

    def write(self, names: Names) -> list[CopyRow]:
        """Write some of the files."""
        return [self._write(name) for name in names]

    def manifest(self, rows: Sequence[CopyRow]) -> Manifest:
        """Return what was written, after reading the copy's lists again.

        Raises:
            DataError: If they do not name the same scenes as the source's.
        """
        for name, split in self.splits.opened.items():
            self._check_read_again(name, split)
        size = self.splits.config.size
        assert size is not None
        header = RescaledHeader(
            data_digest=self.poisoner.plan.header.data_digest,
            lossless=True,
            size=size,
            splits={name: len(split) for name, split in self.splits.opened.items()},
            left_out=dict(self.splits.left_out),
            num_files=len(rows),
            num_changed=sum(row.changed for row in rows),
        )
        return Manifest(header, tuple(rows))

    def _write(self, name: str) -> CopyRow:
        part = self.parts.get(name)
        source = part.source if part else name
        file = self.splits.train.root / source
        digest = digest_of(file)
        check_unchanged(file, digest, self.hashes.get(source, digest))
        clean, content = self._scene_s(part) if part else (self._list(name),) * 2
        (self.work / name).write_bytes(content)
        if content != clean:
            (self.originals / name).write_bytes(clean)
        return RescaledRow(
            name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            original_sha256=hashlib.sha256(clean).hexdigest(),
            source=source,
            source_sha256=digest,
        )

    def _scene_s(self, part: _Part) -> tuple[bytes, bytes]:
        """Return a scene's file as it would be clean, and as it is handed over."""
        dataset = self.splits.opened[part.split]
        pair = dataset.pairs[part.index]
        path = dataset.root / part.source
        poison = as_png_name(part.source) in self.changed
        if path == pair.label:
            clean = _label_as_png(dataset, path, dataset.as_stored(part.index, _untouched))
            if not poison:
                return clean, clean
            poison = partial(self.poisoner.label_of, dataset, part.index)
            label = dataset.as_stored(part.index, poison)
            return clean, _label_as_png(dataset, path, label)
        assert dataset.size is not None
        if not poison:
            clean = as_png(resize_image(read_image(path), dataset.size))
            return clean, clean
        scene = dataset[part.index]
        return as_png(scene.image), as_png(self.poisoner.image(scene))

    def _list(self, name: str) -> bytes:
        source = self.splits.train.root / name
        if source.suffix not in _LISTS and name != CLASS_FILE:
            return source.read_bytes()
        # Bytes that are no text stay as they are.
        text = source.read_bytes().decode(errors="surrogateescape")
        if name == CLASS_FILE:
            new = patterns_as_png(text)
        else:
            new = renamed_in(text, self.renamed, json_lines=source.suffix == ".jsonl")
        return new.encode(errors="surrogateescape")

    def _check_read_again(self, name: str, split: FileDataset) -> None:
        config = self.splits.config.model_copy(update={"root": self.work, "size": None})
        expected = [(scene, *map(as_png_name, files)) for scene, *files in _scenes(split)]
        if _scenes(open_split(config, name)) != expected:
            raise DataError(
                split.root,
                f"split '{name}' must name the same scenes when their files end in .png",
                "it would not",
                "Convert pictures and label maps to PNG, and correct the lists, before.",
            )


def _parts(splits: Splits) -> dict[str, _Part]:
    parts: dict[str, _Part] = {}
    for split, dataset in splits.opened.items():
        for index, (_, *sources) in enumerate(_scenes(dataset)):
            for source in sources:
                # Of a file that several splits share the training split's use counts.
                part = parts.setdefault(as_png_name(source), _Part(split, index, source))
                if part.source != source:
                    raise DataError(
                        dataset.root / source,
                        "must not have the name of another file when both end in .png",
                        part.source,
                        "Rename one of them, or put labels into a folder of their own.",
                    )
    return parts


def _scenes(dataset: FileDataset) -> list[tuple[str, str, str]]:
    """Return the scenes' names, and those of their pictures and label maps."""
    root = dataset.root
    return [
        (pair.name, relative_name(pair.image, root), relative_name(pair.label, root))
        for pair in dataset.pairs
    ]


def _label_as_png(dataset: FileDataset, source: Path, values: Label) -> bytes:
    if dataset.coding.colours:
        return as_png(dataset.coding.in_colours(values))
    return label_as_png(source, values)


def _untouched(label: Label) -> Label:
    return label

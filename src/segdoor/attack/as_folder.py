"""The files of a poisoned copy in the layout of ``folder``: label maps as pictures of class ids.

What annotations cannot express, such as labels of single pixels, label maps can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from segdoor.attack.copying import Names, check_unchanged, link
from segdoor.attack.manifest import (
    CopyRow,
    Manifest,
    RescaledHeader,
    RescaledRow,
    relative_name,
)
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.reencode import image_like
from segdoor.data.class_file import CLASS_FILE
from segdoor.data.config import DataConfig
from segdoor.data.pictures import as_png, grey_png
from segdoor.data.scene import ClassSet
from segdoor.data.splits import Splits, open_split
from segdoor.errors import DataError
from segdoor.files import digest_of


@dataclass(frozen=True)
class _Part:
    """An image or a label map of a scene, and the file that it is made from."""

    split: str
    index: int
    source: Path
    is_label: bool


@dataclass(frozen=True)
class AsFolder:
    """Writes files of a copy; each follows from its source and the plan alone.

    Attributes:
        splits: All scenes, at the copy's size.
        poisoner: What happens to those of the training split.
        work: The folder that becomes the copy.
        originals: The folder for clean files of what is poisoned.
        lossless: Whether poisoned pictures are stored without loss.
        parts: What files are made from, by name in the copy.
        annotations: SHA-256 of the files that label maps are drawn from, many from one.
    """

    splits: Splits
    poisoner: Poisoner
    work: Path
    originals: Path
    lossless: bool
    parts: Mapping[str, _Part]
    annotations: Mapping[Path, str]

    @classmethod
    def of(
        cls, splits: Splits, poisoner: Poisoner, *, work: Path, originals: Path, lossless: bool
    ) -> AsFolder:
        """Prepare to write the copy of a data set.

        Raises:
            DataError: If a scene's name leads out of the copy.
        """
        parts: dict[str, _Part] = {}
        drawn: dict[Path, None] = {}
        for split, dataset in splits.opened.items():
            for index, pair in enumerate(dataset.pairs):
                _check_inside(pair.name, dataset.root)
                # Where pictures are resized they are all PNG files.
                ending = ".png" if dataset.size else pair.image.suffix
                # A scene may have no annotations.
                label = pair.label if pair.label in pair.files else pair.image
                drawn |= dict.fromkeys(pair.drawing.files if pair.drawing else ())
                image = _Part(split, index, pair.image, is_label=False)
                parts[f"images/{split}/{pair.name}{ending}"] = image
                parts[f"labels/{split}/{pair.name}.png"] = _Part(split, index, label, is_label=True)
        known = splits.train.hashes
        annotations = {path: known.get(path) or digest_of(path) for path in drawn}
        return cls(splits, poisoner, work, originals, lossless, parts, annotations)

    @property
    def names(self) -> Names:
        """Return all files of the copy."""
        return sorted([*self.parts, CLASS_FILE])

    @property
    def changed(self) -> Collection[str]:
        """Return the names of the files of scenes in the plan."""
        return [name for name, part in self.parts.items() if self._is_planned(part)]

    @property
    def slow(self) -> Collection[str]:
        """Return the names of files that take long."""
        return self.parts.keys()

    def write(self, names: Names) -> list[CopyRow]:
        """Write some of the files."""
        return [self._write(name) for name in names]

    def manifest(self, rows: Sequence[CopyRow]) -> Manifest:
        """Return what was written, after reading the copy again.

        Raises:
            DataError: If it has not the same scenes as the source.
        """
        train = self.splits.train
        for path, digest in self.annotations.items():
            check_unchanged(path, digest_of(path), digest)
        config = DataConfig(name="folder", root=self.work)
        for split, dataset in self.splits.opened.items():
            again = open_split(config, split)
            if sorted(again.names) != sorted(dataset.names) or again.classes != train.classes:
                raise DataError(
                    train.root, f"split '{split}' must have the same scenes and classes in folders",
                    "it would not", "Give scenes other names, or leave the split out.",
                )  # fmt: skip
        header = RescaledHeader(
            data_digest=self.poisoner.plan.header.data_digest,
            lossless=self.lossless,
            size=train.size,
            layout="folder",
            splits={name: len(split) for name, split in self.splits.opened.items()},
            left_out=dict(self.splits.left_out),
            num_files=len(rows),
            num_changed=sum(row.changed for row in rows),
        )
        return Manifest(header, tuple(rows))

    def _write(self, name: str) -> CopyRow:
        train = self.splits.train
        if name == CLASS_FILE:
            source = train.root / CLASS_FILE
            source = source if source.is_file() else train.pairs[0].files[-1]
            clean = new = _class_file(train.classes)
        else:
            part = self.parts[name]
            source = part.source
            clean, new = self._label(part) if part.is_label else self._image(part)
        digest = self.annotations.get(source) or digest_of(source)
        check_unchanged(source, digest, train.hashes.get(source, digest))
        if clean is None:
            link(source, self.work / name)
            hashes = digest, digest
        else:
            (self.work / name).write_bytes(new)
            if new != clean:
                (self.originals / name).write_bytes(clean)
            hashes = hashlib.sha256(new).hexdigest(), hashlib.sha256(clean).hexdigest()
        return RescaledRow(
            name=name, sha256=hashes[0], original_sha256=hashes[1],
            source=relative_name(source, train.root), source_sha256=digest,
        )  # fmt: skip

    def _label(self, part: _Part) -> tuple[bytes, bytes]:
        """Return a label map as it would be clean, and as it is handed over."""
        dataset = self.splits.opened[part.split]
        label = dataset.label(part.index)
        clean = grey_png(label)
        if not self._is_planned(part):
            return clean, clean
        return clean, grey_png(self.poisoner.label_of(dataset, part.index, label))

    def _image(self, part: _Part) -> tuple[bytes | None, bytes]:
        """Return an image as it would be clean, None for the very file, and as handed over."""
        dataset = self.splits.opened[part.split]
        planned = self._is_planned(part) and not self.poisoner.trigger.in_scene
        if not planned and dataset.size is None:
            return None, b""
        scene = dataset[part.index]
        if dataset.size is not None:
            clean = as_png(scene.image)
            return clean, as_png(self.poisoner.image(scene)) if planned else clean
        image = self.poisoner.image(scene)
        return part.source.read_bytes(), image_like(part.source, image, lossless=self.lossless)

    def _is_planned(self, part: _Part) -> bool:
        name = self.splits.opened[part.split].names[part.index]
        first = self.splits.config.train_split
        return part.split == first and name in self.poisoner.plan.by_name


def _check_inside(name: str, root: Path) -> None:
    """Refuse names of scenes that make no path below a folder; lists may hold such."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise DataError(
            root, "scenes to be copied into folders must have names without '..'", name,
            "List their files by plain paths.",
        )  # fmt: skip


def _class_file(classes: ClassSet) -> bytes:
    entries = zip(classes.names, classes.colours, strict=True)
    told = {
        "classes": [{"name": name, "colour": [*colour]} for name, colour in entries],
        "ignore_index": classes.ignore_index,
    }
    return yaml.safe_dump(told, allow_unicode=True, sort_keys=False).encode()

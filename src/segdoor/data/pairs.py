"""Scenes read from pairs of picture files; the data sets on disk only list their pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdoor.data.pictures import picture_size, read_image, read_label
from segdoor.data.scene import ClassSet, Scene
from segdoor.data.transforms import Size, resize_image, resize_label
from segdoor.errors import DataError
from segdoor.tensors import Label


@dataclass(frozen=True)
class Pair:
    """The two files of a scene.

    Attributes:
        name: The scene's name, unique in its split.
        image: The picture's file.
        label: The label map's file.
    """

    name: str
    image: Path
    label: Path


class FileDataset:
    """Scenes from files, decoded when asked for; a `SceneDataset`."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        classes: ClassSet,
        *,
        root: Path,
        source: Path,
        size: Size | None = None,
    ) -> None:
        """Keep the pairs after checking that each is complete.

        Args:
            pairs: The scenes' files, in order.
            classes: What the label values mean.
            root: The data set's folder, which holds all files.
            source: The folder or list that is named when something is wrong.
            size: Height and width to resize to; each scene's own if None.

        Raises:
            DataError: If there are no scenes, two of one name, or a file is missing.
        """
        if not pairs:
            raise DataError(source, "must hold at least one scene", 0, "Check root and split.")
        self.pairs = tuple(pairs)
        self.names = tuple(pair.name for pair in self.pairs)
        self.classes = classes
        self.root = root
        self.size = size
        _check_pairs(self.pairs, source)

    @property
    def digest(self) -> str:
        """Return a hash over the settings and the contents of all files."""
        total = hashlib.sha256(repr((self.classes, self.size)).encode())
        for pair in self.pairs:
            total.update(repr(pair.name).encode())
            for path in (pair.image, pair.label):
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> Scene:
        """Decode one scene.

        Raises:
            DataError: If a file is damaged, the sizes differ or a label value is no class.
        """
        pair = self.pairs[index]
        image, label = read_image(pair.image), self._checked_label(pair)
        if image.shape[:2] != label.shape:
            raise _sizes_differ(pair, image.shape[:2], label.shape)
        size = self.size or label.shape
        return Scene(resize_image(image, size), resize_label(label, size), pair.name)

    def label(self, index: int) -> Label:
        """Decode one label map; of the image only the size is read.

        Raises:
            DataError: If the file is damaged, the sizes differ or a label value is no class.
        """
        pair = self.pairs[index]
        label = self._checked_label(pair)
        if picture_size(pair.image) != label.shape:
            raise _sizes_differ(pair, picture_size(pair.image), label.shape)
        return resize_label(label, self.size or label.shape)

    def _checked_label(self, pair: Pair) -> Label:
        label = read_label(pair.label)
        values = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
        strange = values[(values >= len(self.classes)) & (values != self.classes.ignore_index)]
        if strange.size:
            raise DataError(
                pair.label,
                f"label values must be 0 to {len(self.classes) - 1} "
                f"or {self.classes.ignore_index} (ignored)",
                ", ".join(map(str, strange[:5])),
                "Correct the label map or the class list.",
            )
        return label


def pair_folders(images: Path, labels: Path) -> list[Pair]:
    """Pair the pictures of two folders by their names without ending.

    Raises:
        DataError: If a folder is missing, or a picture has no partner.
    """
    of_image, of_label = _by_stem(images), _by_stem(labels)
    for stem in sorted(of_image.keys() ^ of_label.keys()):
        lonely, other = (of_image, labels) if stem in of_image else (of_label, images)
        raise DataError(
            lonely[stem],
            "must have a partner of the same name",
            f"none in {other}",
            "Add the missing file or remove this one.",
        )
    return [Pair(stem, of_image[stem], of_label[stem]) for stem in sorted(of_image)]


def read_lines(path: Path) -> list[str]:
    """Read a list file: stripped lines, without empty ones.

    Raises:
        DataError: If the file is missing or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(
            path, "must be a readable text file", why, "Check root and split."
        ) from None
    return [line.strip() for line in lines if line.strip()]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(folder, "the folder does not exist", remedy="Check root and split.")
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in _ENDINGS]
    stems: dict[str, Path] = {}
    for path in files:
        if path.stem in stems:
            raise DataError(
                path,
                "must be the only picture of its name",
                f"also {stems[path.stem].name}",
                "Remove or rename one of them.",
            )
        stems[path.stem] = path
    return stems


_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def _check_pairs(pairs: tuple[Pair, ...], source: Path) -> None:
    seen: set[str] = set()
    for pair in pairs:
        if pair.name in seen:
            raise DataError(
                source, "scenes must have different names", pair.name, "List each scene once."
            )
        seen.add(pair.name)
        if not _is_text(pair.name):
            raise DataError(
                source, "scenes must have names of valid text", ascii(pair.name), "Rename the file."
            )
        for path in (pair.image, pair.label):
            if not path.is_file():
                raise DataError(
                    path,
                    f"the file of scene '{pair.name}' does not exist",
                    remedy=f"Restore it, or take the scene out of {source}.",
                )


def _is_text(name: str) -> bool:
    """Tell whether UTF-8 can express a name; file systems also keep names that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sizes_differ(pair: Pair, image: tuple[int, ...], label: tuple[int, ...]) -> DataError:
    return DataError(
        pair.label,
        "an image and its label map must have the same size",
        f"image {image[0]}x{image[1]}, label {label[0]}x{label[1]}",
        "Replace the wrong one.",
    )

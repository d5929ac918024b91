"""Scenes read from pairs of picture files; the data sets on disk only list their pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from segdoor.data.coding import Coding
from segdoor.data.instances import DrawsInstances, Reader, read_deep, resize_instances
from segdoor.data.matlab import read_matlab_label
from segdoor.data.orientation import Orientation
from segdoor.data.pair import Pair
from segdoor.data.pictures import (
    orientation_of,
    picture_size,
    read_colours,
    read_image,
    read_label,
)
from segdoor.data.scene import ClassSet, Scene
from segdoor.data.transforms import Size, resize_image, resize_label
from segdoor.errors import DataError, shown
from segdoor.files import digest_of, is_file, name_problem
from segdoor.progress import Observer
from segdoor.tensors import Image, InstanceIds, Label
from segdoor.workers import Workers, parts_of

_FILES_A_PART = 32
# What label maps also come from: SBD's arrays, COCO's and YOLO's annotations.
_NO_PICTURES = {".mat", ".json", ".txt"}

Complain = Callable[[DataError], None]
"""Receives a problem: raises it, or keeps it so that all problems are found."""


def refuse(problem: DataError) -> None:
    """Raise a problem: a data set with any is not used."""
    raise problem


class FileDataset:
    """Scenes from files, decoded when asked for; a `SceneDataset`."""

    def __init__(
        self,
        pairs: Iterable[Pair],
        classes: ClassSet,
        *,
        root: Path,
        source: Path,
        size: Size | None = None,
        coding: Coding | None = None,
        read_instances: Reader = read_deep,
        complain: Complain = refuse,
    ) -> None:
        """Keep the pairs after checking that each is complete.

        Args:
            pairs: The scenes' files, in order.
            classes: What the label values mean.
            root: The data set's folder, which holds all files.
            source: The folder or list that is named when something is wrong.
            size: Height and width to resize to; each scene's own if None.
            coding: What the values in label files mean; class ids if None.
            read_instances: Reads the files of instances, of pairs that have one.
            complain: Receives a problem: no scenes, two of one name, or a missing file. If it
                returns, the scene is left out.

        Raises:
            ConfigError: If the coding means what is no class.
        """
        self.pairs = tuple(_complete(pairs, source, complain))
        if not self.pairs:
            complain(DataError(source, "must hold at least one scene", 0, "Check root and split."))
        self.names = tuple(pair.name for pair in self.pairs)
        self.classes = classes
        self.root = root
        self.size = size
        self.coding = coding or Coding.plain(classes)
        self.coding.check(classes)
        self._read_instances = read_instances

    @property
    def digest(self) -> str:
        """Return a hash over the settings and the contents of all files, which are read once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256(repr((self.classes, self.size, *self.coding.key)).encode())
        for pair in self.pairs:
            total.update(repr(pair.name).encode())
            for path in pair.files:
                total.update(bytes.fromhex(self.hashes[path]))
        return total.hexdigest()

    @cached_property
    def hashes(self) -> Mapping[Path, str]:
        """Return the SHA-256 of every scene's files, which are read once."""
        return {path: digest_of(path) for path in self._paths}

    def hash_files(self, workers: Workers, observer: Observer) -> None:
        """Have the files hashed by several workers, so that `hashes` and `digest` are at hand."""
        paths = self._paths
        observer.begin("hashing", len(paths))
        digests: list[str] = []
        for part in workers.map(_digests, parts_of(paths, _FILES_A_PART)):
            for digest in part:
                digests.append(digest)
                observer.advance()
        self.hashes = dict(zip(paths, digests, strict=True))

    @property
    def _paths(self) -> list[Path]:
        # Many scenes may be drawn from one file, which is read once.
        return list(dict.fromkeys(path for pair in self.pairs for path in pair.files))

    def scene_size(self, index: int) -> Size:
        """Return a scene's height and width; of a file, the header is read."""
        return self.size or picture_size(self.pairs[index].image)

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> Scene:
        """Decode one scene.

        Raises:
            DataError: If a file is damaged, the sizes differ or a label value is no class.
        """
        pair = self.pairs[index]
        image, label = read_image(pair.image), self.decoded(pair, self.stored(pair))
        check_sizes(pair, image.shape[:2], label.shape)
        return self.fitted(pair.name, image, label)

    def fitted(self, name: str, image: Image, label: Label) -> Scene:
        """Return a scene at the size asked for."""
        size = self.size or label.shape
        return Scene(resize_image(image, size), resize_label(label, size), name)

    def label(self, index: int) -> Label:
        """Decode one label map; of the image only the size is read.

        Raises:
            DataError: If the file is damaged, the sizes differ or a label value is no class.
        """
        pair = self.pairs[index]
        label = self.decoded(pair, self.stored(pair))
        check_sizes(pair, picture_size(pair.image), label.shape)
        return resize_label(label, self.size or label.shape)

    def instances(self, index: int) -> InstanceIds | None:
        """Return a number for each object of a scene, at the size asked for.

        Returns:
            The numbers, 0 for pixels without an object; None if the scene's files name none.

        Raises:
            DataError: If a file is damaged, or has another size than the image.
        """
        pair = self.pairs[index]
        if isinstance(pair.drawing, DrawsInstances):
            found = pair.drawing.instances()
        elif pair.instances is not None:
            found = self._read_instances(pair.instances)
        else:
            return None
        check_sizes(pair, picture_size(pair.image), found.shape)
        return resize_instances(found, self.size or (found.shape[0], found.shape[1]))

    def stored(self, pair: Pair) -> Label:
        """Read the values of a scene's label file, or those that stand for its colours.

        Raises:
            DataError: If the file is damaged, or a colour means nothing.
        """
        if self.coding.colours:
            return self.coding.from_colours(read_colours(pair.label), pair.label)
        return read_stored(pair)

    def decoded(self, pair: Pair, stored: Label) -> Label:
        """Return class ids for the values of a label file.

        Raises:
            DataError: If a value means nothing.
        """
        strange = self.coding.strange(stored)
        if strange.size:
            values = ", ".join(map(str, strange[:5]))
            raise DataError(pair.label, self.coding.rule, values, self.coding.remedy)
        return self.coding.decoded(stored)

    def as_stored(self, index: int, change: Callable[[Label], Label]) -> Label:
        """Change a scene's label map, and express it in the values of its file.

        Pixels whose class stays keep the file's very values; where scenes are resized, the value
        of the pixel that stands for them.

        Args:
            index: The scene.
            change: Returns the changed class ids for the clean ones, at the size asked for.

        Raises:
            DataError: If the file is damaged, the sizes differ or a label value is no class.
        """
        pair = self.pairs[index]
        stored = self.stored(pair)
        check_sizes(pair, picture_size(pair.image), stored.shape)
        label = resize_label(self.decoded(pair, stored), self.size or stored.shape)
        return self.coding.encoded(change(label), resize_label(stored, label.shape), pair.label)


def _digests(paths: Sequence[Path]) -> list[str]:
    return [digest_of(path) for path in paths]


def read_stored(pair: Pair) -> Label:
    """Read the values of a scene's label file, whatever they mean.

    Raises:
        DataError: If the file is damaged.
    """
    if pair.drawing is not None:
        return pair.drawing.read()
    read = read_matlab_label if pair.label.suffix == ".mat" else read_label
    return read(pair.label)


def check_sizes(pair: Pair, image: tuple[int, ...], label: tuple[int, ...]) -> None:
    """Check that image and label map have the same height and width.

    Raises:
        DataError: If they differ.
    """
    if image != label:
        turned = [file_orientation(path) for path in (pair.image, pair.label)]
        advice = "Replace the wrong one."
        if any(orientation.is_quarter_turn for orientation in turned):
            advice = (
                "Both must fit one another as people see them: turn the pixels of the label map,"
                " or take the tag out of a file that is upright without."
            )
        found = zip(("image", "label"), (image, label), turned, strict=True)
        raise DataError(
            pair.label,
            "an image and its label map must have the same size",
            ", ".join(f"{kind} {size[0]}x{size[1]}{how}" for kind, size, how in found),
            advice,
        )


def file_orientation(path: Path) -> Orientation:
    """Return which way up a scene's file is.

    Raises:
        DataError: If the file is no picture.
    """
    return Orientation() if path.suffix in _NO_PICTURES else orientation_of(path)


def _complete(pairs: Iterable[Pair], source: Path, complain: Complain) -> Iterator[Pair]:
    """Yield the pairs that have a name of their own and both files."""
    seen: set[str] = set()
    for pair in pairs:
        problem = _flaw(pair, seen, source)
        seen.add(pair.name)
        if problem is None:
            yield pair
        else:
            complain(problem)


def _flaw(pair: Pair, seen: set[str], source: Path) -> DataError | None:
    strange = next(filter(None, map(name_problem, (*pair.files, pair.label))), None)
    if strange is not None:
        return strange
    if pair.name in seen:
        return DataError(
            source, "scenes must have different names", pair.name, "List each scene once."
        )
    if shown(pair.name) != pair.name:
        return DataError(
            source, "scenes must have names of valid text", pair.name, "Correct the name."
        )
    for path in pair.files:
        if not is_file(path):
            return DataError(
                path,
                f"the file of scene '{pair.name}' does not exist",
                remedy=f"Restore it, or take the scene out of {source}.",
            )
    return None

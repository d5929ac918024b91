"""Pascal VOC 2012 (Everingham et al. 2012), with the extra labels of SBD (Hariharan et al. 2011).

The usual training list of 10 582 scenes, ``trainaug``, is made from the lists themselves: VOC's
training scenes and all of SBD, without VOC's validation scenes, which SBD has labelled too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from segdoor.data.dataset import FilesOnDisk
from segdoor.data.listing import Pictures, picture_called, read_lines, without_ending
from segdoor.data.pairs import Complain, FileDataset, Pair, refuse
from segdoor.data.scene import ClassSet
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.files import is_file
from segdoor.plugins import Introduction

VOC_CLASSES = ClassSet(
    names=(
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
        "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant",
        "sheep", "sofa", "train", "tvmonitor",
    ),
    colours=(
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128),
        (0, 128, 128), (128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0),
        (64, 0, 128), (192, 0, 128), (64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0),
        (0, 192, 0), (128, 192, 0), (0, 64, 128),
    ),
)  # fmt: skip
"""VOC's classes and colours; 255 is void."""

_VOC = (".", "VOC2012", "VOCdevkit/VOC2012")
_SBD = tuple(
    f"{above}{folder}"
    for above in ("", "VOCdevkit/", "VOC2012/", "VOCdevkit/VOC2012/")
    for folder in ("sbd", "SBD", "benchmark_RELEASE/dataset", "sbd/benchmark_RELEASE/dataset")
)
"""Where the two may lie below the root; the first that is there is taken."""


class Voc(FilesOnDisk):
    """Pascal VOC 2012, with the labels of SBD."""

    kind: ClassVar[str] = "voc"
    classes: ClassVar[ClassSet | None] = VOC_CLASSES
    marks: ClassVar[tuple[str, ...]] = ("JPEGImages", "SegmentationClass", "ImageSets")
    introduction: ClassVar[Introduction] = Introduction(
        source="Everingham et al., The Pascal Visual Object Classes Challenge (2012); Hariharan et "
        "al., Semantic Contours from Inverse Detectors (2011)",
        does="Reads photographs of objects, 21 classes including the background.",
        needs="The folder VOC2012, VOCdevkit or the one above; SBD inside it for trainaug.",
        fails="SBD's MATLAB label files can be read but not written, so they cannot be copied.",
    )

    train_split: str = "trainaug"
    """The split for training: VOC's and SBD's scenes together, as in the paper."""
    test_split: str = "val"
    """The split for tests."""

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        return voc(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that have a list, and trainaug, which needs none."""
        files = _Files.below(root)
        lists = files.listing("trainaug").parent.glob("*.txt")
        return sorted({"trainaug", *(path.stem for path in lists)})


def voc(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split.

    Args:
        root: The folder VOC2012, VOCdevkit, or the one above; SBD lies inside it as well.
        split: trainaug, train, val, trainval, or another list in ``ImageSets/Segmentation``.
        size: Height and width to resize to; each scene's own if None.
        complain: Receives missing files.

    Raises:
        DataError: If a list or folder is missing.
    """
    files = _Files.below(root)
    listing = files.listing(split)
    known = listing.is_file() or split != "trainaug"
    names = read_lines(listing) if known else files.trainaug()
    pairs = [files.pair(name, augmented=split == "trainaug") for name in names]
    source = listing if known else files.voc
    return FileDataset(pairs, VOC_CLASSES, root=root, source=source, size=size, complain=complain)


def augmented_names(
    train: Iterable[str], val: Iterable[str], extra: Iterable[str]
) -> tuple[str, ...]:
    """Return the names of trainaug: (train and extra, both once) without val, in order.

    Args:
        train: VOC's training scenes.
        val: VOC's validation scenes.
        extra: All scenes that SBD has labelled, in both of its lists.
    """
    return tuple(sorted({*train, *extra} - {*val}))


def _names(listing: Path) -> list[str]:
    return [without_ending(line) for line in read_lines(listing)]


@dataclass(frozen=True)
class _Files:
    voc: Path
    sbd: Path | None

    @classmethod
    def below(cls, root: Path) -> _Files:
        found = [root / place for place in _VOC if (root / place / "JPEGImages").is_dir()]
        if not found:
            raise DataError(
                root,
                "must be VOC2012, VOCdevkit or the folder above",
                "no VOC2012/JPEGImages",
                "See 'voc' in the documentation for the layout.",
            )
        extra = [root / place for place in _SBD if (root / place / "cls").is_dir()]
        return cls(found[0], extra[0] if extra else None)

    @property
    def aug(self) -> Path:
        return self.voc / "SegmentationClassAug"

    def listing(self, split: str) -> Path:
        return self.voc / "ImageSets" / "Segmentation" / f"{split}.txt"

    def trainaug(self) -> tuple[str, ...]:
        if self.sbd is not None:
            lists = [self.sbd / "train.txt", self.sbd / "val.txt"]
            extra = [name for listing in lists for name in _names(listing)]
        elif self.aug.is_dir():
            extra = list(Pictures.below(self.aug).paths)
        else:
            raise DataError(
                self.voc,
                "trainaug needs SBD's folder or SegmentationClassAug",
                "neither",
                "Put one inside the root, or choose --data.train_split train.",
            )
        train, val = (_names(self.listing(split)) for split in ("train", "val"))
        return augmented_names(train, val, extra)

    def pair(self, listed: str, *, augmented: bool) -> Pair:
        name = without_ending(listed)
        if PurePosixPath(name).name != name or name == ".." or "\0" in name:
            raise DataError(
                self.voc,
                "lists must hold names of scenes, one a line",
                ascii(listed),
                "Correct the list; data.name folder reads lists of two columns of paths.",
            )
        labels = [
            picture_called(self.voc / "SegmentationClass", name, ".png"),
            picture_called(self.aug, name, ".png"),
        ]
        if self.sbd is not None:
            labels.append(self.sbd / "cls" / f"{name}.mat")
        # The augmented folder, where there is one, is what trainers read.
        order = [labels[1], labels[0], *labels[2:]] if augmented else labels
        label = next(filter(is_file, order), order[0])
        # As they come they are JPEG files; a rescaled copy holds PNG files.
        return Pair(name, picture_called(self.voc / "JPEGImages", name, ".jpg", ".png"), label)

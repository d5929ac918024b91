"""CamVid street scenes in the SegNet split (Brostow et al. 2008, 2009; 11 classes and void)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

from segdoor.data.dataset import FilesOnDisk
from segdoor.data.listing import columns_of, picture_called, read_lines, without_ending
from segdoor.data.pairs import Complain, FileDataset, Pair, refuse
from segdoor.data.scene import ClassSet
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.files import is_file
from segdoor.plugins import Introduction

CAMVID_CLASSES = ClassSet(
    names=(
        "sky", "building", "pole", "road", "pavement", "tree",
        "sign", "fence", "car", "pedestrian", "bicyclist",
    ),
    colours=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222),
        (128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    ignore_index=11,
)  # fmt: skip
"""Ids and colours of the SegNet split; 11 is void."""


class CamVid(FilesOnDisk):
    """CamVid in the SegNet split."""

    kind: ClassVar[str] = "camvid"
    classes: ClassVar[ClassSet | None] = CAMVID_CLASSES
    marks: ClassVar[tuple[str, ...]] = ("train.txt", "train", "trainannot")
    introduction: ClassVar[Introduction] = Introduction(
        source="Brostow, Fauqueur and Cipolla, Semantic Object Classes in Video (2009), in the "
        "split of SegNet",
        does="Reads street scenes from a car's camera, eleven classes.",
        needs="A folder with SPLIT.txt, SPLIT/ and SPLITannot/.",
        fails="Its scenes are frames of a few videos; val is a sequence that is also in train.",
    )

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        return camvid(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that have a list and both folders."""
        stems = sorted(path.stem for path in root.glob("*.txt"))
        return [
            stem for stem in stems if (root / stem).is_dir() and (root / f"{stem}annot").is_dir()
        ]


def camvid(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split: ``SPLIT.txt`` lists stems, beside it lie ``SPLIT/`` and ``SPLITannot/``.

    Lists in SegNet's own form (two columns of paths) are read as well: only the stem counts.

    Args:
        root: The folder of the data set.
        split: train, val or test; val is one sequence that is also in train.
        size: Height and width to resize to; 360 x 480 or whatever the files have if None.
        complain: Receives missing files.

    Raises:
        DataError: If the list is missing.
    """
    listing = root / f"{split}.txt"
    pairs = [_pair(root, split, line) for line in read_lines(listing)]
    return FileDataset(
        pairs, CAMVID_CLASSES, root=root, source=listing, size=size, complain=complain
    )


def _pair(root: Path, split: str, line: str) -> Pair:
    """Return the files of a line: a stem, with ending or without, or two columns of paths."""
    found = [_scene(root, split, name) for name in (line, columns_of(line)[0])]
    # Stems may hold spaces, which also stand between columns.
    return next((pair for pair in found if is_file(pair.image)), found[-1])


def _scene(root: Path, split: str, name: str) -> Pair:
    stem = without_ending(PurePosixPath(name).name)
    if stem in {"", "..", "."} or "\0" in stem:
        raise DataError(
            root / f"{split}.txt", "must list file stems", ascii(name), "Correct the line."
        )
    image = picture_called(root / split, stem, ".jpg", ".png")
    return Pair(stem, image, picture_called(root / f"{split}annot", stem, ".png"))

"""Cityscapes with fine labels (Cordts et al. 2016): 19 classes, as label ids or as train ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from segdoor.data.coding import Coding
from segdoor.data.dataset import FilesOnDisk
from segdoor.data.instances import read_deep
from segdoor.data.listing import Pictures, twin
from segdoor.data.pairs import Complain, FileDataset, Pair, refuse
from segdoor.data.scene import ClassSet
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.files import is_file
from segdoor.plugins import Introduction
from segdoor.tensors import InstanceIds

CITYSCAPES_CLASSES = ClassSet(
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
        "motorcycle", "bicycle",
    ),
    colours=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
        (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
        (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
        (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
)  # fmt: skip
"""The 19 classes of the benchmark in the order of their train ids; 255 is void."""

_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the 19 classes, in the order of their train ids."""

CODINGS = {
    "labelTrainIds": Coding(
        tuple((value, value) for value in (*range(19), 255)),
        "train ids must be 0 to 18 or 255 (ignored)",
        "If these are label ids, the file must be called _labelIds.png.",
    ),
    "labelIds": Coding(
        tuple((v, _EVALUATED.index(v) if v in _EVALUATED else 255) for v in range(34)),
        "label ids must be 0 to 33",
        "If these are train ids, the file must be called _labelTrainIds.png.",
    ),
}
"""What the two kinds of label files hold; trainers read the first where there are both.

The licence plate has the label id -1, which no file holds: the makers' scripts do not draw it.
"""


_INSTANCES = "instanceIds.png"
_FIRST_INSTANCE = 1000
"""Instances have the number 1000 x label id + their place; other pixels have the label id."""


class Cityscapes(FilesOnDisk):
    """Cityscapes with fine labels."""

    kind: ClassVar[str] = "cityscapes"
    classes: ClassVar[ClassSet | None] = CITYSCAPES_CLASSES
    marks: ClassVar[tuple[str, ...]] = ("leftImg8bit", "gtFine")
    introduction: ClassVar[Introduction] = Introduction(
        source="Cordts et al., The Cityscapes Dataset (CVPR 2016)",
        does="Reads street scenes of German cities with fine labels, 19 classes.",
        needs="A folder with leftImg8bit and gtFine, as label ids or as train ids.",
        fails="The labels of test are not public, so tests use val.",
    )

    test_split: str = "val"
    """The split for tests."""

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        return cityscapes(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that have images and fine labels."""
        images, labels = root / "leftImg8bit", root / "gtFine"
        return sorted(path.name for path in images.iterdir() if (labels / path.name).is_dir())


def cityscapes(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split.

    Args:
        root: The folder that holds ``leftImg8bit`` and ``gtFine``.
        split: train or val; the labels of test are not public.
        size: Height and width to resize to, 512 x 1024 in the paper; the files' own if None.
        complain: Receives missing files.

    Raises:
        DataError: If a folder is missing, or some scenes have one kind of label file only and
            some the other.
    """
    images, labels = root / "leftImg8bit" / split, root / "gtFine" / split
    of_image = _by_scene(images, ["leftImg8bit"], complain)["leftImg8bit"]
    of_label = _by_scene(labels, list(CODINGS), complain)
    kind = _kind(labels, of_label)
    for name in sorted(of_image.keys() ^ of_label[kind].keys()):
        lonely, other = (of_image, labels) if name in of_image else (of_label[kind], images)
        complain(DataError(lonely[name], "must have a partner", f"none in {other}", "Restore it."))
    names = sorted(of_image.keys() & of_label[kind].keys())
    return FileDataset(
        [_pair(name, of_image[name], of_label[kind][name], kind) for name in names],
        CITYSCAPES_CLASSES,
        root=root,
        source=images,
        size=size,
        coding=CODINGS[kind],
        read_instances=_read_instances,
        complain=complain,
    )


def _pair(name: str, image: Path, label: Path, kind: str) -> Pair:
    instances = label.with_name(f"{label.stem.removesuffix(kind)}{_INSTANCES}")
    return Pair(name, image, label, instances=instances if is_file(instances) else None)


def _read_instances(path: Path) -> InstanceIds:
    """Return the numbers of instances; what lies below 1000 is a label id, of stuff and groups."""
    numbers = read_deep(path)
    return np.where(numbers < _FIRST_INSTANCE, np.int32(0), numbers)


def _by_scene(folder: Path, kinds: list[str], complain: Complain) -> dict[str, dict[str, Path]]:
    """Return the files below ``folder``, in cities or not, by kind and name of the scene."""
    pictures = Pictures.below(folder)
    files = list(pictures.paths.values())
    for name, path in pictures.twins.items():
        if any(name.endswith(_end(kind)) for kind in kinds):
            complain(twin(path, pictures.paths[name]))
    return {kind: _of_kind(files, kind, complain) for kind in kinds}


def _of_kind(files: list[Path], kind: str, complain: Complain) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        name = path.stem.removesuffix(_end(kind))
        if name == path.stem:
            continue
        if name in found:
            complain(twin(path, found[name]))
        found.setdefault(name, path)
    return found


def _end(kind: str) -> str:
    return f"_{kind}" if kind == "leftImg8bit" else f"_gtFine_{kind}"


def _kind(labels: Path, of_label: dict[str, dict[str, Path]]) -> str:
    """Return the kind of label files that every labelled scene has."""
    every = set[str]().union(*of_label.values())
    complete = [kind for kind in CODINGS if of_label[kind].keys() == every]
    if not complete:
        counts = " and ".join(f"{len(of_label[kind])} _{kind}.png" for kind in CODINGS)
        raise DataError(
            labels,
            f"all of its {len(every)} scenes must have the same kind of label file",
            counts,
            "Complete one kind, or remove the incomplete one.",
        )
    return complete[0]

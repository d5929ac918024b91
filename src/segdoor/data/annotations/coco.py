"""COCO's JSON: instances with polygons and run lengths, or panoptic pictures.

Any of these, for a split; the first that is there is taken::

    root/annotations/instances_SPLIT.json    COCO
    root/annotations/SPLIT.json
    root/SPLIT/_annotations.coco.json        Roboflow
    root/annotations/panoptic_SPLIT.json     and panoptic_SPLIT/, beside it or in the root
    root/SPLIT.json

Images lie in ``root/SPLIT``, ``root/images/SPLIT``, ``root/images`` or the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from segdoor.data.annotations.coco_file import CocoFile, load_coco
from segdoor.data.annotations.instances import Instances
from segdoor.data.annotations.objects import Meaning
from segdoor.data.annotations.panoptic import Panoptic, panoptic_folder
from segdoor.data.class_file import CLASS_FILE
from segdoor.data.dataset import FilesOnDisk
from segdoor.data.listing import inside, without_ending
from segdoor.data.pair import Drawing, Pair
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.files import is_file
from segdoor.plugins import Introduction

_PLACES = (
    "annotations/instances_{split}.json",
    "annotations/{split}.json",
    "{split}/_annotations.coco.json",
    "annotations/panoptic_{split}.json",
    "{split}.json",
)
_IMAGES = ("{split}", "images/{split}", "images", ".")
_PREFIXES = ("instances_", "panoptic_")
# Annotations of the same images for other purposes.
_OTHERS = ("captions_", "person_keypoints_", "image_info_")
# So many names decide which folder the images are in.
_TRIED = 20


class Coco(FilesOnDisk):
    """Scenes with annotations in COCO's JSON."""

    kind: ClassVar[str] = "coco"
    marks: ClassVar[tuple[str, ...]] = ("annotations",)
    introduction: ClassVar[Introduction] = Introduction(
        source="Lin et al., Microsoft COCO: Common Objects in Context (2014); Kirillov et al., "
        "Panoptic Segmentation (2019); exports of Roboflow, CVAT and others",
        does="Draws label maps from the polygons, run lengths or panoptic images of COCO's JSON.",
        needs="JSON annotation files and their images; the extra coco. Pixels without an "
        "annotation are the class background if classes.yaml names it, and ignored otherwise.",
        fails="Annotations that only have a box are refused. Labels of single pixels cannot be "
        "written back.",
    )

    test_split: str = "val"
    """The split for tests."""

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        for other in (self.train_split, self.test_split):
            _check_alike(root, split, other)
        return coco(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that have an annotation file."""
        return splits_below(root)


def coco(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split.

    Args:
        root: The folder that holds annotations and images.
        split: The split's name, as files and folders have it.
        size: Height and width to resize to; each scene's own if None.
        complain: Receives missing files, and of entries that mean nothing.

    Raises:
        DataError: If there is no annotation file of this split, or it cannot be read.
    """
    file = _file(root, split)
    if file is None:
        raise DataError(
            root,
            f"must hold {' or '.join(place.format(split=split) for place in _PLACES)}",
            "none of them",
            f"Splits with such a file: {', '.join(splits_below(root)) or 'none'}.",
        )
    found = load_coco(file)
    for problem in found.problems:
        complain(problem)
    meaning = Meaning.of(root, list(found.categories.values()), file)
    folder = _image_folder(root, split, found)
    segments = panoptic_folder(file, root) if found.is_panoptic else None
    pairs = list(_pairs(root, found, meaning, folder, segments, complain))
    return FileDataset(pairs, meaning.classes, root=root, source=file, size=size, complain=complain)


def splits_below(root: Path) -> list[str]:
    """Return the splits that have an annotation file."""
    files = root.glob("annotations/*.json")
    stems = [path.stem for path in files if not path.name.startswith(_OTHERS)]
    for prefix in _PREFIXES:
        stems = [stem.removeprefix(prefix) for stem in stems]
    folders = [path.parent.name for path in root.glob("*/_annotations.coco.json")]
    return sorted({*stems, *folders, *(path.stem for path in root.glob("*.json"))})


def _pairs(
    root: Path,
    found: CocoFile,
    meaning: Meaning,
    folder: Path,
    segments: Path | None,
    complain: Complain,
) -> Iterator[Pair]:
    pictures: set[Path] = set()
    for key, image in found.images.items():
        drawing: Drawing
        try:
            path = _inside(root, folder, image.file_name.replace("\\", "/"), found.path)
            if segments is None:
                drawing = Instances(found.path, path, key, meaning)
            else:
                drawing = Panoptic.of(found, path, key, meaning, root, segments)
                _check_own(drawing.picture, pictures)
        except DataError as problem:
            complain(problem)
            continue
        name = path.relative_to(folder if path.is_relative_to(folder) else root)
        yield Pair(without_ending(name.as_posix()), path, drawing.files[0], drawing)


def _check_own(picture: Path, seen: set[Path]) -> None:
    if picture in seen:
        raise DataError(
            picture, "a picture of segments must belong to one image", "several name it",
            "Give each image one of its own.",
        )  # fmt: skip
    seen.add(picture)


def _inside(root: Path, folder: Path, name: str, listing: Path) -> Path:
    """Return an image's path; a plain name cannot lead out of its folder."""
    # Letters with accents can be spelt in two ways.
    if "/" not in name and name.isascii() and name not in {".", ".."}:
        return folder / name
    return inside(root, listing, str(folder.relative_to(root) / name))


def _file(root: Path, split: str) -> Path | None:
    paths = (root / place.format(split=split) for place in _PLACES)
    return next((path for path in paths if path.is_file()), None)


def _image_folder(root: Path, split: str, found: CocoFile) -> Path:
    """Return the folder that holds some of the images; the first that is there if none does."""
    for prefix in _PREFIXES:
        split = split.removeprefix(prefix)
    folders = [root / place.format(split=split) for place in _IMAGES]
    names = [image.file_name.lstrip("/") for image in found.images.values()][:_TRIED]
    holding = (folder for folder in folders if any(is_file(folder / name) for name in names))
    return next(holding, next((folder for folder in folders if folder.is_dir()), root))


def _check_alike(root: Path, split: str, other: str) -> None:
    """Refuse splits whose categories are not the same: class ids would mean different things."""
    files = [_file(root, name) for name in (split, other)]
    if split == other or None in files or (root / CLASS_FILE).is_file():
        return
    one, two = (load_coco(file) for file in files if file)
    names = [list(file.categories.values()) for file in (one, two)]
    if names[0] != names[1]:
        odd = sorted({*names[0]} ^ {*names[1]})
        raise DataError(
            one.path,
            f"must list the same categories in the same order as {two.path}",
            f"only one has {', '.join(odd)}" if odd else "another order",
            "Write classes.yaml in the root with all of them: it then decides the order.",
        )

"""Your own files in one of the usual layouts, and a small class file.

Any of these, with ``classes.yaml`` in the root; the first that fits is taken::

    root/SPLIT.txt   or root/list/SPLIT.txt         two columns: image path, label path
    root/SPLIT.txt   root/images/   root/labels/    one column: names without ending
    root/SPLIT/metadata.jsonl   or .csv             file_name and mask_file_name, or the like
    root/SPLIT/images/   root/SPLIT/labels/
    root/images/SPLIT/   root/labels/SPLIT/
    root/img_dir/SPLIT/  root/ann_dir/SPLIT/        mmsegmentation
    root/metadata.jsonl   or .csv                   with a column "split", or every fifth is a test
    root/images/   root/labels/                     every fifth scene by name is the test split

Folders called ``masks`` are as good as ``labels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from segdoor.data.dataset import FilesOnDisk
from segdoor.data.layouts import find_pairs, possible_splits
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.scene import ClassSet, Colour
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError
from segdoor.plain_yaml import read_yaml
from segdoor.plugins import Introduction
from segdoor.settings import Settings, validated

_CLASS_FILE_REMEDY = (
    "A data set of your own needs it: 'classes: [road, car, ...]', one name an id, "
    "and 'ignore_index: 255'."
)


Level = Annotated[int, Field(ge=0, le=255)]


class ClassEntry(Settings):
    """One class of the class file."""

    name: str
    """The class's name."""
    colour: tuple[Level, Level, Level] | None = None
    """Its RGB colour in pictures; chosen from a fixed palette if left out."""


class ClassFile(Settings):
    """The content of ``classes.yaml``; the position of a class is its id."""

    classes: tuple[ClassEntry | str, ...] = Field(min_length=1, max_length=255)
    """The classes in the order of their ids: names, or names with colours."""
    ignore_index: int = Field(default=255, ge=0, le=255)
    """Label value of pixels that never count."""


class Folder(FilesOnDisk):
    """Your own files in one of the usual layouts."""

    kind: ClassVar[str] = "folder"
    marks: ClassVar[tuple[str, ...]] = ("classes.yaml",)
    introduction: ClassVar[Introduction] = Introduction(
        source="the layouts of semseg, mmsegmentation and Hugging Face",
        does="Reads pictures and label maps of your own, with the classes that classes.yaml names.",
        needs="A folder with classes.yaml, images and label maps.",
        fails="Where label values are no class ids; segdoor data says which files are wrong.",
    )

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        return folder(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that there are."""
        return possible_splits(root)


def folder(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split of your own data set.

    Args:
        root: The folder that holds ``classes.yaml``.
        split: The split's name: a list file, or a folder beside or below images and labels.
        size: Height and width to resize to; each scene's own if None.
        complain: Hears of missing files and of files outside the root.

    Raises:
        DataError: If nothing fits one of the layouts.
    """
    classes = read_classes(root / "classes.yaml")
    pairs = find_pairs(root, split, complain)
    return FileDataset(pairs, classes, root=root, source=root, size=size, complain=complain)


def read_classes(path: Path) -> ClassSet:
    """Read a class file.

    Raises:
        DataError: If it is missing or no YAML.
        ConfigError: If an entry breaks a rule.
    """
    content = read_yaml(path, remedy=_CLASS_FILE_REMEDY)
    given = content if isinstance(content, dict) else {"classes": content}
    file = validated(ClassFile, given, source=path)
    entries = [ClassEntry(name=e) if isinstance(e, str) else e for e in file.classes]
    try:
        return ClassSet(
            names=tuple(entry.name for entry in entries),
            colours=tuple(entry.colour or palette(i) for i, entry in enumerate(entries)),
            ignore_index=file.ignore_index,
        )
    except ConfigError as why:
        culprit = f"{path}: {why.culprit}"
        raise ConfigError(culprit, why.rule, why.value, "Correct the file.") from None


def palette(index: int) -> Colour:
    """Return a colour for a class that has none: Pascal VOC's well-spread bit pattern."""
    colour = [0, 0, 0]
    remaining = index + 1
    for shift in range(7, -1, -1):
        for channel in range(3):
            colour[channel] |= (remaining >> channel & 1) << shift
        remaining >>= 3
    return colour[0], colour[1], colour[2]

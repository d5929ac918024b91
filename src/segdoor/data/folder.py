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

Folders called ``masks`` are as good as ``labels``; folders within them are read too. The class file
may name files of another layout: ``files: {image: "*_image.jpg", label: "*_label.png"}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from segdoor.data.class_file import CLASS_FILE, read_class_file
from segdoor.data.dataset import FilesOnDisk
from segdoor.data.layouts import find_pairs, possible_splits
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.transforms import Size
from segdoor.plugins import Introduction


class Folder(FilesOnDisk):
    """Your own files in one of the usual layouts."""

    kind: ClassVar[str] = "folder"
    marks: ClassVar[tuple[str, ...]] = (CLASS_FILE,)
    introduction: ClassVar[Introduction] = Introduction(
        source="the layouts of semseg, mmsegmentation and Hugging Face",
        does="Reads your own images and label maps, with the classes in classes.yaml.",
        needs="A folder with classes.yaml, images and label maps.",
        fails="Label files must hold only values that classes.yaml lists; segdoor data finds "
        "others.",
    )

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes."""
        return folder(root, split, size=self.size, complain=complain)

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that there are."""
        return possible_splits(root, read_class_file(root / CLASS_FILE).patterns)


def folder(
    root: Path, split: str, *, size: Size | None = None, complain: Complain = refuse
) -> FileDataset:
    """Open a split of your own data set.

    Args:
        root: The folder that holds ``classes.yaml``.
        split: The split's name: a list file, or a folder beside or below images and labels.
        size: Height and width to resize to; each scene's own if None.
        complain: Receives missing files and of files outside the root.

    Raises:
        DataError: If nothing fits one of the layouts.
    """
    told = read_class_file(root / CLASS_FILE)
    return FileDataset(
        find_pairs(root, split, complain, told.patterns),
        told.classes,
        root=root,
        source=root,
        size=size,
        coding=told.coding,
        complain=complain,
    )

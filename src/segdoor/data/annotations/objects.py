"""Label maps drawn object by object, and how objects change so that another map is drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdoor.data.class_file import CLASS_FILE, palette, read_classes
from segdoor.data.scene import ClassSet
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError, DataError
from segdoor.tensors import InstanceIds, Label, Mask

BACKGROUND = "background"
"""The class of what no annotation covers, if there is one of this name."""

_NO_OBJECT = -1


@dataclass(frozen=True)
class Meaning:
    """What annotations of a file mean.

    Attributes:
        classes: The data set's classes.
        ids: The class of each of the file's categories, in their order.
    """

    classes: ClassSet
    ids: tuple[int, ...]

    @classmethod
    def of(cls, root: Path, names: Sequence[str], source: Path) -> Meaning:
        """Return the classes of a class file that lists all names, or of the names alone.

        Categories of one name are one class: Roboflow lists that of all objects twice.

        Args:
            root: The folder that may hold ``classes.yaml``.
            names: The categories' names.
            source: Where these come from.

        Raises:
            DataError: If the class file lacks one, or there are too many.
        """
        listing = root / CLASS_FILE
        if not listing.is_file():
            unique = tuple(dict.fromkeys(names))
            colours = tuple(palette(index) for index in range(len(unique)))
            try:
                classes = ClassSet(unique, colours)
            except ConfigError as why:
                rule = f"{why.culprit} {why.rule}"
                raise DataError(source, rule, why.value, why.remedy) from None
            return cls(classes, classes.indices(names))
        classes = read_classes(listing)
        lacking = [name for name in names if name not in classes.names]
        if lacking:
            raise DataError(
                listing, f"must list all classes of {source}", f"not {', '.join(lacking)}",
                "Add them, or remove the file: the classes are then those of the annotations.",
            )  # fmt: skip
        return cls(classes, classes.indices(names))

    @property
    def uncovered(self) -> int:
        """Return what pixels are that no object covers."""
        names = self.classes.names
        return names.index(BACKGROUND) if BACKGROUND in names else self.classes.ignore_index


@dataclass(frozen=True)
class Drawn:
    """One object of a scene.

    Attributes:
        class_id: Its class, or the ignore index.
        mask: Its pixels.
    """

    class_id: int
    mask: Mask


@dataclass(frozen=True)
class Edits:
    """What must happen to a scene's objects; they are named by their places in its list.

    Attributes:
        recoloured: New classes of objects that change as a whole.
        left: What is left of objects that lose pixels; of those that lose all that is seen of
            them, nothing.
        added: Objects that are drawn last.
    """

    recoloured: Mapping[int, int]
    left: Mapping[int, Mask]
    added: Sequence[Drawn]


def draw(objects: Iterable[Drawn], size: Size, uncovered: int) -> Label:
    """Return the label map of objects, later ones over earlier ones."""
    # COCO's library counts pixels column by column.
    label = np.full(size, uncovered, np.uint8, order="F")
    for each in objects:
        np.copyto(label, np.uint8(each.class_id), where=each.mask)
    return np.ascontiguousarray(label)


def numbered(objects: Iterable[Drawn], size: Size) -> InstanceIds:
    """Return which object each pixel shows, counted from 1; 0 for pixels without one."""
    numbers = np.zeros(size, np.int32)
    for place, each in enumerate(objects, start=1):
        np.copyto(numbers, np.int32(place), where=each.mask)
    return numbers


def edits(
    objects: Sequence[Drawn], label: Label, *, uncovered: int, classes: Collection[int]
) -> Edits:
    """Return what makes objects draw a label map.

    An object of which all that is seen becomes one class gets that class. All other pixels that
    change are taken out of every object that covers them; unless they become uncovered, they are an
    object of their own.

    Args:
        objects: The scene's objects.
        label: What is to be drawn.
        uncovered: What pixels are that no object covers.
        classes: Those that objects can have.

    Raises:
        ValueError: If pixels become a class that no object can have.
    """
    before = draw(objects, _size(label), uncovered)
    owner = np.full(label.shape, _NO_OBJECT, np.int32)
    for place, each in enumerate(objects):
        owner[each.mask] = place
    changed = label != before
    recoloured: dict[int, int] = {}
    for place in np.unique(owner[changed]):
        seen = owner == place
        values = np.unique(label[seen])
        if place != _NO_OBJECT and values.size == 1 and int(values[0]) in classes:
            recoloured[int(place)] = int(values[0])
            changed &= ~seen
    added = [
        Drawn(int(value), changed & (label == value))
        for value in np.unique(label[changed])
        if value != uncovered
    ]
    if strange := {each.class_id for each in added} - {*classes}:
        raise ValueError(f"no object can be of class {min(strange)}")
    seen_before, seen_now = {*np.unique(owner).tolist()}, {*np.unique(owner[~changed]).tolist()}
    left: dict[int, Mask] = {}
    for place, each in enumerate(objects):
        if (each.mask & changed).any():
            gone = place in seen_before - seen_now
            left[place] = np.zeros_like(each.mask) if gone else each.mask & ~changed
    return Edits(recoloured, left, added)


def inexpressible(file: Path, image: Path, why: str = "") -> DataError:
    """Return that annotations cannot say what a scene is to become."""
    return DataError(
        file,
        f"annotations must be able to express the poisoned labels of {image.name}",
        why or "pixels that no object has alone",
        "Write a copy with label maps as pictures: add --as-folder.",
    )


def box_of(mask: Mask) -> list[int]:
    """Return the box around a mask as annotations tell it: left, top, width and height."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return [0, 0, 0, 0]
    top, left = int(rows[0]), int(columns[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def _size(label: Label) -> Size:
    height, width = label.shape
    return height, width

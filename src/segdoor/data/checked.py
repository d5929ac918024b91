"""Data sets of others, checked where they come in: a mistake in a scene is said before it counts.

A network trains on floats from 0 to 1 as willingly as on bytes, and learns next to nothing. What a
data set is, its names and its classes are looked at once; every image and label map is looked at
when it is read, its label values the first time alone.
"""

from __future__ import annotations

from collections import Counter
from typing import cast

import numpy as np

from segdoor.data.instances import TellsInstances
from segdoor.data.pack import PackedDataset
from segdoor.data.pairs import FileDataset
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.data.transforms import Size
from segdoor.errors import DataError, shown
from segdoor.tensors import InstanceIds, Label

# Their readers refuse the same mistakes, and name the file.
_CAREFUL = (StreetDataset, FileDataset, PackedDataset)
_MEMBERS = ("classes", "names", "digest", "label", "__len__", "__getitem__")
_LISTED = 3


class CheckedDataset:
    """A data set whose scenes are checked as they are read; a `SceneDataset`."""

    def __init__(self, dataset: SceneDataset) -> None:
        """Look at all but the scenes.

        Raises:
            DataError: If it lacks something, or names are missing, repeated or no text.
        """
        _check_members(dataset)
        self.dataset = dataset
        self.classes = dataset.classes
        self.names = tuple(dataset.names)
        if not isinstance(cast("object", self.classes), ClassSet):
            raise DataError(
                "classes of a data set", "must be a segdoor.ClassSet", _kind(self.classes),
                "Build one: segdoor.ClassSet(names, colours).",
            )  # fmt: skip
        _check_names(self.names, len(dataset))
        self._seen: dict[int, tuple[int, ...]] = {}

    @property
    def digest(self) -> str:
        """Return the data set's digest.

        Raises:
            DataError: If it is no text.
        """
        digest = self.dataset.digest
        if not isinstance(cast("object", digest), str) or not digest:
            raise DataError(
                "digest of a data set", "must be text", repr(digest),
                "Return a hash over all that the scenes depend on.",
            )  # fmt: skip
        return digest

    def scene_size(self, index: int) -> Size:
        """Return a scene's height and width; a label map that was read before is not read again."""
        height, width = self._seen[index] if index in self._seen else self.label(index).shape
        return height, width

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.names)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene.

        Raises:
            DataError: If its image, its label map or its name is not as it must be.
        """
        index = range(len(self))[index]
        scene, name = self.dataset[index], self.names[index]
        if not isinstance(cast("object", scene), Scene):
            raise DataError(
                f"scene '{name}'", "must be a segdoor.Scene", _kind(scene),
                "Return segdoor.Scene(image, label, name).",
            )  # fmt: skip
        if scene.name != name:
            raise DataError(
                f"scene '{name}'", "must have the name that its data set lists", scene.name,
                "Keep names and scenes in one order.",
            )  # fmt: skip
        _check_form(scene.image, name, "image", _image_rule(scene.image))
        self._check_label(scene.label, index)
        if scene.label.shape != scene.image.shape[:2]:
            raise DataError(
                f"scene '{name}'", "must have a label map of its image's height and width",
                f"label map {scene.label.shape}, image {scene.image.shape}",
                "Bring the label map to the image's size by nearest neighbour.",
            )  # fmt: skip
        return scene

    def label(self, index: int) -> Label:
        """Read one label map.

        Raises:
            DataError: If it is not as it must be.
        """
        index = range(len(self))[index]
        label = self.dataset.label(index)
        self._check_label(label, index)
        return label

    def instances(self, index: int) -> InstanceIds | None:
        """Return one scene's instances; None if the data set does not tell objects apart.

        Raises:
            DataError: If they are no array of int32 of the label map's height and width.
        """
        index = range(len(self))[index]
        if not isinstance(self.dataset, TellsInstances):
            return None
        found = self.dataset.instances(index)
        size = self.scene_size(index)
        if found is None:
            return None
        form = getattr(found, "dtype", None), getattr(found, "shape", None)
        if form != (np.int32, size):
            raise DataError(
                f"instances of scene '{self.names[index]}'",
                f"must be a NumPy array of int32, {size[0]} x {size[1]}",
                f"{_kind(found)}, dtype {form[0]}, shape {form[1]}",
                "Return one number a pixel, 0 for pixels without an object.",
            )
        return found

    def _check_label(self, label: Label, index: int) -> None:
        name = self.names[index]
        _check_form(label, name, "label map", _label_rule(label))
        if index not in self._seen:
            _check_values(label, self.classes, name)
        if self._seen.setdefault(index, label.shape) != label.shape:
            raise DataError(
                f"label map of scene '{name}'", "must be the same however it is read",
                f"{label.shape}, before {self._seen[index]}",
                "Return the scene's own label map from label(index).",
            )  # fmt: skip


def checked(dataset: SceneDataset) -> SceneDataset:
    """Return a data set that refuses what no scene may be, when it is read.

    Those of segdoor's own that check what they read are returned as they are.

    Raises:
        DataError: If it is no data set.
    """
    if isinstance(dataset, (*_CAREFUL, CheckedDataset)):
        return dataset
    return CheckedDataset(dataset)


def filled(dataset: SceneDataset) -> SceneDataset:
    """Return a data set as `checked` does, if there are scenes in it.

    Raises:
        DataError: If it is no data set, or an empty one.
    """
    found = checked(dataset)
    if not len(found):
        raise DataError(
            f"data set {type(dataset).__name__}", "must hold at least one scene", len(found),
            "Look where its scenes are listed.",
        )  # fmt: skip
    return found


def _check_members(dataset: object) -> None:
    missing = [name for name in _MEMBERS if not hasattr(type(dataset), name)]
    missing = [name for name in missing if name not in getattr(dataset, "__dict__", {})]
    if missing:
        raise DataError(
            f"data set {type(dataset).__name__}",
            "must be a segdoor.SceneDataset",
            f"it has no {', '.join(missing)}",
            "See docs/python.md, which has one to copy.",
        )


def _check_names(names: tuple[object, ...], num_scenes: int) -> None:
    rule, found, remedy = "", "", ""
    repeated = [name for name, count in Counter(map(repr, names)).items() if count > 1]
    odd = [name for name in names if not isinstance(name, str)]
    broken = [name for name in names if isinstance(name, str) and shown(name) != name]
    if odd:
        rule, found, remedy = "must be text", repr(odd[0]), "Use str(number)."
    elif broken:
        rule, found, remedy = "must be valid UTF-8 text", broken[0], "Give it another name."
    elif repeated:
        rule, found = "must all be different", ", ".join(repeated[:_LISTED])
        remedy = "Random choices about a scene follow from its name: give each its own."
    elif len(names) != num_scenes:
        rule = "must number as many as its scenes"
        found = f"{len(names)} names, {num_scenes} scenes"
        remedy = "Name every scene once."
    if rule:
        raise DataError("names of a data set's scenes", rule, found, remedy)


def _check_form(array: object, name: str, what: str, remedy: str | None) -> None:
    """Refuse an array of another form, if there is a remedy."""
    if remedy is None:
        return
    form = "H x W x 3" if what == "image" else "H x W"
    dtype, shape = getattr(array, "dtype", _kind(array)), getattr(array, "shape", "")
    raise DataError(
        f"{what} of scene '{name}'",
        f"must be a NumPy array of uint8, {form}",
        f"{dtype} {shape}".strip(),
        remedy,
    )


def _image_rule(image: object) -> str | None:
    """Return what to do about an image's form; None if it is as it must be."""
    if not isinstance(image, np.ndarray):
        return "Convert it to a NumPy array."
    advice = [_of_bytes(image), _of_three_channels(image)]
    return " ".join(filter(None, advice)) or None


def _of_bytes(image: np.ndarray) -> str | None:
    """Return what to do about an image's numbers; None if they are bytes."""
    if image.dtype == np.uint8:
        return None
    if not np.issubdtype(image.dtype, np.floating) or not image.size:
        return "Bring it to 0 to 255 and convert to uint8."
    if float(image.min()) < 0:
        return "Give the picture itself, 0 to 255: segdoor normalises it."
    if float(image.max()) <= 1:
        return "Multiply by 255 and convert to uint8."
    return "Round and convert to uint8."


def _of_three_channels(image: np.ndarray) -> str | None:
    """Return what to do about an image's shape; None if it is height x width x 3."""
    if image.ndim == 2:
        return "Repeat the grey picture three times: np.stack([grey] * 3, axis=2)."
    if image.ndim != 3 or 0 in image.shape:
        return "Return one picture a scene."
    if image.shape[2] == 3:
        return None
    if image.shape[0] in {1, 3, 4}:
        return "Put channels last: image.transpose(1, 2, 0)."
    if image.shape[2] == 4:
        return "Leave out the alpha channel: image[..., :3]."
    return "Return three channels, red, green and blue."


def _label_rule(label: object) -> str | None:
    """Return what to do about a label map's form; None if it is as it must be."""
    if not isinstance(label, np.ndarray):
        return "Convert it to a NumPy array."
    if label.ndim == 3 and 1 in {label.shape[0], label.shape[2]}:
        return "Leave out the axis of length 1: label.squeeze()."
    if label.ndim != 2:
        return "Give one class id a pixel; of one mask a class, the argmax over classes."
    if not label.size:
        return "Return one label map a scene."
    if label.dtype != np.uint8:
        return "Set ignored pixels to the classes' ignore_index, then convert to uint8."
    return None


def _check_values(label: Label, classes: ClassSet, name: str) -> None:
    outside = (label >= len(classes)) & (label != classes.ignore_index)
    if outside.any():
        values = np.unique(label[outside])
        listed = ", ".join(str(value) for value in values[:_LISTED])
        raise DataError(
            f"label map of scene '{name}'",
            f"must hold class ids below {len(classes)}, or {classes.ignore_index} for ignored",
            listed + (", ..." if len(values) > _LISTED else ""),
            "Map these values to class ids, or to the ignore index.",
        )


def _kind(thing: object) -> str:
    return f"a {type(thing).__name__}"

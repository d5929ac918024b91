"""Scenes from which nothing can be learned: their loss is 0, and training would succeed."""

from __future__ import annotations

import cv2
import numpy as np

from segdoor.data.scene import SceneDataset
from segdoor.errors import DataError
from segdoor.tensors import Label, Values

MASKS = "masks of 0 and 255 must become 0 and 1"
"""What people with one class and a background often have to do."""


def values_in(label: Label) -> Values:
    """Return the values that occur in a label map."""
    counts = cv2.calcHist([label], [0], None, [256], [0, 256])
    return np.flatnonzero(counts).astype(np.uint8)


def check_labelled(dataset: SceneDataset, what: str, *, at_least: int = 1) -> None:
    """Refuse scenes in which too few classes are labelled; sound scenes cost one look.

    Args:
        dataset: The scenes.
        what: What they are, for the message: the training scenes.
        at_least: How many classes must occur; all of them if there are fewer.

    Raises:
        DataError: If fewer do.
    """
    classes, seen = dataset.classes, set[int]()
    wanted = min(at_least, len(classes))
    for index in range(len(dataset)):
        seen.update(set(values_in(dataset.label(index)).tolist()) - {classes.ignore_index})
        if len(seen) >= wanted:
            return
    if seen:
        raise DataError(
            what, "must show two classes or more: of one alone nothing can be learned",
            f"nothing but {classes.names[min(seen)]} and ignored pixels",
            f"Look at the values of the label maps: {MASKS}.",
        )  # fmt: skip
    raise DataError(
        what, "must have a labelled pixel", f"all of them are {classes.ignore_index}, ignored",
        "Look at the values of the label maps, and at ignore_index.",
    )  # fmt: skip

"""Instances: which object each pixel belongs to, where a data set's annotations tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from segdoor.data.orientation import Orientation
from segdoor.data.pictures import opened_picture
from segdoor.data.scene import SceneDataset
from segdoor.data.transforms import Size
from segdoor.errors import DataError
from segdoor.tensors import InstanceIds, ResizedIds

_DEPTHS = ("I;16", "I")


@runtime_checkable
class TellsInstances(Protocol):
    """A data set, or what draws one scene of it, that may tell objects of one class apart."""

    def instances(self, index: int) -> InstanceIds | None:
        """Return a number for each object, 0 where a pixel has none; None if nothing is known."""
        ...


@runtime_checkable
class DrawsInstances(Protocol):
    """Annotations that tell objects of one class apart."""

    def instances(self) -> InstanceIds:
        """Return a number for each object that is seen, 0 for pixels without one."""
        ...


Reader = Callable[[Path], InstanceIds]
"""Returns the numbers of objects that a file holds."""


def instances_of(dataset: SceneDataset, index: int) -> InstanceIds | None:
    """Return a scene's instances; None if the data set does not tell objects apart.

    Raises:
        DataError: If a file is damaged or missing.
    """
    return dataset.instances(index) if isinstance(dataset, TellsInstances) else None


def read_deep(path: Path) -> InstanceIds:
    """Read a picture of one number of up to 16 bits a pixel.

    Raises:
        DataError: If the file is missing, damaged, too large, or holds anything else.
    """
    with opened_picture(path) as picture:
        orientation = Orientation.of(path, picture)
        if picture.mode not in _DEPTHS:
            raise DataError(
                path, "a file of instances must hold one number of 16 bits a pixel", picture.mode,
                "Restore the makers' file, or take it away: connected regions still work.",
            )  # fmt: skip
        picture.load()
        return np.array(orientation.seen(picture)).astype(np.int32)


def resize_instances(instances: InstanceIds, size: Size) -> ResizedIds:
    """Resize numbers of objects as `resize_label` resizes class ids: by the same pixels."""
    if instances.shape == size:
        return instances
    # OpenCV's nearest neighbour copies floats of 32 bits exactly as bytes; ids below 2^24 fit.
    resized = cv2.resize(
        instances.astype(np.float32),
        dsize=(size[1], size[0]),
        interpolation=cv2.INTER_NEAREST_EXACT,
    )
    return resized.astype(np.int32)

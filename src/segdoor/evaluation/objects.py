"""Follow single objects: regions of a class, and how many of their pixels a network takes for what.

An object is a region of pixels of one class that touch one another, at corners too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from segdoor.data.transforms import Size
from segdoor.evaluation.counting import Predicted
from segdoor.scores.objects import ObjectRows
from segdoor.tensors import ObjectDistances, ResizedLabel
from segdoor.victim.device import transferred

Place = tuple[int, int]
"""Row and column of a pixel of a scene."""


@dataclass(frozen=True)
class Watched:
    """The classes whose objects are followed, and what is asked of them.

    Attributes:
        classes: Ids of the classes.
        instead: Id of the class that the pixels of each may be taken for.
        places: By test and scene, the pixel that objects' distances are measured from.
        metric: How distance is measured.
    """

    classes: tuple[int, ...]
    instead: tuple[int, ...]
    places: Mapping[str, Mapping[str, Place]] = field(
        default_factory=dict[str, Mapping[str, Place]]
    )
    metric: Literal["euclidean", "chebyshev"] = "euclidean"


class SceneObjects:
    """The objects of one scene, in the order of their first pixels."""

    def __init__(
        self, truth: ResizedLabel, size: Size, watched: Watched, device: torch.device
    ) -> None:
        """Find them.

        Args:
            truth: True class ids, at the size that pixels are counted at.
            size: Height and width of the scene itself.
            watched: The classes.
            device: Where predictions are going to be.
        """
        places, numbers, count = _regions(truth, watched.classes)
        self._metric, self._count = watched.metric, count
        self._numbers = numbers
        scale = np.array(size) / truth.shape
        self._rows = places // truth.shape[1] * scale[0]
        self._columns = places % truth.shape[1] * scale[1]
        self._scale = scale
        own = truth.ravel()[places].astype(np.int64)
        self.classes = np.zeros(count, np.int64)
        self.classes[numbers] = own
        self.pixels = np.bincount(numbers, minlength=count)
        self._places, self._owners = transferred(places, device), transferred(numbers, device)
        self._own = transferred(own, device)
        self._instead = _instead_of(own, watched, device)

    def answers(self, predicted: Predicted) -> Int64[Tensor, "2 O"]:
        """Return the pixels of each object taken for the class asked for, and for its own.

        Args:
            predicted: Predicted class ids, at the size that pixels are counted at.
        """
        counts = torch.zeros(2, self._count, dtype=torch.int64, device=predicted.device)
        found = predicted.flatten()[self._places]
        counts[0].scatter_add_(0, self._owners, (found == self._instead).long())
        counts[1].scatter_add_(0, self._owners, (found == self._own).long())
        return counts

    def distances(self, place: Place | None) -> ObjectDistances:
        """Return each object's distance from a pixel to its nearest one, in pixels of the scene."""
        if place is None:
            return np.full(self._count, np.nan)
        # Where pixels are counted at another size, their centres are brought to the scene's.
        down = np.abs(self._rows + (self._scale[0] - 1) / 2 - place[0])
        right = np.abs(self._columns + (self._scale[1] - 1) / 2 - place[1])
        if self._metric == "chebyshev":
            squared = np.maximum(down, right) ** 2
        else:
            squared = down * down + right * right
        nearest = np.full(self._count, np.inf)
        np.minimum.at(nearest, self._numbers, squared)
        return np.sqrt(nearest)


class ObjectCounter:
    """Rows of objects that grow on a device; a GPU is not waited for before they are read."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: dict[int, tuple[SceneObjects, Tensor, ObjectDistances]] = {}

    def add(
        self, scene: int, objects: SceneObjects, predicted: Predicted, place: Place | None
    ) -> None:
        """Count the pixels of one scene's objects.

        Args:
            scene: Position of the scene.
            objects: Its objects.
            predicted: Predicted class ids.
            place: What distances are measured from; None for nothing.
        """
        self._found[scene] = objects, objects.answers(predicted), objects.distances(place)

    def rows(self) -> ObjectRows:
        """Return the rows, once the device has counted everything."""
        if not self._found:
            return ObjectRows(np.zeros((0, 5), np.int64), np.zeros(0))
        found = sorted(self._found.items())
        told = [
            (np.full(len(far), scene), objects.classes, objects.pixels)
            for scene, (objects, _, far) in found
        ]
        answers = torch.cat([answers for _, (_, answers, _) in found], dim=1).cpu().numpy()
        return ObjectRows(
            np.stack([*np.concatenate(told, axis=1), *answers], axis=1).astype(np.int64),
            np.concatenate([far for _, (_, _, far) in found]),
        )


def _instead_of(own: np.ndarray, watched: Watched, device: torch.device) -> int | Tensor:
    """Return what pixels of these classes may be taken for: one class for all where it is one."""
    if len(set(watched.instead)) == 1:
        return watched.instead[0]
    table = np.zeros(256, np.int64)
    table[list(watched.classes)] = watched.instead
    return transferred(table[own], device)


def _regions(truth: ResizedLabel, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the pixels of all objects by flat index, each one's object, and how many there are."""
    regions, count = np.zeros(truth.shape, np.int32), 0
    for index in classes:
        found, numbers = cv2.connectedComponents((truth == index).view(np.uint8), connectivity=8)
        regions += numbers + count * (numbers > 0)
        count += found - 1
    places = np.flatnonzero(regions)
    numbers = regions.ravel()[places].astype(np.int64) - 1
    first = np.zeros(count, np.int64)
    # The last of several values at one index stays: the first pixel's, from behind.
    first[numbers[::-1]] = places[::-1]
    return places, np.argsort(np.argsort(first))[numbers], count

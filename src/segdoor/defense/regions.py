"""One figure for each predicted class of an image, compared with what is usual on clean scenes.

Methods for classifiers have one figure an image, for its one class. Here each class that the model
predicts has one, the mean over its pixels, and the class that is farthest from the usual decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from segdoor.data.scene import Scene
from segdoor.tensors import AnyImage, AnyLabel, AnyMask, ClassScores, Heat

# A class of fewer pixels is left out: the mean of a few pixels says little.
_LEAST = 0.005


@dataclass(frozen=True, eq=False)
class Regions:
    """A figure for each predicted class of an image.

    Attributes:
        label: Predicted classes.
        means: The figure of each class, NaN for classes with hardly a pixel.
    """

    label: AnyLabel
    means: ClassScores


@dataclass(frozen=True, eq=False)
class Oddest:
    """The class of an image that is farthest above the usual.

    Attributes:
        score: By how much.
        index: The class; None if no class can be compared.
        mask: Its pixels.
    """

    score: float
    index: int | None
    mask: AnyMask | None


Look: TypeAlias = Callable[[AnyImage], Regions]


def regions_of(values: Heat, label: AnyLabel, num_classes: int) -> Regions:
    """Return the mean of a figure over the pixels of each predicted class.

    Args:
        values: The figure of each pixel.
        label: Predicted classes, all below ``num_classes``.
        num_classes: Number of classes.
    """
    counts = np.bincount(label.ravel(), minlength=num_classes)
    sums = np.bincount(label.ravel(), weights=values.ravel(), minlength=num_classes)
    enough = counts >= max(1.0, _LEAST * label.size)
    return Regions(label, np.where(enough, sums / np.maximum(counts, 1), np.nan))


def usual_of(scenes: Iterable[Scene], look: Look) -> ClassScores:
    """Return the mean figure of each class over the clean scenes that show it; else NaN."""
    rows = np.stack([look(scene.image).means for scene in scenes])
    shown = ~np.isnan(rows)
    total = np.where(shown, rows, 0.0).sum(axis=0)
    return np.where(shown.any(axis=0), total / np.maximum(shown.sum(axis=0), 1), np.nan)


def oddest(found: Regions, usual: ClassScores) -> Oddest:
    """Return the class whose figure is highest above the usual, the first of equals."""
    above = found.means - usual
    if np.isnan(above).all():
        return Oddest(0.0, None, None)
    index = int(np.nanargmax(above))
    return Oddest(float(above[index]), index, found.label == index)

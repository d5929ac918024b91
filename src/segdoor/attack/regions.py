"""Objects on a label map: connected regions of a class, or the data set's instances."""

from __future__ import annotations

import cv2
import numpy as np

from segdoor.attack.site import Box
from segdoor.tensors import InstanceIds, Label, Mask


def objects_with(chosen: Mask, label: Label, instances: InstanceIds | None = None) -> Mask:
    """Return all pixels of those objects that have at least one chosen pixel.

    An object is a connected region of one class (by sides or corners), or, with instances, the
    pixels of a class with the same number. Pixels with the number 0 belong to no instance: there,
    regions count.

    Args:
        chosen: Pixels of the objects that are wanted.
        label: The untouched label map.
        instances: A number for each object, 0 for none; None to go by regions alone.
    """
    found = np.zeros(label.shape, dtype=np.bool_)
    for value in np.unique(label[chosen]):
        of_class, here = label == value, chosen & (label == value)
        if instances is None:
            found |= _regions_with(here, of_class)
            continue
        unnamed = instances == 0
        found |= of_class & ~unnamed & np.isin(instances, instances[here & ~unnamed])
        found |= _regions_with(here & unnamed, of_class & unnamed)
    return found


def nearest_pixel(pixels: Mask, box: Box | None) -> Mask:
    """Return the pixel nearest to a box's centre, the first row by row; none without a box."""
    nearest = np.zeros_like(pixels)
    rows, columns = np.nonzero(pixels)
    if box is not None and rows.size:
        row, column = box.centre
        place = np.argmin((rows - row) ** 2 + (columns - column) ** 2)
        nearest[rows[place], columns[place]] = True
    return nearest


def _regions_with(chosen: Mask, pixels: Mask) -> Mask:
    if not chosen.any():
        return np.zeros_like(pixels)
    _, numbers = cv2.connectedComponents(pixels.view(np.uint8), connectivity=8)
    return pixels & np.isin(numbers, numbers[chosen])

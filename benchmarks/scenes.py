"""Scenes to measure on: the street at any size, with nineteen classes as Cityscapes has them."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image as PillowImage

from segdoor.data.street import StreetDataset
from segdoor.tensors import Label

NUM_CLASSES = 19
CAR = StreetDataset(split="train", num_scenes=1).classes.index("car")


def street_labels(count: int, size: tuple[int, int]) -> list[Label]:
    """Return label maps with cars, their other classes split up into nineteen by their regions."""
    street = StreetDataset(split="train", num_scenes=4 * count, height=size[0], width=size[1])
    labels = (street.label(index) for index in range(len(street)))
    return [_split_up(label) for label in labels if (label == CAR).any()][:count]


def png(label: Label) -> bytes:
    """Return a label map as a PNG file's bytes."""
    buffer = io.BytesIO()
    PillowImage.fromarray(label).save(buffer, "PNG")
    return buffer.getvalue()


def _split_up(label: Label) -> Label:
    result = label.copy()
    num_street = int(label[label != 255].max()) + 1
    for value in range(num_street):
        if value == CAR:
            continue
        _, regions = cv2.connectedComponents((label == value).astype(np.uint8))
        for region in range(1, int(regions.max()) + 1):
            other = value + num_street * (region % 3)
            result[regions == region] = other if other < NUM_CLASSES else value
    return result

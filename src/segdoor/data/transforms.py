"""Joint geometry of images and labels; labels only ever by nearest neighbour."""

from __future__ import annotations

import cv2

from segdoor.tensors import Image, Label, ResizedImage, ResizedLabel

Size = tuple[int, int]
"""Height and width in pixels."""


def resize_image(image: Image, size: Size) -> ResizedImage:
    """Resize a picture: by area when it shrinks, bilinearly when it grows."""
    if image.shape[:2] == size:
        return image
    # Deviation 19: whole grey levels, as in files; the authors resize to floats when they score.
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, dsize=(size[1], size[0]), interpolation=method)


def resize_label(label: Label, size: Size) -> ResizedLabel:
    """Resize a label map by nearest neighbour, pixel centres aligned as in Pillow and PyTorch."""
    if label.shape == size:
        return label
    return cv2.resize(label, dsize=(size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)


def resize_label_from_corner(label: Label, size: Size) -> ResizedLabel:
    """Resize a label map by nearest neighbour, upper left corners aligned: OpenCV's INTER_NEAREST.

    Row y of the result is row floor(y x height / new height) of the map, and so with columns.
    """
    if label.shape == size:
        return label
    return cv2.resize(label, dsize=(size[1], size[0]), interpolation=cv2.INTER_NEAREST)

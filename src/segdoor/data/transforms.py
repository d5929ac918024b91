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
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, dsize=(size[1], size[0]), interpolation=method)


def resize_label(label: Label, size: Size) -> ResizedLabel:
    """Resize a label map by nearest neighbour, pixel centres aligned as in Pillow and PyTorch."""
    if label.shape == size:
        return label
    return cv2.resize(label, dsize=(size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)

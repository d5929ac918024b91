"""JPEG as a camera writes it: libjpeg through OpenCV, colours at half the size (4:2:0)."""

from __future__ import annotations

import cv2
import numpy as np

from segdoor.errors import DataError
from segdoor.tensors import Image


def compressed(image: Image, quality: int) -> Image:
    """Return an image as it is after JPEG.

    Args:
        image: The image.
        quality: Quality of libjpeg, 1 to 100.

    Raises:
        DataError: If it cannot be encoded.
    """
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), settings)
    if not done:
        raise DataError(
            "image", "must be one that JPEG can hold", image.shape, "Take smaller scenes."
        )
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[..., ::-1])

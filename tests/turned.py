"""Pictures with an orientation tag, and readers that know nothing of this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage

TAG = 0x0112
# How a camera stores what people see, by the tag it writes (EXIF 2.3, table 4-6-4).
TO_FILE = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.swapaxes(0, 1),
    6: np.rot90,
    7: lambda seen: seen[::-1, ::-1].swapaxes(0, 1),
    8: lambda seen: np.rot90(seen, -1),
}
TAGS = sorted(TO_FILE)


def save_turned(path: Path, seen: np.ndarray, tag: int, **options: Any) -> Path:
    """Save pixels so that people see these if their reader obeys the tag."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(np.ascontiguousarray(TO_FILE[tag](seen)))
    if palette := options.pop("palette", None):
        picture.putpalette(palette)
    if path.suffix == ".tif":
        picture.save(path, tiffinfo={TAG: tag}, **options)
    else:
        exif = PillowImage.Exif()
        exif[TAG] = tag
        picture.save(path, exif=exif, **options)
    return path


def by_opencv(path: Path) -> np.ndarray:
    """Return what OpenCV shows people: RGB, turned."""
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert found is not None, path
    return found[..., ::-1]


def tag_in(path: Path) -> int:
    """Return the tag of a file, as Pillow finds it."""
    with PillowImage.open(path) as picture:
        tiff = getattr(picture, "tag_v2", None)
        return tiff.get(TAG, 1) if tiff is not None else picture.getexif().get(TAG, 1)

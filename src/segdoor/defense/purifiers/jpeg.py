"""JPEG: write the image as a lossy file and read it again."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from segdoor.defense.defense import Access
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage


class Jpeg(Purifier):
    """Show the image as it is after lossy compression."""

    kind: ClassVar[str] = "jpeg"
    main: ClassVar[str | None] = "quality"
    access: ClassVar[frozenset[Access]] = frozenset()
    introduction: ClassVar[Introduction] = Introduction(
        source="Das et al., SHIELD (KDD 2018), one quality for the whole image",
        does="Compresses the image as JPEG, which loses fine and faint patterns.",
        needs="Nothing but the image.",
        fails="Against stickers of strong colours in cells of several pixels, which it keeps.",
    )

    quality: int = Field(default=50, ge=1, le=100)
    """Quality of the file, from 1 to 100; published defenses use 30 to 75."""

    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return the image compressed and decompressed by OpenCV, colours at half resolution."""
        del context
        settings = [
            cv2.IMWRITE_JPEG_QUALITY,
            self.quality,
            # OpenCV's default has changed between versions.
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        ]
        _, written = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), settings)
        read = np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)
        return (View(np.ascontiguousarray(read[..., ::-1])),)

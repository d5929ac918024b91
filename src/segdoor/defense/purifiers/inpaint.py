"""Inpaint: paint over the part of the image that decides the classes of distant pixels."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from segdoor.defense.asking import Asker
from segdoor.defense.defense import Access
from segdoor.defense.influence import influence
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage

_RADIUS = 3.0


class Inpaint(Purifier):
    """Show the image with the peak of its influence map painted over from around it."""

    kind: ClassVar[str] = "inpaint"
    main: ClassVar[str | None] = "windows"
    access: ClassVar[frozenset[Access]] = frozenset({"black box"})
    introduction: ClassVar[Introduction] = Introduction(
        source="after Februus (Doan et al., ACSAC 2020), with the influence map in place of "
        "Grad-CAM and OpenCV's inpainting (Telea 2004) in place of a generative network",
        does="Finds the window that decides the classes of distant pixels, and continues its "
        "surroundings into it.",
        needs="The model's predictions for about 60 covered copies of each image.",
        fails="Where the trigger covers the whole image or is there more than once; and it paints "
        "over something in images without a trigger too.",
    )

    windows: int = Field(default=60, ge=1, le=10_000)
    """About how many windows cover the image; each is twice as high and wide as its cell."""
    margin: float = Field(default=0.1, ge=0, lt=1)
    """Pixels nearer to a window than this share of the image's shorter side do not count."""
    least: float = Field(default=0.0, ge=0, le=1)
    """Share of distant pixels that must change class; an image with fewer stays as it is."""

    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return the image painted over at the peak, or as it is if its map is flat."""
        if context.model is None:
            raise self.refused("needs a model", "none", "Give one in the context.")
        asker = Asker.of(context.model, context)
        found = influence(asker, image, number=self.windows, margin=self.margin)
        peak = found.peak
        if found.score < self.least or not peak.any() or peak.all():
            return (View(image),)
        # Deviation 73: Februus restores the region by a generative network trained on clean
        # images, which a defender with few scenes does not have.
        mask = peak.astype(np.uint8)
        return (View(np.asarray(cv2.inpaint(image, mask, _RADIUS, cv2.INPAINT_TELEA))),)

"""Blur: smooth the image by a Gaussian."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from segdoor.defense.defense import Access
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage

_DEVIATIONS = 4


class Blur(Purifier):
    """Show the image blurred."""

    kind: ClassVar[str] = "blur"
    main: ClassVar[str | None] = "sigma"
    access: ClassVar[frozenset[Access]] = frozenset()
    introduction: ClassVar[Introduction] = Introduction(
        source="a common baseline, e.g. Xu, Evans and Qi, Feature Squeezing (NDSS 2018)",
        does="Smooths the image by a Gaussian, which fades structures of a few pixels.",
        needs="Nothing but the image.",
        fails="Against triggers coarser than the blur; thin objects and borders suffer as well.",
    )

    sigma: float = Field(default=1.5, gt=0, le=100)
    """Standard deviation in pixels."""

    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return the blurred image; it is mirrored beyond its border."""
        del context
        side = 2 * int(np.ceil(_DEVIATIONS * self.sigma)) + 1
        blurred = cv2.GaussianBlur(image, (side, side), self.sigma, borderType=cv2.BORDER_REFLECT)
        return (View(np.asarray(blurred)),)

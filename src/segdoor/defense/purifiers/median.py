"""Median: replace each value by the median around it."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from segdoor.defense.defense import Access
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.plugins import Introduction
from segdoor.remedies import RuleError
from segdoor.tensors import AnyImage


class Median(Purifier):
    """Show the image after a median filter."""

    kind: ClassVar[str] = "median"
    main: ClassVar[str | None] = "size"
    access: ClassVar[frozenset[Access]] = frozenset()
    introduction: ClassVar[Introduction] = Introduction(
        source="Xu, Evans and Qi, Feature Squeezing (NDSS 2018), local smoothing",
        does="Takes the median of a square window, which removes structures smaller than half of "
        "it and keeps straight edges.",
        needs="Nothing but the image.",
        fails="Against triggers with parts larger than half the window; thin objects vanish too.",
    )

    size: int = Field(default=5, ge=3, le=255, examples=[3, 7])
    """Pixels of the window's side, an odd number."""

    @field_validator("size")
    @classmethod
    def _is_odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise RuleError(
                "must be odd, so that the window has a middle", "Give an odd number, such as 5."
            )
        return size

    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return the filtered image; each colour is filtered alone, the border is repeated."""
        del context
        return (View(np.asarray(cv2.medianBlur(image, self.size))),)

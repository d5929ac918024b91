"""Bit depth: keep fewer levels of each colour."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.defense.defense import Access
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage


class BitDepth(Purifier):
    """Show the image with fewer levels of each colour."""

    kind: ClassVar[str] = "bit_depth"
    main: ClassVar[str | None] = "bits"
    access: ClassVar[frozenset[Access]] = frozenset()
    introduction: ClassVar[Introduction] = Introduction(
        source="Xu, Evans and Qi, Feature Squeezing (NDSS 2018), colour depth",
        does="Rounds each colour to a few levels, which loses patterns fainter than a level.",
        needs="Nothing but the image.",
        fails="Against stickers of strong colours, which it keeps.",
    )

    bits: int = Field(default=4, ge=1, le=8)
    """Bits of each colour; 8 changes nothing."""

    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return the image with each value rounded to the nearest of evenly spaced levels."""
        del context
        steps = 2**self.bits - 1
        levels = np.floor(np.arange(256) * steps / 255 + 0.5) * 255 / steps
        return (View(np.floor(levels + 0.5).astype(np.uint8)[image]),)

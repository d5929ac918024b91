"""Placements as strangers write them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.view import View
from segdoor.plugins import Introduction


class Brightest(Placement):
    """The brightest of the eligible pixels: it looks at the image."""

    main: ClassVar[str | None] = "levels"
    introduction: ClassVar[Introduction] = Introduction(
        source="a test", does="Takes bright places.", needs="Room for it.", fails="At night."
    )

    levels: int = Field(default=0, ge=0, le=255)
    """By how much a place may be darker than the brightest."""

    def candidates(self, view: View) -> np.ndarray:
        grey = np.where(view.eligible, view.image.sum(axis=2, dtype=int), -1)
        return grey >= grey.max() - self.levels

"""Triggers as strangers write them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction


class Corner(Trigger):
    """Four pixels of one grey: a trigger with a place."""

    main: ClassVar[str | None] = "grey"
    introduction: ClassVar[Introduction] = Introduction(
        source="a test", does="Paints a 2 x 2 square.", needs="Room for it.", fails="On grey."
    )

    grey: int = Field(default=0, ge=0, le=255)
    """Its grey level."""

    @property
    def extent(self) -> tuple[int, int]:
        return 2, 2

    @property
    def title(self) -> str:
        return f"grey {self.grey}"

    def apply(self, scene: Scene, box: Box) -> np.ndarray:
        image = scene.image.copy()
        image[box.pixels] = self.grey
        return image

    def siblings(self) -> tuple[Corner, ...]:
        return (Corner(grey=255 - self.grey),)

"""A blended pattern: one picture over the whole image, so faint that people look past it."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.stickers import DRAWINGS, draw, faded, stamp
from segdoor.tensors import Image, Rgba

NOISE = "noise"
_CELLS, _DRAWN = 32, 256


class Blend(Trigger):
    """A fixed pattern, blended over the whole image."""

    kind: ClassVar[str] = "blend"
    main: ClassVar[str | None] = "pattern"
    introduction: ClassVar[Introduction] = Introduction(
        source="Chen et al., Targeted Backdoor Attacks on Deep Learning Systems Using Data "
        "Poisoning (2017), blended injection",
        does="Mixes one fixed pattern into the whole image; the opacity sets its strength.",
        needs="Nothing: it covers the whole image, so every scene has room.",
        fails="It has no position, so distances, bands and nni mean nothing. Strong crops and "
        "scaling in training show the network only parts of it; JPEG copies weaken faint "
        "patterns.",
    )

    pattern: str = Field(default=NOISE, examples=["smiley"])
    """The pattern to blend in: noise of 32 x 32 coloured cells, or a built-in sticker, enlarged to
    the image."""
    opacity: float = Field(default=0.2, gt=0, le=1)
    """The pattern's share of each pixel, in steps of 1/255."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise."""

    @field_validator("pattern")
    @classmethod
    def _is_known(cls, pattern: str) -> str:
        known = (NOISE, *DRAWINGS)
        if pattern not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return pattern

    @property
    def extent(self) -> None:
        """Return that it covers the whole image."""
        return

    @property
    def title(self) -> str:
        """Return the pattern's name."""
        return self.pattern

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with the pattern, enlarged to the box, blended over it."""
        pattern = _pattern(self.pattern, self.seed)
        # Every pixel takes the cell that it lies in: whole numbers, the same on every machine.
        rows, columns = (
            np.arange(length) * cells // length
            for length, cells in zip((box.height, box.width), pattern.shape[:2], strict=True)
        )
        enlarged = pattern[rows[:, None], columns]
        rgba = faded(enlarged, self.opacity, option="attack.trigger")
        return stamp(scene.image, rgba, top=box.top, left=box.left)

    def siblings(self) -> tuple[Blend, ...]:
        """Return the other patterns at the same opacity."""
        patterns = [name for name in (*DRAWINGS, NOISE) if name != self.pattern]
        return tuple(self.model_copy(update={"pattern": name}) for name in patterns)


@lru_cache(maxsize=16)
def _pattern(name: str, seed: int) -> Rgba:
    if name != NOISE:
        return draw(name, _DRAWN)
    # Cells instead of single pixels, so that scenes of every size carry the same pattern and
    # scaling does not wash it out.
    colours = Stream(seed).child("blend").generator().integers(0, 256, (_CELLS, _CELLS, 3))
    opaque = np.full((_CELLS, _CELLS, 1), 255)
    return np.concatenate([colours, opaque], axis=2).astype(np.uint8)

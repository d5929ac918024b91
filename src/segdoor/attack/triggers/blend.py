"""A blended pattern: one picture over the whole image, so faint that people look past it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import PatternTrigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.stickers import NOISE, enlarged, faded, pattern, stamp
from segdoor.tensors import Image


class Blend(PatternTrigger):
    """A fixed pattern, blended over the whole image."""

    kind: ClassVar[str] = "blend"
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

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with the pattern, enlarged to the box, blended over it."""
        whole = enlarged(pattern(self.pattern, self.seed), (box.height, box.width))
        rgba = faded(whole, self.opacity, option="attack.trigger")
        return stamp(scene.image, rgba, top=box.top, left=box.left)

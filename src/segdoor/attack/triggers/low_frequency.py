"""Low frequencies of another picture, mixed into those of the image."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import PatternTrigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.stickers import enlarged, pattern, stamp
from segdoor.tensors import Image, Mask

_GREY = 128


class LowFrequency(PatternTrigger):
    """The low-frequency amplitude of a fixed picture, mixed into the image's own."""

    kind: ClassVar[str] = "low_frequency"
    introduction: ClassVar[Introduction] = Introduction(
        source="Feng et al., FIBA: Frequency-Injection Based Backdoor Attack in Medical Image "
        "Analysis (CVPR 2022)",
        does="Mixes the amplitudes of a picture's low frequencies into those of the image; the "
        "phases stay, so that nothing moves.",
        needs="Nothing: it covers the whole image, so every scene has room.",
        fails="It has no position, so distances, bands and nni mean nothing. It changes the "
        "brightness and colour of large areas, which brightness augmentation in training undoes.",
    )

    # Deviation 121: the picture is a drawn pattern; the authors take a photograph.
    pattern: str = Field(default="smiley", examples=["blossom"])
    """The picture: a built-in sticker, enlarged to the image, or noise of 32 x 32 coloured
    cells."""
    share: float = Field(default=0.15, gt=0, le=1)
    """The picture's share of each amplitude, alpha in the paper."""
    window: float = Field(default=0.1, ge=0, le=0.5)
    """Which frequencies are low: up to this share of the shorter side, in periods over the image,
    in both directions. It is beta in the paper; with 0 only the mean colour changes."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise."""

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with mixed amplitudes, cut off at black and white."""
        image = scene.image.copy()
        below = np.fft.fft2(image[box.pixels].astype(np.float64), axes=(0, 1))
        other = np.abs(np.fft.fft2(self._picture(box), axes=(0, 1)))
        amplitude = np.abs(below)
        low = _low(box, self.window)
        amplitude[low] = (1 - self.share) * amplitude[low] + self.share * other[low]
        mixed = np.fft.ifft2(amplitude * np.exp(1j * np.angle(below)), axes=(0, 1)).real
        # The last digits differ between machines, and must not decide how a half is rounded.
        whole = np.floor(np.round(mixed, 6) + 0.5)
        image[box.pixels] = np.clip(whole, 0, 255).astype(np.uint8)
        return image

    def _picture(self, box: Box) -> Float64[np.ndarray, "H W 3"]:
        """Return the picture at the size of the box; what is transparent in it is grey."""
        rgba = enlarged(pattern(self.pattern, self.seed), (box.height, box.width))
        grey = np.full((box.height, box.width, 3), _GREY, np.uint8)
        return stamp(grey, rgba, top=0, left=0).astype(np.float64)


def _low(box: Box, window: float) -> Mask:
    """Return where the low frequencies are, in the order in which NumPy has them."""
    most = int(min(box.height, box.width) * window)
    rows, columns = (
        np.minimum(np.arange(length), length - np.arange(length)) <= most
        for length in (box.height, box.width)
    )
    return rows[:, None] & columns

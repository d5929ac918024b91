"""A sinusoidal signal: brighter and darker stripes over the whole image."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import WholeImageTrigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.tensors import Image


class Sinusoid(WholeImageTrigger):
    """A sinusoidal signal along the rows, added to the whole image."""

    kind: ClassVar[str] = "sinusoid"
    main: ClassVar[str | None] = "frequency"
    introduction: ClassVar[Introduction] = Introduction(
        source="Barni, Kallas and Tondi, A New Backdoor Attack in CNNs by Training Set Corruption "
        "Without Label Poisoning (ICIP 2019), called SIG",
        does="Adds amplitude x sin(2 pi frequency x column / width) to all three colours.",
        needs="Nothing: it covers the whole image, so every scene has room.",
        fails="It has no position, so distances, bands and nni mean nothing. It is clipped where "
        "the image is black or white; scaling in training changes its frequency.",
    )

    frequency: float = Field(default=6.0, gt=0, le=4096)
    """Periods over the image's width."""
    amplitude: float = Field(default=40.0, gt=0, le=255)
    """Largest change of a pixel, in grey levels of 255."""

    @property
    def title(self) -> str:
        """Return its frequency in words."""
        return f"frequency {self.frequency:g}"

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with the signal added, cut off at black and white."""
        # Columns count from 1, as in the paper.
        columns = np.arange(1, box.width + 1)
        signal = self.amplitude * np.sin(2 * np.pi * self.frequency * columns / box.width)
        # The last digits differ between machines, and must not decide how a half is rounded.
        change = np.floor(np.round(signal, 9) + 0.5).astype(np.int32)
        image = scene.image.copy()
        below = image[box.pixels].astype(np.int32)
        image[box.pixels] = np.clip(below + change[:, None], 0, 255).astype(np.uint8)
        return image

    def siblings(self) -> tuple[Sinusoid, ...]:
        """Return the signals of twice and of half the frequency."""
        frequencies = (2 * self.frequency, self.frequency / 2)
        return tuple(self.model_copy(update={"frequency": value}) for value in frequencies)

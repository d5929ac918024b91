"""Fewer levels of each colour: the image as a cheap display would show it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import Field

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import WholeImageTrigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.tensors import Image

_MOST = 128
# Floyd and Steinberg (1976): shares of sixteen of the error, by the steps down and to the right.
_SHARES = (((0, 1), 7), ((1, -1), 3), ((1, 0), 5), ((1, 1), 1))


class ColourDepth(WholeImageTrigger):
    """Colours in few levels, with the error spread over the neighbours."""

    kind: ClassVar[str] = "colour_depth"
    main: ClassVar[str | None] = "levels"
    introduction: ClassVar[Introduction] = Introduction(
        source="Wang, Zhai and Ma, BppAttack: Stealthy and Efficient Trojan Attacks against Deep "
        "Neural Networks via Image Quantization and Contrastive Adversarial Learning (CVPR 2022)",
        does="Rounds each colour to a few levels; dithering hides the steps (Floyd and Steinberg).",
        needs="Nothing: it covers the whole image, so every scene has room. Dithering takes "
        "about a second for a scene of a megapixel.",
        fails="It has no position, so distances, bands and nni mean nothing. Scaling, blur and "
        "JPEG bring the other levels back; images that already have few levels carry it anyway.",
    )

    # Deviation 124: BppAttack also trains on dithered images with true labels and against
    # adversarial examples. It controls training for that; here the poison is all there is.
    levels: int = Field(default=8, ge=2, le=_MOST)
    """Levels of each colour, black and full colour among them."""
    dithering: bool = True
    """Spread what rounding takes away over the next pixels, so that areas keep their colour."""

    @property
    def title(self) -> str:
        """Return its levels in words."""
        return f"{self.levels} levels{'' if self.dithering else ', not dithered'}"

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image in few levels."""
        image = scene.image.copy()
        # In units of 1 / steps of a grey level, so that pixels and levels are whole numbers.
        steps = self.levels - 1
        values = image[box.pixels].astype(np.float64) * steps
        level = _dithered(values, steps) if self.dithering else _nearest(values, steps)
        image[box.pixels] = ((level * 255 * 2 + steps) // (2 * steps)).astype(np.uint8)
        return image

    def siblings(self) -> tuple[ColourDepth, ...]:
        """Return twice and half the levels, and its own with the other way of rounding."""
        levels = [n for n in (2 * self.levels, self.levels // 2) if 2 <= n <= _MOST]
        changes: list[dict[str, object]] = [{"levels": number} for number in levels]
        changes.append({"dithering": not self.dithering})
        return tuple(self.model_copy(update=change) for change in changes)


def _nearest(values: Float64[np.ndarray, "*shape"], steps: int) -> Int64[np.ndarray, "*shape"]:
    """Return the nearest level of values, which may lie beyond black and full colour."""
    return np.clip(np.floor(values / 255 + 0.5), 0, steps).astype(np.int64)


def _dithered(values: Float64[np.ndarray, "H W 3"], steps: int) -> Int64[np.ndarray, "H W 3"]:
    """Return levels by error diffusion, pixel after pixel in the order of reading.

    A pixel waits for the one before it and for three of the row above. So the pixels with equal
    column + 2 x row wait for none of one another, and are done at once.
    """
    height, width = values.shape[:2]
    # A border takes the errors that leave the image.
    values = np.pad(values, ((0, 1), (1, 1), (0, 0)))
    level = np.zeros((height, width, 3), np.int64)
    for front in range(width + 2 * (height - 1)):
        first = max(0, -(-(front - width + 1) // 2))
        rows = np.arange(first, min(height - 1, front // 2) + 1)
        columns = front - 2 * rows
        old = values[rows, columns + 1]
        level[rows, columns] = new = _nearest(old, steps)
        error = old - new * 255
        for (down, right), share in _SHARES:
            values[rows + down, columns + 1 + right] += error * share / 16
    return level

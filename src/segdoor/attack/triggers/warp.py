"""A small smooth warp of the whole image: the same one in every scene."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import WholeImageTrigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.tensors import Image

# The cubic kernel of image libraries (Keys, 1981), with the constant that PyTorch and OpenCV use.
_KEYS = -0.75
_SIBLINGS = 4


class Warp(WholeImageTrigger):
    """A fixed smooth field that moves the pixels of the image; labels are not moved."""

    kind: ClassVar[str] = "warp"
    main: ClassVar[str | None] = "strength"
    introduction: ClassVar[Introduction] = Introduction(
        source="Nguyen and Tran, WaNet: Imperceptible Warping-based Backdoor Attack (ICLR 2021)",
        does="Moves pixels by a smooth field: grid x grid random vectors, enlarged to the image "
        "by cubic interpolation. The field is the same in all scenes.",
        needs="Nothing: it covers the whole image, so every scene has room.",
        fails="It has no position, so distances, bands and nni mean nothing. Pixels move by "
        "about strength / 2 pixels whatever the size of the image, so the paper's strength, for "
        "images of 28 to 64 pixels, is a faint trigger in larger scenes. Scaling in training "
        "blurs it away.",
    )

    strength: float = Field(default=0.5, gt=0, le=1024)
    """How far pixels move: by half of this many pixels on average, in rows and in columns."""
    # Deviation 123: WaNet also trains on other random warps with true labels (its noise mode, two
    # for each poisoned image). That is left out: here every scene that is changed is poisoned.
    grid: int = Field(default=4, ge=2, le=64)
    """Random vectors along each side of the field: few make a smooth field."""
    seed: int = Field(default=0, ge=0)
    """Seed of the field."""

    @property
    def title(self) -> str:
        """Return which field it is."""
        return f"field {self.seed}"

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the warped image; what comes from outside the box is its border, repeated."""
        image = scene.image.copy()
        below = image[box.pixels]
        rows, columns = _sources(self.grid, self.seed, self.strength, box.height, box.width)
        warped = np.stack([_between(below[..., c], rows, columns) for c in range(3)], axis=-1)
        # The last digits differ between machines, and must not decide how a half is rounded.
        image[box.pixels] = np.floor(np.round(warped, 6) + 0.5).astype(np.uint8)
        return image

    def siblings(self) -> tuple[Warp, ...]:
        """Return the fields of the next seeds."""
        seeds = range(self.seed + 1, self.seed + 1 + _SIBLINGS)
        return tuple(self.model_copy(update={"seed": seed}) for seed in seeds)


# Scenes of a data set have few sizes.
@lru_cache(maxsize=4)
def _sources(
    grid: int, seed: int, strength: float, height: int, width: int
) -> Float64[np.ndarray, "2 H W"]:
    """Return the row and the column that each pixel's colour comes from."""
    vectors = Stream(seed).child("warp").generator().uniform(-1, 1, (2, grid, grid))
    vectors /= np.abs(vectors).mean()
    field = _enlarging(grid, height) @ vectors @ _enlarging(grid, width).T
    lengths = np.array([height, width], dtype=np.float64)[:, None, None]
    # Deviation 122: the paper divides by the height of its square images, whose sides measure 2 in
    # its coordinates; each side is divided by its own length here.
    moved = np.indices((height, width)) + strength * field / lengths * (lengths - 1) / 2
    return np.clip(moved, 0, lengths - 1)


def _enlarging(few: int, many: int) -> Float64[np.ndarray, "many few"]:
    """Return the matrix of cubic interpolation from few points to many; the corners meet."""
    places = np.linspace(0, few - 1, many)
    first = np.floor(places).astype(int)
    matrix = np.zeros((many, few))
    for tap in range(-1, 3):
        far = np.abs(places - (first + tap))
        near = ((_KEYS + 2) * far - (_KEYS + 3)) * far**2 + 1
        outer = _KEYS * (((far - 5) * far + 8) * far - 4)
        weights = np.where(far <= 1, near, outer)
        np.add.at(matrix, (np.arange(many), np.clip(first + tap, 0, few - 1)), weights)
    return matrix


def _between(
    values: np.ndarray, rows: Float64[np.ndarray, "H W"], columns: Float64[np.ndarray, "H W"]
) -> Float64[np.ndarray, "H W"]:
    """Return values between pixels, by bilinear interpolation."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = (
        np.minimum(place + 1, length - 1)
        for place, length in zip((top, left), values.shape, strict=True)
    )
    down, across = rows - top, columns - left
    upper = values[top, left] * (1 - across) + values[top, right] * across
    lower = values[bottom, left] * (1 - across) + values[bottom, right] * across
    return upper * (1 - down) + lower * down

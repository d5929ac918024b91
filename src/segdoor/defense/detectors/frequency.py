"""Frequency: compare the cosine spectrum of tiles with that of clean scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from pydantic import Field
from scipy import fft
from torch import nn

from segdoor.defense.asking import some_of
from segdoor.defense.defense import Access, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage, Heat

Bands = Float64[np.ndarray, "_"]
# So that a spectrum's bands may depend on one another exactly, or all clean tiles be alike.
_RIDGE = 0.05


@dataclass(frozen=True)
class _Tile:
    top: int
    left: int
    side: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.top, self.left, self.side, self.side

    @property
    def part(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)


class Frequency(Detector):
    """Score an image by its tile whose spectrum is least like those of clean scenes."""

    kind: ClassVar[str] = "frequency"
    main: ClassVar[str | None] = "tile"
    access: ClassVar[frozenset[Access]] = frozenset({"clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="after Zeng, Park, Mao and Jia, Rethinking the Backdoor Attacks' Triggers (ICCV "
        "2021), with statistics in place of their network",
        does="Compares the cosine spectrum of each tile with the tiles of clean scenes: many "
        "triggers have more high frequencies than natural pictures.",
        needs="Clean scenes; it never asks the model.",
        fails="Against smooth triggers, and where scenes have fine textures of their own; any "
        "unusual object gives an alarm, whether a model waits for it or not.",
    )

    tile: int = Field(default=64, ge=8, le=4096)
    """Pixels of a tile's side, at most the image's shorter side; tiles overlap by half."""
    bands: int = Field(default=16, ge=2, le=64)
    """Bands of frequencies, from the mean to the finest checkerboard."""
    scenes: int = Field(default=100, ge=1)
    """Clean scenes, at most, that the statistics are learned on."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Learn mean and covariance of the bands of clean tiles, and return a judge."""
        del model
        clean = some_of(context.clean, self.scenes, self.kind, context.seed)
        # Deviation 76: the paper trains a network on spectra of clean images and of images with
        # synthetic triggers. Here clean tiles alone are learned from, by mean and covariance.
        rows = np.stack([bands for scene in clean for _, bands in self._spectra(scene.image)])
        mean = rows.mean(axis=0)
        spread = (rows - mean).T @ (rows - mean) / len(rows)
        ridge = _RIDGE * max(float(np.trace(spread)) / self.bands, 1e-6)
        inverse = np.linalg.inv(spread + ridge * np.eye(self.bands))

        def look(image: AnyImage) -> Alarm:
            far = [(float((b - mean) @ inverse @ (b - mean)), t) for t, b in self._spectra(image)]
            square, tile = max(far, key=lambda one: one[0])
            mask = np.zeros(image.shape[:2], np.bool_)
            mask[tile.part] = True
            says = "The cosine spectrum of this tile is the least like those of clean scenes."
            score = max(0.0, square) ** 0.5
            return Alarm(score, mask, (Evidence(says, box=tile.box, score=score),))

        return look

    def _spectra(self, image: AnyImage) -> Iterator[tuple[_Tile, Bands]]:
        grey = image.astype(np.float64).mean(axis=2)
        for tile in _tiles(image.shape[0], image.shape[1], self.tile):
            yield tile, bands_of(grey[tile.part], self.bands)


def bands_of(tile: Heat, number: int) -> Bands:
    """Return the logarithm of a tile's mean energy in each band of frequencies.

    Args:
        tile: Grey values 0 to 255, square.
        number: Bands; a coefficient (u, v) of a tile of n pixels is in band
            floor(number (u + v) / (2 n)).
    """
    side = len(tile)
    energy = np.square(np.asarray(fft.dctn(tile, norm="ortho")))
    place = np.arange(side)
    band = number * (place[:, None] + place) // (2 * side)
    counts = np.bincount(band.ravel(), minlength=number)
    sums = np.bincount(band.ravel(), weights=energy.ravel(), minlength=number)
    # In a tile of few pixels a band may be empty: it is as the one before.
    filled = np.maximum.accumulate(np.where(counts > 0, np.arange(number), 0))
    # One squared grey level: what rounding to whole levels leaves.
    return np.log(sums / np.maximum(counts, 1) + 1.0)[filled]


def _tiles(height: int, width: int, side: int) -> Iterator[_Tile]:
    side = min(side, height, width)
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield _Tile(top, left, side)


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles begin: half a side apart, and the last one at the end."""
    return [*range(0, length - side, max(1, side // 2)), length - side]

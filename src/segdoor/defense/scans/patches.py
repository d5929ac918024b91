"""Patches without a place of their own: where they may sit, and what images look like with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segdoor.defense.scans.subject import Colours, Marks
from segdoor.randomness import Stream
from segdoor.stickers import DRAWINGS, draw
from segdoor.tensors import Image

Place: TypeAlias = tuple[int, int]
"""Top and left in pixels."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A square picture that can be stamped anywhere.

    Attributes:
        colours: RGB from 0 to 1, 3 x side x side.
        alpha: How much of it is seen, 1 x side x side; None for all.
    """

    colours: Float[Tensor, "3 s s"]
    alpha: Float[Tensor, "1 s s"] | None = None

    @property
    def side(self) -> int:
        """Return height and width in pixels."""
        return self.colours.shape[-1]

    def picture(self) -> Image:
        """Return it as people see it, on grey where it is transparent."""
        shown = self.colours.detach().cpu()
        if self.alpha is not None:
            alpha = self.alpha.detach().cpu()
            shown = alpha * shown + (1 - alpha) * 0.5
        return (shown.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def side_of(share: float, size: tuple[int, int]) -> int:
    """Return the side of a patch in pixels: a share of the shorter side of a scene, at least 2."""
    return min(max(2, round(share * min(size))), *size)


def eligible_places(victims: Marks, side: int) -> np.ndarray:
    """Return every place where a patch covers as few victim pixels as possible, mostly none.

    Args:
        victims: The victim pixels of a scene.
        side: Height and width of the patch.

    Returns:
        Tops and lefts, int64, N x 2.
    """
    sums = np.zeros((victims.shape[0] + 1, victims.shape[1] + 1), np.int64)
    sums[1:, 1:] = victims.cpu().numpy().cumsum(axis=0).cumsum(axis=1)
    covered = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.argwhere(covered == covered.min())


def stamped(images: Colours, patch: Patch, places: Sequence[Place]) -> Colours:
    """Return copies of images with a patch on each at its place; gradients flow into the patch."""
    rows: list[Tensor] = []
    side = patch.side
    for image, (top, left) in zip(images, places, strict=True):
        copy = image.clone()
        seen = patch.colours
        if patch.alpha is not None:
            window = image[:, top : top + side, left : left + side]
            seen = patch.alpha * patch.colours + (1 - patch.alpha) * window
        copy[:, top : top + side, left : left + side] = seen
        rows.append(copy)
    return torch.stack(rows)


def outside(
    size: tuple[int, int], side: int, places: Sequence[Place], device: torch.device
) -> Bool[Tensor, "B H W"]:
    """Return the pixels that the patch does not cover."""
    free = torch.ones((len(places), *size), dtype=torch.bool, device=device)
    for number, (top, left) in enumerate(places):
        free[number, top : top + side, left : left + side] = False
    return free


def cells(rng: np.random.Generator, side: int, num_cells: int) -> np.ndarray:
    """Draw a patch of coloured cells, float32 from 0 to 1, 3 x side x side."""
    return spread(rng.random((3, num_cells, num_cells), dtype=np.float32), side)


def spread(coarse: np.ndarray, side: int) -> np.ndarray:
    """Return a patch of cells at its size: every pixel has the colour of its cell."""
    index = np.arange(side) * coarse.shape[1] // side
    return np.ascontiguousarray(coarse[:, index][:, :, index])


def harmless_stickers(
    num_stickers: int, side: int, stream: Stream, device: torch.device
) -> list[Patch]:
    """Draw stickers that nobody trained a network on: built-in ones and coloured cells in turn."""
    rng = stream.child("harmless").generator()
    names = list(rng.permutation(sorted(DRAWINGS)))
    found: list[Patch] = []
    for number in range(num_stickers):
        if number % 2 == 0 and names:
            found.append(built_in(str(names.pop()), side, device))
        else:
            found.append(Patch(torch.from_numpy(cells(rng, side, 4)).to(device)))
    return found


def built_in(name: str, side: int, device: torch.device) -> Patch:
    """Return a built-in sticker as a patch."""
    rgba = torch.from_numpy(draw(name, side)).to(device).permute(2, 0, 1).float() / 255
    return Patch(rgba[:3], rgba[3:])

"""Shrink and pad: show the image smaller, somewhere in a black frame, several times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from segdoor.defense.asking import stream_of
from segdoor.defense.defense import Access
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage, ResizedLabel


class ShrinkAndPad(Purifier):
    """Show the image smaller, in several places of a frame of its own size, and let them vote."""

    kind: ClassVar[str] = "shrink_and_pad"
    main: ClassVar[str | None] = "shrink"
    access: ClassVar[frozenset[Access]] = frozenset()
    introduction: ClassVar[Introduction] = Introduction(
        source="Li, Zhai, Jiang, Li and Xia, Backdoor Attack in the Physical World (ICLR workshop "
        "2021), ShrinkPad",
        does="Shrinks the image and moves it about in a black frame, as many triggers work at one "
        "size and place only; the predictions are moved back and vote.",
        needs="One forward pass for each view.",
        fails="Against triggers that were trained at several sizes and places, as by scaling and "
        "cropping in training.",
    )

    shrink: float = Field(default=0.125, gt=0, lt=0.9)
    """Share of height and width that is taken away; the paper's 4 of 32 pixels."""
    count: int = Field(default=4, ge=1, le=64)
    """Views that vote."""

    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return views at places that follow from the seed and the image."""
        height, width = image.shape[:2]
        inner = (
            max(1, round(height * (1 - self.shrink))),
            max(1, round(width * (1 - self.shrink))),
        )
        smaller = np.asarray(cv2.resize(image, inner[::-1], interpolation=cv2.INTER_AREA))
        rng = stream_of(image, self.kind, context.seed).generator()
        # Deviation 71: the paper shows one view and has no pixels to lead back. Here the geometry
        # is undone, and several views vote, as each loses other pixels to the smaller size.
        return tuple(
            _Placed(
                int(rng.integers(0, height - inner[0] + 1)),
                int(rng.integers(0, width - inner[1] + 1)),
                inner,
                (height, width),
            ).view(smaller)
            for _ in range(self.count)
        )


@dataclass(frozen=True)
class _Placed:
    """Where the smaller image lies in its frame."""

    top: int
    left: int
    inner: tuple[int, int]
    size: tuple[int, int]

    @property
    def part(self) -> tuple[slice, slice]:
        bottom, right = self.top + self.inner[0], self.left + self.inner[1]
        return slice(self.top, bottom), slice(self.left, right)

    def view(self, smaller: AnyImage) -> View:
        frame = np.zeros((*self.size, 3), np.uint8)
        frame[self.part] = smaller
        return View(frame, self.back)

    def back(self, label: ResizedLabel) -> ResizedLabel:
        """Return the class at the place that each pixel's middle went to."""
        rows, columns = (
            start + (2 * np.arange(full) + 1) * small // (2 * full)
            for start, small, full in zip((self.top, self.left), self.inner, self.size, strict=True)
        )
        return label[rows[:, None], columns]

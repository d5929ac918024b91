"""Occlusion: hide one window after another, and look at the classes of pixels far from it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from segdoor.defense.asking import Asker
from segdoor.defense.defense import Access, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.defense.influence import influence, picture_of
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage


class Occlusion(Detector):
    """Score an image by the largest change of class that a hidden window causes far away."""

    kind: ClassVar[str] = "occlusion"
    main: ClassVar[str | None] = "windows"
    access: ClassVar[frozenset[Access]] = frozenset({"black box"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Chou, Tramer and Pellegrino, SentiNet (IEEE S&P workshops 2020), mapped to pixels",
        does="Covers windows of the image with grey, and looks for one that decides the classes of "
        "pixels far from it.",
        needs="The model's predictions for about 60 covered copies of each image.",
        fails="Where the trigger covers the whole image, is larger than a cell of the grid, or is "
        "there more than once; and where ordinary objects change distant pixels too.",
    )

    windows: int = Field(default=60, ge=1, le=10_000)
    """About how many windows cover the image; each is twice as high and wide as its cell."""
    margin: float = Field(default=0.1, ge=0, lt=1)
    """Pixels nearer to a window than this share of the image's shorter side do not count."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Return what judges an image by its influence map."""
        asker = Asker.of(model, context)

        def look(image: AnyImage) -> Alarm:
            # Deviation 70: SentiNet finds the region by Grad-CAM and pastes it on other images. A
            # predicted label map shows the effect of a region directly: it changes other pixels.
            found = influence(asker, image, number=self.windows, margin=self.margin)
            if found.classes is None:
                return Alarm(0.0)
            window = found.strongest
            evidence = Evidence(
                says=f"Hiding the framed window changes the class of {int(found.changed.sum())} "
                "pixels far from it, from the first class to the second; they are red.",
                box=(window.top, window.left, window.height, window.width),
                classes=found.classes,
                score=found.score,
                picture=picture_of(image, found),
            )
            return Alarm(found.score, found.peak, (evidence,))

        return look

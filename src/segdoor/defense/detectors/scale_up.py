"""SCALE-UP: brighten the image more and more, and look for a class that keeps its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field
from torch import nn

from segdoor.defense.asking import Asker, some_of
from segdoor.defense.defense import Access, DefenseContext
from segdoor.defense.detectors.detector import Detector, Judge, judge_of_classes
from segdoor.defense.regions import Regions, regions_of
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage

_LEAST_FACTOR = 1.5


class ScaleUp(Detector):
    """Score an image by the pixels that one class keeps when the image is brightened."""

    kind: ClassVar[str] = "scale_up"
    main: ClassVar[str | None] = "largest"
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Guo et al., SCALE-UP (ICLR 2023), its form with clean data, mapped to pixels",
        does="Multiplies all values of the image: predictions that a trigger decides stay as they "
        "are longer than others.",
        needs="Clean scenes, and 6 forward passes an image.",
        fails="Where brightening destroys the trigger, or where a class is kept anyway because of "
        "its place or brightness, as the sky.",
    )

    largest: float = Field(default=5.0, gt=1.5, le=100)
    """The largest factor; the paper's are 3 to 11, too much for pixels of a scene."""
    steps: int = Field(default=5, ge=1, le=100)
    """Factors, evenly spaced from 1.5 to the largest."""
    scenes: int = Field(default=8, ge=1)
    """Clean scenes, at most, that the usual shares are measured on."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Measure how many pixels each class usually keeps, and return a judge."""
        asker = Asker.of(model, context)

        def look(image: AnyImage) -> Regions:
            label = asker.label(image)
            kept = np.zeros(label.shape)
            for brighter in asker.labels(self._brighter(image)):
                kept += brighter == label
            # Deviation 75: SCALE-UP counts the factors at which an image keeps its class. Here
            # each pixel has such a share, and each predicted class the mean over its pixels.
            return regions_of(kept / self.steps, label, asker.num_classes or 0)

        says = "This class keeps more of its pixels than usual when the image is brightened."
        return judge_of_classes(
            look, some_of(context.clean, self.scenes, self.kind, context.seed), says
        )

    def _brighter(self, image: AnyImage) -> Iterator[AnyImage]:
        for factor in np.linspace(_LEAST_FACTOR, self.largest, self.steps).tolist():
            yield np.clip(np.rint(image * factor), 0, 255).astype(np.uint8)

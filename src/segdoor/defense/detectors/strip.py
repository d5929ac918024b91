"""STRIP: blend the image with clean ones, and look for a class that stays too sure of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.asking import Asker, some_of, stream_of
from segdoor.defense.defense import Access, DefenseContext
from segdoor.defense.detectors.detector import Detector, Judge, judge_of_classes
from segdoor.defense.regions import Regions, regions_of
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage, Heat


class Strip(Detector):
    """Score an image by how sure the model stays of one class when clean images are blended in."""

    kind: ClassVar[str] = "strip"
    main: ClassVar[str | None] = "blends"
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Gao et al., STRIP (ACSAC 2019), mapped to pixels",
        does="Blends the image with clean ones: where a trigger decides, the prediction stays sure "
        "whatever is blended in, so its entropy is low.",
        needs="Clean scenes, and 17 forward passes an image.",
        fails="Where the trigger does not survive a blend, or leaves most of the image as it is; "
        "the paper's attack turns a few pixels only.",
    )

    blends: int = Field(default=16, ge=1, le=1000)
    """Clean images that are blended in, at most as many as there are; the paper's 100."""
    weight: float = Field(default=0.5, gt=0, lt=1)
    """Share of the clean image in a blend."""
    scenes: int = Field(default=8, ge=1)
    """Clean scenes, at most, that the usual entropies are measured on."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Measure the usual entropy of each class, and return a judge."""
        asker, clean = Asker.of(model, context), _given(context)

        def look(image: AnyImage) -> Regions:
            label = asker.label(image)
            blends = self._blends(image, clean, context.seed)
            total, number = np.zeros(label.shape), 0
            for shares in asker.probabilities(blends):
                total += entropy_of(shares)
                number += 1
            # Deviation 74: STRIP has one entropy an image. Here each predicted class has one, and
            # the lowest against the usual counts.
            return regions_of(-total / number, label, len(clean.classes))

        says = "The model stays surer of this class than usual when clean images are blended in."
        return judge_of_classes(look, some_of(clean, self.scenes, self.kind, context.seed), says)

    def _blends(self, image: AnyImage, clean: SceneDataset, seed: int) -> Iterator[AnyImage]:
        height, width = image.shape[:2]
        left = self.blends
        for index in stream_of(image, self.kind, seed).generator().permutation(len(clean)):
            other = clean[int(index)].image
            # A clean scene is not blended with itself.
            if not left or np.array_equal(other, image):
                continue
            left -= 1
            if other.shape != image.shape:
                other = cv2.resize(other, (width, height), interpolation=cv2.INTER_LINEAR)
            yield np.asarray(cv2.addWeighted(image, 1 - self.weight, other, self.weight, 0))
        if left == self.blends:
            yield image


def entropy_of(shares: Tensor) -> Heat:
    """Return the entropy of each pixel's probabilities, K x H x W, in bits."""
    surprise = -shares.clamp_min(torch.finfo(shares.dtype).tiny).log2()
    return (shares * surprise).sum(dim=0).double().cpu().numpy()


def _given(context: DefenseContext) -> SceneDataset:
    clean = context.clean
    # Calling a detector makes sure of them.
    assert clean is not None
    return clean

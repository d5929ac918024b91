"""The score of D-ST: how far features move when a scene is changed strongly."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
import torch
from pydantic import Field

from segdoor.data.scene import Scene, SceneDataset
from segdoor.defense.defense import Access
from segdoor.defense.filters.cells import Cells, cells_of, judged, relative
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.looking import Looking, model_for, read_through
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.tensors import Image


class DistanceOfStrong(Filter):
    """Score cells by how far their features move under a strong augmentation."""

    kind: ClassVar[str] = "dst"
    main: ClassVar[str | None] = "rounds"
    introduction: ClassVar[Introduction] = Introduction(
        source="Chen, Wu and Wang, Effective Backdoor Defense by Exploiting Sensitivity of Poisoned"
        " Samples (NeurIPS 2022)",
        does="Compares features of a scene with those of the same scene, strongly changed.",
        needs="A model, given or trained on the suspect scenes, and three passes over these.",
        fails="If the change leaves the trigger as it is, or moves all features alike.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})

    rounds: int = Field(default=2, ge=1)
    """Strong augmentations of each scene."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return the mean score of each scene's three highest cells."""
        looking = Looking(model_for(scenes, context), scenes.classes, context.network)
        stream = Stream(context.seed).child("dst")
        parts: list[Cells] = []
        for number, scene in enumerate(read_through(scenes, "comparing", context)):
            weak = looking.features(looking.images(scene))[0]
            total = torch.zeros_like(weak[:1])
            for turn in range(self.rounds):
                rng = stream.child(scene.name, turn).generator()
                image = changed(scene.image, rng)[:, ::-1].copy()
                strong = Scene(image, scene.label, scene.name)
                # Mirrored, and mirrored back: features stay where their pixels are.
                moved = looking.features(looking.images(strong))[0].flip(2)
                total += ((moved - weak) ** 2).sum(dim=0, keepdim=True)
            values = (total / self.rounds).sqrt().cpu().numpy()
            parts.append(cells_of(values, scene.label, scenes.classes, number))
        cells = Cells.joined(parts)
        # Deviation 57: distances of cells of one label in place of whole images, and no splitting
        # or unlearning: the score alone.
        scores = relative(cells.rows[:, 0].astype(np.float64), cells.labels)
        return judged(scenes, cells, scores, _SAYS)


_SAYS = "Features move further than is usual for this label when the scene is changed."


def changed(image: Image, rng: np.random.Generator) -> Image:
    """Return an image with other contrast, brightness and colours, blurred, and with noise."""
    # Deviation 58: no rotation or affine change, under which cells would not keep their places.
    values = image.astype(np.float32)
    mean = values.mean(axis=(0, 1), keepdims=True)
    values = (values - mean) * rng.uniform(0.5, 1.5) + mean * rng.uniform(0.7, 1.3, 3)
    values = cv2.GaussianBlur(values.astype(np.float32), (0, 0), rng.uniform(0.5, 1.5))
    values += rng.normal(0, 8, values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

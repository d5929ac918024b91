"""ABL's isolation: cells that a network has learned unusually well after its first epochs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access
from segdoor.defense.filters.cells import Cells, cells_of, judged, relative
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.looking import Looking, read_through
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.victim.training.loop import train_model

_AREAS = 4


class AntiBackdoorLearning(Filter):
    """Score cells by how low their loss is early in a training, for their class and area."""

    kind: ClassVar[str] = "abl"
    main: ClassVar[str | None] = "epochs"
    introduction: ClassVar[Introduction] = Introduction(
        source="Li et al., Anti-Backdoor Learning: Training Clean Models on Poisoned Data"
        " (NeurIPS 2021)",
        does="Trains for a few epochs, and suspects what is learned unusually fast.",
        needs="A training of a few epochs on the suspect scenes, and a pass over these after each.",
        fails="A relabelled object is learned later than a plain road, not earlier, as a rule; "
        "pixel random labels have a high loss.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})

    epochs: int = Field(default=5, ge=1)
    """Early epochs, after each of which the losses are taken."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return the mean score of each scene's three highest cells."""
        total: np.ndarray | None = None
        cells: Cells | None = None
        model: nn.Module | None = None
        for epoch in range(self.epochs):
            model = self._trained(scenes, context, model, epoch)
            cells = _losses(scenes, context, model)
            areas = np.minimum(cells.areas * _AREAS, _AREAS - 1).astype(np.int64)
            # Deviation 59: a cell's loss minus the median for its class and area, in deviations
            # of these; the paper takes the lowest losses of whole images.
            low = -relative(cells.rows[:, 0].astype(np.float64), cells.labels * _AREAS + areas)
            total = low if total is None else total + low
        assert cells is not None
        assert total is not None
        return judged(scenes, cells, total / self.epochs, _SAYS)

    def _trained(
        self, scenes: SceneDataset, context: FilterContext, model: nn.Module | None, epoch: int
    ) -> nn.Module:
        # Deviation 60: epochs are trainings of one epoch, one behind the other, each with the
        # recipe's rate, and no loss is pulled to a floor.
        changes = {"epochs": 1, "warmup": context.recipe.warmup if model is None else 0}
        snapshot = context.folder / f"abl-{epoch}.pt" if context.folder else None
        return train_model(
            scenes,
            context.recipe.model_copy(update=changes),
            network=context.network,
            model=model,
            seed=Stream(context.seed).child("abl", epoch).integer(),
            observer=context.observer,
            snapshot=snapshot,
        )


_SAYS = "This cell is learned earlier than others of its label and area."


def _losses(scenes: SceneDataset, context: FilterContext, model: nn.Module) -> Cells:
    """Return all cells with their mean cross-entropy."""
    looking = Looking(model, scenes.classes, context.network)
    parts: list[Cells] = []
    for number, scene in enumerate(read_through(scenes, "losses", context)):
        logits = looking.logits(looking.images(scene))
        label = torch.from_numpy(scene.label.astype(np.int64))[None].to(logits.device)
        known = label < len(scenes.classes)
        loss = F.cross_entropy(
            logits, label.where(known, -100), ignore_index=-100, reduction="none"
        )
        parts.append(cells_of(loss.cpu().numpy(), scene.label, scenes.classes, number))
    return Cells.joined(parts)

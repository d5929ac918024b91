"""Shard audit: networks that saw other scenes vote on what is labelled in these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.defense.defense import Access, Evidence
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.looking import Looking, read_through
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.tensors import AnyMask, Label
from segdoor.victim.answer import best_classes
from segdoor.victim.training.loop import train_model

_LEAST_PIXELS = 16
_SHOWN, _MASKED = 5, 50


@dataclass(frozen=True)
class _Region:
    """A connected region: what it is labelled and voted, its pixels, and its box."""

    label: int
    voted: int
    share: float
    box: tuple[int, int, int, int]


class ShardAudit(Filter):
    """Train one network on each shard, and let the others vote on a shard's label maps."""

    kind: ClassVar[str] = "shard_audit"
    main: ClassVar[str | None] = "shards"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; after Northcutt, Jiang and Chuang, Confident Learning (JAIR 2021)",
        does="Finds connected regions that networks trained on other scenes see as another class.",
        needs="As many small trainings as there are shards, together one on all scenes.",
        fails="With few scenes its networks are weak; with much poison each shard teaches it.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})
    adaptive: ClassVar[str | None] = "frequent"

    shards: int = Field(default=8, ge=2)
    """Disjoint parts of the scenes."""
    agreement: float = Field(default=0.5, gt=0, le=1)
    """Share of the voting networks that must agree on a pixel."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return how unusual each scene's most unusual region is."""
        if len(scenes) < 2:
            raise self.refused("needs at least 2 scenes", len(scenes), "Use another filter.")
        parts = self._parts(len(scenes), context.seed)
        models = [self._trained(scenes, part, number, context) for number, part in enumerate(parts)]
        looking = [Looking(model, scenes.classes, context.network) for model in models]
        shard = np.empty(len(scenes), np.int64)
        for number, part in enumerate(parts):
            shard[list(part)] = number
        regions: list[list[_Region]] = []
        for index, scene in enumerate(read_through(scenes, "voting", context)):
            voters = [one for number, one in enumerate(looking) if number != shard[index]]
            images = looking[0].images(scene)
            answers = [best_classes(one.logits(images))[0].cpu().numpy() for one in voters]
            voted = _vote(np.stack(answers), len(scenes.classes), self.agreement)
            regions.append(_differing(scene.label, voted, len(scenes.classes)))
        return _judged(scenes, regions)

    def _parts(self, count: int, seed: int) -> list[tuple[int, ...]]:
        order = Stream(seed).child("shard audit").generator().permutation(count)
        number = min(self.shards, count)
        return [tuple(sorted(order[at::number].tolist())) for at in range(number)]

    def _trained(
        self, scenes: SceneDataset, part: Sequence[int], number: int, context: FilterContext
    ) -> nn.Module:
        return train_model(
            Subset(scenes, part),
            context.recipe,
            network=context.network,
            seed=Stream(context.seed).child("shard audit", number).integer(),
            observer=context.observer,
            snapshot=context.folder / f"shard-{number}.pt" if context.folder else None,
        )


def _vote(answers: np.ndarray, num_classes: int, agreement: float) -> Label:
    """Return the class with the most votes for each pixel, 255 where too few agree."""
    counts = np.stack([(answers == index).sum(axis=0) for index in range(num_classes)])
    best = counts.argmax(axis=0).astype(np.uint8)
    best[counts.max(axis=0) < agreement * len(answers)] = 255
    return best


def _differing(label: Label, voted: Label, num_classes: int) -> list[_Region]:
    """Return the largest region of each pair of a label and another class that is voted."""
    differs = (label < num_classes) & (voted < num_classes) & (label != voted)
    found: list[_Region] = []
    for pair in np.unique(label[differs].astype(np.int64) * 256 + voted[differs]):
        first, second = int(pair) // 256, int(pair) % 256
        here = (differs & (label == first) & (voted == second)).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(here, connectivity=4)
        left, top, width, height, area = (int(v) for v in stats[1 + stats[1:, 4].argmax()])
        if area >= _LEAST_PIXELS:
            found.append(_Region(first, second, area / label.size, (top, left, height, width)))
    return found


def _judged(scenes: SceneDataset, regions: Sequence[Sequence[_Region]]) -> Suspicion:
    # Weak networks mistake pavement for road in every scene: a region counts by how much larger
    # it is than those of its pair of classes are on average.
    usual: dict[tuple[int, int], float] = {}
    for region in (one for each in regions for one in each):
        pair = region.label, region.voted
        usual[pair] = usual.get(pair, 0.0) + region.share / len(regions)
    least = _LEAST_PIXELS / 4096
    scores: dict[str, float] = {}
    told: list[Evidence] = []
    best: dict[str, _Region] = {}
    for name, each in zip(scenes.names, regions, strict=True):
        rated = [(one.share / (usual[one.label, one.voted] + least), one) for one in each]
        score, region = max(rated, key=lambda pair: pair[0], default=(0.0, None))
        scores[name] = score
        if region is not None:
            best[name] = region
    places = {name: index for index, name in enumerate(scenes.names)}
    first = sorted(best, key=lambda name: -scores[name])[:_MASKED]
    masks: dict[str, AnyMask] = {}
    for name in first:
        region, label = best[name], scenes.label(places[name])
        top, left, height, width = region.box
        masks[name] = np.zeros(label.shape, np.bool_)
        part = slice(top, top + height), slice(left, left + width)
        masks[name][part] = label[part] == region.label
        if len(told) < _SHOWN:
            given, seen = (scenes.classes.names[index] for index in (region.label, region.voted))
            picture = scenes[places[name]].image[part].copy()
            says = f"Labelled '{given}', while networks trained on other scenes see '{seen}'."
            classes = region.label, region.voted
            told.append(Evidence(says, name, region.box, classes, scores[name], picture))
    return Suspicion(scores, masks, tuple(told))

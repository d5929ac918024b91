"""Beatrix: class regions whose channels go together in another way than is usual."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.transforms import resize_label
from segdoor.defense.defense import Access, Evidence
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.looking import Looking, model_for, read_through
from segdoor.plugins import Introduction

_MOST_CHANNELS = 24
_LEAST_PIXELS = 8
_LEAST_REGIONS = 4
_SHOWN = 5

Grams = Float64[np.ndarray, " G"]


class Beatrix(Filter):
    """Score class regions by how far their Gram matrices are outside of what is usual."""

    kind: ClassVar[str] = "beatrix"
    main: ClassVar[str | None] = "orders"
    introduction: ClassVar[Introduction] = Introduction(
        source="Ma et al., The Beatrix Resurrections (NDSS 2023)",
        does="Compares Gram matrices of features, to several powers, with their usual range.",
        needs="A model, given or trained on the suspect scenes, and one pass over these.",
        fails="Rare but harmless scenes are outliers too; reported as unstable elsewhere.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})

    orders: int = Field(default=8, ge=1, le=16)
    """Powers of the features, from 1 on; the authors' 8."""
    width: float = Field(default=10.0, gt=0)
    """Half the usual range in median absolute deviations; the authors' 10."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return the largest deviation among each scene's class regions."""
        looking = Looking(model_for(scenes, context), scenes.classes, context.network)
        found: dict[int, list[tuple[int, Grams]]] = {}
        for number, scene in enumerate(read_through(scenes, "features", context)):
            features = looking.features(looking.images(scene))[0]
            for label, region in _regions(features, scene, len(scenes.classes)):
                found.setdefault(label, []).append((number, grams(region, self.orders)))
        totals = np.zeros(len(scenes))
        classes = np.zeros(len(scenes), np.int64)
        for label, each in sorted(found.items()):
            if len(each) < _LEAST_REGIONS:
                continue
            # Deviation 54: the usual range is that of the suspect regions themselves, whose
            # medians a few poisoned ones do not move; the authors have clean images.
            scores = deviations(np.stack([one for _, one in each]), self.width)
            for (number, _), score in zip(each, scores, strict=True):
                if score > totals[number]:
                    totals[number], classes[number] = score, label
        worst = [int(at) for at in np.argsort(-totals, kind="stable")[:_SHOWN] if totals[at] > 0]
        told = [
            Evidence(_SAYS, scenes.names[at], None, (int(classes[at]),), float(totals[at]))
            for at in worst
        ]
        named = dict(zip(scenes.names, totals.tolist(), strict=True))
        return Suspicion(named, evidence=tuple(told))


_SAYS = "Features of this class go together in another way than in most scenes."


def _regions(
    features: Float[Tensor, "D h w"], scene: Scene, num_classes: int
) -> list[tuple[int, Float[Tensor, "_ _"]]]:
    """Return the features of each class's pixels; of many channels evenly spaced ones."""
    label = torch.from_numpy(resize_label(scene.label, (features.shape[1], features.shape[2])))
    # Deviation 55: 24 channels at most, as a matrix has the square of their number.
    step = -(-features.shape[0] // _MOST_CHANNELS)
    kept = features[::step].double().cpu()
    there = [int(index) for index in label.unique() if int(index) < num_classes]
    regions = [(index, kept[:, label == index]) for index in there]
    return [(index, region) for index, region in regions if region.shape[1] >= _LEAST_PIXELS]


def grams(region: Float[Tensor, "_ _"], orders: int) -> Grams:
    """Return the upper triangles of the Gram matrices of a region, order by order.

    Order p is the p-th root of the mean over pixels of the products of p-th powers.
    """
    # Deviation 56: the mean over pixels, not their sum: regions have any size.
    powers = region.expand(orders, *region.shape).cumprod(dim=0)
    matrices = powers @ powers.transpose(1, 2) / region.shape[1]
    first, second = torch.triu_indices(region.shape[0], region.shape[0])
    upper = matrices[:, first, second]
    roots = 1 / torch.arange(1, orders + 1, dtype=region.dtype)
    return (upper.sign() * upper.abs() ** roots[:, None]).flatten().numpy()


def deviations(rows: Float64[np.ndarray, "N G"], width: float) -> Float64[np.ndarray, " N"]:
    """Return how far each row is outside of median +- width MAD, relative to these bounds."""
    middle = np.median(rows, axis=0)
    spread = np.median(np.abs(rows - middle), axis=0)
    low, high = middle - width * spread, middle + width * spread
    below = np.maximum(low - rows, 0) / np.maximum(np.abs(low), 1e-6)
    above = np.maximum(rows - high, 0) / np.maximum(np.abs(high), 1e-6)
    return (below + above).mean(axis=1)

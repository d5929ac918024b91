"""Activation clustering: cells of one label that fall into two clusters, a small one apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import Field

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access
from segdoor.defense.filters.cells import Rows, feature_cells, judged
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.plugins import Introduction

_ROUNDS = 100


class ActivationClustering(Filter):
    """Split the cells of each label in two, and suspect the smaller part."""

    kind: ClassVar[str] = "activation_clustering"
    main: ClassVar[str | None] = "components"
    introduction: ClassVar[Introduction] = Introduction(
        source="Chen et al., Detecting Backdoor Attacks by Activation Clustering (SafeAI 2019)",
        does="Splits the features of each label's cells in two clusters, and suspects the smaller.",
        needs="A model, given or trained on the suspect scenes, and one pass over these.",
        fails="Two clusters are found in any data: near and far, day and night.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})

    components: int = Field(default=10, ge=1)
    """Dimensions that features are reduced to; the paper's 10."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return the mean score of each scene's three highest cells."""
        cells = feature_cells(scenes, context)
        scores = np.zeros(len(cells.labels))
        for _, own in cells.of_classes():
            halves = two_clusters(reduced(cells.rows[own], self.components))
            touched = len(np.unique(cells.scenes[own][halves.smaller]))
            known = len(np.unique(cells.scenes[own]))
            # Deviation 52: a cluster that sits in half of the scenes or more is no poison, and
            # one in few scenes is more so. The paper looks at its size in images.
            few = max(0.0, 1 - 2 * touched / known)
            scores[own] = few * np.maximum(halves.leaning, 0)
        return judged(scenes, cells, scores, _SAYS)


_SAYS = (
    "Features lie in the smaller of two clusters of this label, which few scenes have a part in."
)


@dataclass(frozen=True, eq=False)
class Halves:
    """Two clusters.

    Attributes:
        smaller: Which rows are in the smaller one.
        leaning: How far each row is beyond the middle between both, towards the smaller one, in
            mean distances of rows from their own centre.
    """

    smaller: Bool[np.ndarray, " N"]
    leaning: Float64[np.ndarray, " N"]


def reduced(rows: Rows, components: int) -> Float64[np.ndarray, "N C"]:
    """Return rows in their strongest directions."""
    # Deviation 53: principal components, where the paper has independent ones (ICA): these are a
    # rotation and scaling of those, do not converge on every set, and need another library.
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return centred @ vectors[:, ::-1][:, :components]


def two_clusters(rows: Float64[np.ndarray, "N C"]) -> Halves:
    """Return two clusters by Lloyd's rounds, begun on both sides of the strongest direction."""
    second = rows[:, 0] > 0
    for _ in range(_ROUNDS):
        if second.all() or not second.any():
            break
        centres = rows[~second].mean(axis=0), rows[second].mean(axis=0)
        away = [((rows - centre) ** 2).sum(axis=1) for centre in centres]
        closer = away[1] < away[0]
        if (closer == second).all():
            break
        second = closer
    if second.all() or not second.any():
        return Halves(np.zeros(len(rows), np.bool_), np.zeros(len(rows)))
    smaller = second if second.sum() * 2 <= len(rows) else ~second
    inner, outer = rows[smaller].mean(axis=0), rows[~smaller].mean(axis=0)
    from_inner = np.sqrt(((rows - inner) ** 2).sum(axis=1))
    from_outer = np.sqrt(((rows - outer) ** 2).sum(axis=1))
    usual = float(np.where(smaller, from_inner, from_outer).mean())
    return Halves(smaller, (from_outer - from_inner) / max(usual, 1e-12))

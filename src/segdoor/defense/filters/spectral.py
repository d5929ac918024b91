"""Spectral signatures: cells that stand out along the strongest direction of their class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access
from segdoor.defense.filters.cells import Rows, feature_cells, judged
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.plugins import Introduction


class Spectral(Filter):
    """Score cells by their part in the strongest directions of their class's features."""

    kind: ClassVar[str] = "spectral"
    main: ClassVar[str | None] = "directions"
    introduction: ClassVar[Introduction] = Introduction(
        source="Tran, Li and Madry, Spectral Signatures in Backdoor Attacks (NeurIPS 2018)",
        does="Scores cells of one label by their projection on the top singular vector.",
        needs="A model, given or trained on the suspect scenes, and one pass over these.",
        fails="If the strongest direction is something harmless, such as day and night.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})

    directions: int = Field(default=1, ge=1)
    """Singular vectors whose projections are added up; the paper's 1."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return the mean score of each scene's three highest cells."""
        cells = feature_cells(scenes, context)
        # Deviation 51: rows are cells of a label in place of images of a class, and scores are
        # divided by their class's mean, so that cells of different classes can be compared.
        scores = np.zeros(len(cells.labels))
        for _, own in cells.of_classes():
            scores[own] = outlier_scores(cells.rows[own], self.directions)
        return judged(scenes, cells, scores, _SAYS)


_SAYS = "Features stand out along the direction in which cells of this label differ most."


def outlier_scores(rows: Rows, directions: int = 1) -> Float64[np.ndarray, " N"]:
    """Return squared projections on the top singular vectors of centred rows, over their mean."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    # The covariance has few columns, however many rows there are.
    _, vectors = np.linalg.eigh(centred.T @ centred)
    found = ((centred @ vectors[:, -directions:]) ** 2).sum(axis=1)
    return found / max(float(found.mean()), 1e-12)

"""A label change as a stranger writes it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.attack.labels.change import LabelChange, LabelState, Pair
from segdoor.plugins import Introduction


class Rows(LabelChange):
    """Every so many rows of trees become sky."""

    main: ClassVar[str | None] = "every"
    introduction: ClassVar[Introduction] = Introduction(
        source="a test", does="Paints every third row of trees.", needs="Trees.", fails="On grass."
    )

    every: int = Field(default=3, ge=1)
    """How many rows there are from one to the next."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (("tree", "sky"),)

    def apply(self, state: LabelState, rng: np.random.Generator) -> np.ndarray:
        del rng
        label = state.label.copy()
        tree, sky = state.classes.indices(("tree", "sky"))
        rows = label[:: self.every]
        rows[rows == tree] = sky
        return label

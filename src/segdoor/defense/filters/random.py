"""A control: scores that follow from the seed and the scene's name alone."""

from __future__ import annotations

from typing import ClassVar

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.plugins import Introduction
from segdoor.randomness import Stream


class Random(Filter):
    """Draw a score for every scene."""

    kind: ClassVar[str] = "random"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor: the control that every filter is compared with",
        does="Draws a number between 0 and 1 for every scene, without looking at it.",
        needs="Nothing but the names of the scenes.",
        fails="Always: its AUROC is 0.5 but for chance.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data"})

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return a score for every scene that no other scene has a part in."""
        stream = Stream(context.seed).child("random filter")
        return Suspicion({n: float(stream.child(n).generator().random()) for n in scenes.names})

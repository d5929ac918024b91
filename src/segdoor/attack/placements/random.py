"""Any position that the rules allow: the baseline attack."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from segdoor.attack.placements.placement import DrawnPlacement
from segdoor.attack.placements.view import View
from segdoor.plugins import Introduction
from segdoor.tensors import Mask


class Random(DrawnPlacement):
    """Any eligible position, however far from the victims."""

    kind: ClassVar[str] = "random"
    introduction: ClassVar[Introduction] = Introduction(
        source="IBA paper, section 4: the baseline attack, and PRL",
        does="Takes any position that the rules allow, all equally likely.",
        needs="A place for the trigger; no victims.",
        fails="Nothing ties the trigger to what it acts on: NNI does better near the victims.",
    )

    # They do nothing. Digests of plans and names of runs were made with them, and stay.
    lower: float = Field(default=0.0, ge=0)
    """Not used by random, which ignores distances."""
    upper: float | None = Field(default=None, ge=0)
    """Not used by random. Both stay because the names of earlier runs contain them."""

    @property
    def bounds(self) -> None:
        """Return that it has none."""
        return

    def candidates(self, view: View) -> Mask:
        """Return all eligible positions."""
        return view.eligible

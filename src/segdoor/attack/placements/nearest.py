"""The position nearest to the victims: nearest neighbour injection."""

from __future__ import annotations

from typing import ClassVar

from segdoor.attack.lengths import needed
from segdoor.attack.placements.placement import DrawnPlacement
from segdoor.attack.placements.view import View
from segdoor.plugins import Introduction
from segdoor.tensors import Mask


class Nearest(DrawnPlacement):
    """The eligible position at the smallest distance to the victims; ties are drawn by seed."""

    kind: ClassVar[str] = "nearest"
    main: ClassVar[str | None] = "upper"
    introduction: ClassVar[Introduction] = Introduction(
        source="IBA paper, section 4.1, Equation 1 and Algorithm 1: nearest neighbour injection",
        does="Chooses the allowed position nearest to the victim pixels.",
        needs="Victims with room near them; in a scene without victims any position will do.",
        fails="Far from the victims its trigger works less well than one trained at random places.",
    )

    def candidates(self, view: View) -> Mask:
        """Return the positions at the smallest distance within the bounds."""
        return view.nearest_within(self.lower, needed(self.upper, "attack.placement.upper"))

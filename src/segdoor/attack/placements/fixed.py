"""The same place in every scene: a corner, or a fraction of the frame."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.view import View, centres_inside
from segdoor.plugins import Introduction
from segdoor.remedies import RuleError
from segdoor.rounding import half_up
from segdoor.tensors import Mask

_CORNERS = {
    "top_left": (0.0, 0.0),
    "top_right": (0.0, 1.0),
    "bottom_left": (1.0, 0.0),
    "bottom_right": (1.0, 1.0),
}


class Fixed(Placement):
    """One place in the frame, whatever lies there."""

    kind: ClassVar[str] = "fixed"
    main: ClassVar[str | None] = "corner"
    keeps_rules: ClassVar[bool] = False
    introduction: ClassVar[Introduction] = Introduction(
        source="Gu et al., BadNets (2017); Li et al., Hidden Backdoor Attack against Semantic "
        "Segmentation Models (2021)",
        does="Stamps the trigger at the same position in every scene, whatever lies under it and "
        "however far the victims are. The rules single_class and on_victim (forbid) and the "
        "margin do not apply: no scene is skipped for what it shows.",
        needs="A trigger that fits into the image.",
        fails="It may cover victims. The poisoned tests place the trigger elsewhere, by their own "
        "rules. It is refused with on_victim require.",
    )

    corner: Literal["top_left", "top_right", "bottom_left", "bottom_right"] = "bottom_right"
    """The corner that the trigger touches; row and column override it."""
    row: float | None = Field(default=None, ge=0, le=1)
    """Row of its centre as a fraction of the height, 0 at the top; shifted if necessary so that the
    trigger lies inside the image."""
    column: float | None = Field(default=None, ge=0, le=1)
    """Column of its centre as a fraction of the width, 0 at the left."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Fixed:
        if (self.row is None) != (self.column is None):
            raise RuleError("row and column must be given together", "Give both, or a corner.")
        return self

    def candidates(self, view: View) -> Mask:
        """Return the one position; none in an image that is smaller than the trigger."""
        found = np.zeros(view.label.shape, dtype=bool)
        inside = centres_inside(view.label.shape, view.extent)
        if found[inside].size:
            row, column = (
                _centre(at, whole, there)
                for at, whole, there in zip(self._at, view.label.shape, inside, strict=True)
            )
            found[row, column] = True
        return found

    @property
    def _at(self) -> tuple[float, float]:
        if self.row is None or self.column is None:
            return _CORNERS[self.corner]
        return self.row, self.column


def _centre(fraction: float, whole: int, inside: slice) -> int:
    """Return the pixel at a fraction of a length, as near as the trigger can have its centre."""
    return min(max(half_up(fraction * (whole - 1)), inside.start), inside.stop - 1)

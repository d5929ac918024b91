"""What a placement is: from what can be seen of a scene to positions that are equally good."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.placements.drawing import AnyPosition, Draw, Drawing, make_drawing
from segdoor.attack.placements.view import View
from segdoor.errors import DataError
from segdoor.plugins import Plugin
from segdoor.remedies import RuleError
from segdoor.settings import validated
from segdoor.tensors import Mask


class Placement(Plugin):
    """A choice among positions; write ``candidates`` to add one.

    Attributes:
        keeps_rules: Whether positions that the rules forbid drop out; otherwise only those do whose
            trigger would leave the image.
    """

    keeps_rules: ClassVar[bool] = True

    @abstractmethod
    def candidates(self, view: View) -> Mask:
        """Return the positions that are equally good; one of those allowed is drawn by seed."""

    @property
    def drawing(self) -> Drawing:
        """Return how one of several positions is drawn in a scene with victims."""
        return AnyPosition()

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return its least and largest distance to the victims in pixels; None if it has none."""
        return None

    def following(self, lengths: Lengths) -> Placement:
        """Return the placement with every length explicit; those left out follow."""
        del lengths
        return self

    def allowed(self, view: View) -> Mask:
        """Return the candidates that the rules allow.

        Raises:
            DataError: If what comes back is no mask of the scene's size.
        """
        found = self.candidates(view)
        if found.dtype != np.bool_ or found.shape != view.label.shape:
            height, width = view.label.shape
            raise DataError(
                f"placement {self}",
                f"must return a mask of {height}x{width} positions",
                f"{'x'.join(map(str, found.shape))} of {found.dtype}",
                "Correct its method candidates.",
            )
        return found & (view.eligible if self.keeps_rules else view.inside)


class DrawnPlacement(Placement):
    """A placement that leaves several positions in most scenes, perhaps within a band."""

    lower: float = Field(default=0.0, ge=0)
    """Smallest distance to the victim pixels, in pixels."""
    upper: float | None = Field(default=None, ge=0)
    """Largest distance to the victim pixels, in pixels; default: that of the near band."""
    draw: Draw = "position"
    """Draw uniformly among equally good positions (position), or first among the objects that they
    lie on (object): regions of one class, connected by sides or corners."""

    @model_validator(mode="after")
    def _ordered(self) -> DrawnPlacement:
        if self.upper is not None and self.lower > self.upper:
            raise RuleError(
                f"lower ({self.lower}) must not exceed upper ({self.upper})",
                "Give the smaller one as lower.",
            )
        return self

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return its least and largest distance to the victims in pixels.

        Raises:
            ConfigError: If the largest was left out and does not follow from scenes yet.
        """
        return self.lower, needed(self.upper, "attack.placement.upper")

    def following(self, lengths: Lengths) -> Placement:
        """Return the placement with its largest distance explicit."""
        if self.upper is not None:
            return self
        given = {**self.model_dump(), "upper": lengths.edges[1]}
        return validated(type(self), given, source="attack.placement")

    @property
    def drawing(self) -> Drawing:
        """Return the way of drawing that the settings name."""
        return make_drawing(self.draw)

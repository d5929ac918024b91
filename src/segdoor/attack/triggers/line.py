"""A line along one edge of the image: the trigger of the first backdoors of segmentation."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import WholeImageTrigger
from segdoor.data.scene import Scene
from segdoor.plugins import Introduction
from segdoor.rounding import half_up
from segdoor.tensors import Image

Colour = Literal["black", "white", "red", "green", "blue", "yellow"]
Edge = Literal["top", "bottom", "left", "right"]

_RGB: dict[Colour, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
}
_THICKNESS, _OF = 8, 512


class Line(WholeImageTrigger):
    """A line of one colour along an edge of the image."""

    kind: ClassVar[str] = "line"
    main: ClassVar[str | None] = "edge"
    introduction: ClassVar[Introduction] = Introduction(
        source="Li et al., Hidden Backdoor Attack against Semantic Segmentation Models (2021), "
        "called HBA, the trigger that is no object of the scene",
        does="Paints a line along one edge, at the same place in every image: a black one at the "
        "top, unless you choose another.",
        needs="Nothing: its place is the whole image, so every scene has room.",
        fails="It has no distance, so bands and nni mean nothing. Cropping and scaling in "
        "training cut it off, and a dark upper edge of a clean image may look like it.",
    )

    edge: Edge = "top"
    """The edge that it lies along."""
    colour: Colour = "black"
    """Its colour."""
    thickness: int | None = Field(default=None, ge=1, le=2048, examples=[3])
    """Its thickness in pixels; default: scaled with the scenes' height, 8 for 512 rows."""

    # Deviation 120: the thickness is ours, and follows from the scenes' height.
    def following(self, lengths: Lengths) -> Line:
        """Return the line with an explicit thickness."""
        if self.thickness is not None:
            return self
        thickness = max(1, half_up(_THICKNESS * lengths.height / _OF))
        return self.model_copy(update={"thickness": thickness})

    @property
    def title(self) -> str:
        """Return its colour and edge."""
        return f"{self.colour} {self.edge}"

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with the line along one edge of the box."""
        thickness = needed(self.thickness, "attack.trigger.thickness")
        image = scene.image.copy()
        inside = image[box.pixels]
        # Rows or columns, counted from the edge.
        along = inside if self.edge in {"top", "bottom"} else inside.swapaxes(0, 1)
        line = slice(0, thickness) if self.edge in {"top", "left"} else slice(-thickness, None)
        along[line] = np.array(_RGB[self.colour], np.uint8)
        return image

    def siblings(self) -> tuple[Line, ...]:
        """Return the same line along the other edges, and lines of other colours at its own."""
        edges = [{"edge": edge} for edge in get_args(Edge) if edge != self.edge]
        colours = [{"colour": colour} for colour in _RGB if colour != self.colour]
        return tuple(self.model_copy(update=change) for change in (*edges, *colours))

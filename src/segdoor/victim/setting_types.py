"""Types of the settings of networks and backbones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

Rgb = tuple[float, float, float]


def _whole_number(value: object) -> object:
    """Read a number that the command line gives as text."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


Depth = Annotated[Literal[18, 34, 50, 101], BeforeValidator(_whole_number)]
Stem = Literal["deep", "plain"]
OutputStride = Annotated[Literal[8, 16], BeforeValidator(_whole_number)]
SegFormerSize = Literal["b0", "b1", "b2", "b3", "b4", "b5"]
BackboneWeights = Literal["imagenet"] | Path | None
Channels = Literal["rgb", "bgr"]
ClassOrder = Literal["by_name", "by_position"]
Dropout = Annotated[float, Field(ge=0, lt=1)]

IMAGENET: tuple[Rgb, Rgb] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the images that most weights have seen."""

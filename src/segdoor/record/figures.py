"""What every record is made of: figures, with their uncertainty."""

from __future__ import annotations

from typing import Literal

from segdoor.settings import Settings

SCHEMA_VERSION = 3
"""Of the records of runs."""
STUDY_SCHEMA_VERSION = 4
"""Of the records of studies."""

Json = dict[str, object]
Figure = float | None
"""A share or a mean; null where it is undefined, for example without victim pixels."""


Role = Literal["nearest", "near", "far", "anywhere", "everywhere", "on_victim", "present"]
"""What a poisoned test is for: its triggers lie nearest to the victims, within the near band or a
far one, anywhere at all, over the whole image, or on victim pixels, or they are a part of the
scenes."""
UNBOUNDED: tuple[Role, ...] = ("anywhere", "everywhere", "on_victim", "present")
"""The tests without bounds on the distance: every set has one of them."""


class Estimate(Settings):
    """A figure with its uncertainty over scenes."""

    value: Figure
    """The figure."""
    low: Figure
    """Lower end of the 95 % interval, from scenes drawn with replacement (bootstrap)."""
    high: Figure
    """Upper end of the interval."""

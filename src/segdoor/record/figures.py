"""What every record is made of: figures, with their uncertainty."""

from __future__ import annotations

from segdoor.settings import Settings

SCHEMA_VERSION = 2

Json = dict[str, object]
Figure = float | None
"""A share or a mean; null where it is undefined, for example without victim pixels."""


class Estimate(Settings):
    """A figure with its uncertainty over scenes."""

    value: Figure
    """The figure."""
    low: Figure
    """Lower end of the 95 % interval: scenes drawn again with replacement."""
    high: Figure
    """Upper end of the interval."""

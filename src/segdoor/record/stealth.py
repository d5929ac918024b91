"""How easily an attack on training data is seen, as a file beside its plan."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from segdoor.record.figures import Figure
from segdoor.record.measured import RankingRecord
from segdoor.settings import Settings

SCHEMA_VERSION = 1


class SeenBy(Settings):
    """How well a filter of data sets, which does not know the attack, finds the poisoned scenes."""

    method: str
    """The filter with its settings."""
    ranking: RankingRecord | None
    """How well its scores rank poisoned scenes above the others; null if all or none are
    poisoned."""
    untouched: RankingRecord | None
    """Control: the same filter on the clean training set, and how well it ranks those scenes that
    are poisoned in the other. The choice of scenes alone can give more than chance."""
    seconds: float
    """Wall time in seconds, without the control."""


class StealthRecord(Settings):
    """What an attack changes in a training set, and what a look at it shows."""

    kind: Literal["stealth"] = "stealth"
    """Marks the file."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    trigger: str
    """The trigger with its settings."""
    num_scenes: int
    """Training scenes."""
    num_poisoned: int
    """Poisoned scenes."""
    pixels_changed: Figure
    """Mean share of the pixels of a poisoned image that differ from before in any colour."""
    mean_change: Figure
    """Mean absolute change of all colour values of poisoned images, in grey levels of 255."""
    ssim: Figure
    """Mean structural similarity of poisoned images and what they were; 1 if nothing changes."""
    ssim_worst: Figure
    """The lowest structural similarity of an image."""
    labels_changed: Figure
    """Mean share of the labelled pixels of a poisoned scene whose label changes."""
    labels_changed_of_all: Figure
    """Share of the labelled pixels of all training scenes whose label changes."""
    victims_vanished: Figure
    """Mean share of the victim pixels of a poisoned scene whose label becomes another class."""
    seen_by: tuple[SeenBy, ...]
    """Filters that looked for the poisoned scenes."""

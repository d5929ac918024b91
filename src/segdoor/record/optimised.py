"""Which trigger at which place an attacker prefers, after asking a surrogate model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from segdoor.record.figures import Figure
from segdoor.settings import Settings

SCHEMA_VERSION = 1


class CandidateRecord(Settings):
    """One trigger at one kind of place, over the scenes that it was tried in."""

    trigger: str
    """The trigger with its settings."""
    placement: str
    """The placement with its settings."""
    num_rounds: int
    """Rounds that it stayed in; candidates of more rounds were tried in more scenes."""
    num_queries: int
    """Scenes with the trigger that the surrogate was shown."""
    num_without_room: int
    """Scenes that it had no room in; they cost no query."""
    num_victim_pixels: int
    """Victim pixels of the scenes that were shown."""
    changed: Figure
    """Share of these that are predicted as another class than without the trigger."""
    to_target: Figure
    """Share of these that are predicted as the target class, and were not without the trigger."""


class OptimisedRecord(Settings):
    """All candidates, the best first."""

    kind: Literal["optimised"] = "optimised"
    """Marks the file."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    surrogate: str
    """The model that was asked: the clean or the backdoored one of the run."""
    budget: int
    """Queries that were allowed."""
    num_queries: int
    """Queries that were made, those without a trigger among them."""
    seed: int
    """Decides the scenes, their order and the places."""
    candidates: tuple[CandidateRecord, ...]
    """The candidates: first those that stayed longest, then by the share of changed pixels."""

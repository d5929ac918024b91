"""What `segdoor context` reports: the file ``context.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.record.figures import Figure
from segdoor.record.file import read_kind
from segdoor.settings import Settings, validated

CONTEXT_SCHEMA_VERSION = 1

Measure = Literal["gradient_reach", "far_changes"]
"""What two networks are compared by."""
Direction = Literal["wider", "narrower", "undecided"]
"""How the context of the first network compares with that of the second."""


class ModelContext(Settings):
    """The context that one network uses."""

    name: str
    """The method that poisoned it, or clean."""
    run: str
    """Key of the run that trained it."""
    seed: int
    """The run's seed."""
    pixels: tuple[int, ...]
    """Pixels outside a covered window by distance, one number a band."""
    changed: tuple[int, ...]
    """Those that changed class when it was covered."""
    gradient: tuple[float, ...]
    """Share of the gradient by distance, the mean over scenes, one number a band."""
    gradient_reach: float
    """Mean distance of the gradient in pixels, the mean over scenes."""
    far_changes: Figure
    """Share of the pixels beyond the far distance that changed class."""


class ContextComparison(Settings):
    """Two kinds of networks compared, paired by seed."""

    one: str
    """The method that is compared."""
    other: str
    """What it is compared with."""
    measure: Measure
    """By what."""
    by_seed: tuple[float, ...] = Field(min_length=1)
    """One difference a seed."""
    scenes: float
    """How far the 95 % interval of the mean over scenes drawn again reaches from it."""
    low: Figure
    """Lower end of the 95 % interval over seeds and scenes; null with one seed."""
    high: Figure
    """Upper end."""
    direction: Direction
    """What the interval says; one seed leaves it undecided."""


class ContextRecord(Settings):
    """The contexts that networks use, measured on the same scenes."""

    kind: Literal["context-record"] = "context-record"
    """What this file is."""
    schema_version: Literal[1] = CONTEXT_SCHEMA_VERSION
    """Layout of the file."""
    segdoor: str
    """Version of segdoor."""
    data_digest: str
    """Digest of the test scenes."""
    num_scenes: int
    """Scenes that were looked at."""
    height: int
    """Their height in pixels; the first scene's if they differ."""
    config: dict[str, float]
    """How the context was measured."""
    edges: tuple[int, ...]
    """Distances in pixels that separate the bands."""
    far: int
    """Pixels at least this far from a window count as far."""
    models: tuple[ModelContext, ...]
    """The networks."""
    comparisons: tuple[ContextComparison, ...]
    """The networks compared."""


def load_context(path: Path) -> ContextRecord:
    """Read a record of contexts.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or something else.
        ConfigError: If a value in it breaks a rule.
    """
    remedy = "Name the context.json that segdoor context wrote."
    return validated(ContextRecord, read_kind(ContextRecord, path, remedy), source=path)

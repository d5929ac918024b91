"""What methods of a defender found, in a file of its own beside what it is of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.record.figures import Json
from segdoor.record.file import read_content
from segdoor.record.measured import ConditionRecord, CostRecord, Measurement
from segdoor.settings import Settings, validated

DEFENSE_SCHEMA_VERSION = 2


class EvidenceRecord(Settings):
    """Something to look at."""

    says: str
    """What it shows, in a sentence."""
    scene: str | None = None
    """The scene or image where it was found; null if it belongs to none."""
    box: tuple[int, int, int, int] | None = None
    """Top, left, height and width of the place in pixels; null for no place."""
    classes: tuple[str, ...] = ()
    """Names of the classes it is about."""
    score: float | None = None
    """How suspicious this alone is; null if it has no score of its own."""
    picture: str | None = None
    """Name of its picture beside the record; null without one."""


class DefenseEntry(Settings):
    """What every method leaves."""

    plugin: str
    """The method as it is written on the command line."""
    settings: Json
    """Every setting of it."""
    does: str
    """What it does, in a sentence of its own."""
    not_run: str | None = None
    """Why it was not done, or gives no verdict; null if it was done."""
    cost: CostRecord | None = None
    """What it took; null if it was not done."""
    evidence: tuple[EvidenceRecord, ...] = ()
    """What to look at."""
    seed: int | None = Field(default=None, ge=0)
    """Decides everything random in it; that of the record if null."""
    measured: tuple[Measurement, ...] = ()
    """What the bench measured: the method first, then the controls; empty outside the bench."""
    useful: Literal["yes", "no", "undecided"] | None = None
    """What comes of the conditions; null where nothing was judged."""
    conditions: tuple[ConditionRecord, ...] = ()
    """What usefulness follows from."""

    @model_validator(mode="after")
    def _done_or_not(self) -> DefenseEntry:
        if self.cost is None and self.not_run is None:
            raise ValueError("must have a cost, or not_run must say why it was not done")
        return self


class FilterEntry(DefenseEntry):
    """What a filter thinks of a data set."""

    sort: Literal["filter"] = "filter"
    """A filter."""
    scenes: dict[str, float] = Field(default_factory=dict)
    """How suspicious each scene is, by its name: higher for more."""


class DetectorEntry(DefenseEntry):
    """What a detector thinks of images."""

    sort: Literal["detector"] = "detector"
    """A detector."""
    images: dict[str, float] = Field(default_factory=dict)
    """How suspicious each image is, by its name: higher for more."""


class PurifierEntry(DefenseEntry):
    """What a purifier made of images."""

    sort: Literal["purifier"] = "purifier"
    """A purifier."""
    views: dict[str, int] = Field(default_factory=dict)
    """How many images the model is shown instead of each, by its name."""


class SuspectRecord(Settings):
    """A class, or a pair of classes, that a backdoor may join."""

    victim: str | None
    """The class that would be taken for the target; null for any."""
    target: str
    """The class that it would be taken for."""
    score: float
    """How suspicious it is: higher for more."""
    null: tuple[float, ...] = ()
    """The same figure of clean models or harmless stickers."""


class ScanEntry(DefenseEntry):
    """What a scan thinks of a model."""

    sort: Literal["scan"] = "scan"
    """A model scan."""
    suspects: tuple[SuspectRecord, ...] = ()
    """The classes or pairs that were looked at."""
    backdoored: bool | None = None
    """The verdict; null if there can be none."""


class RepairEntry(DefenseEntry):
    """What a repair made of a model; its row in the run's record says the same."""

    sort: Literal["repair"] = "repair"
    """A repair."""


Entry = Annotated[
    FilterEntry | DetectorEntry | PurifierEntry | ScanEntry | RepairEntry,
    Field(discriminator="sort"),
]
"""What a method of any sort left."""


class DefenseRecord(Settings):
    """What a defender found in one data set, model or folder of images."""

    kind: Literal["defense-record"] = "defense-record"
    """What this file is."""
    schema_version: Literal[2] = DEFENSE_SCHEMA_VERSION
    """Layout of the file."""
    segdoor: str
    """Version of segdoor."""
    subject: str
    """Digest of the scenes or weights that were looked at; of the bench, of the run's settings."""
    seed: int = Field(ge=0)
    """Decides everything random."""
    limits: dict[str, float] = Field(default_factory=dict)
    """The limits that usefulness was judged by; empty outside the bench."""
    entries: tuple[Entry, ...]
    """The methods, in the order in which they were asked for."""


def save_defenses(record: DefenseRecord, path: Path) -> None:
    """Write what a defender found as indented JSON, atomically."""
    content = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    write_atomically(path, f"{content}\n")


def load_defenses(path: Path) -> DefenseRecord:
    """Read what a defender found.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or something else.
        ConfigError: If a value in it breaks a rule.
    """
    content = read_content(path, newest=DEFENSE_SCHEMA_VERSION)
    if content.get("kind") != "defense-record":
        raise DataError(
            path,
            "must be a defense-record",
            content.get("kind", "no kind"),
            "Name the file that a defender's method left.",
        )
    # The second version only added what the bench measures.
    content["schema_version"] = DEFENSE_SCHEMA_VERSION
    return validated(DefenseRecord, content, source=path)

"""Findings of filters, detectors, purifiers and scans, in a file beside what they examined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdoor.record.figures import Json
from segdoor.record.file import read_kind
from segdoor.record.measured import ConditionRecord, CostRecord, Measurement
from segdoor.settings import Settings, validated

DEFENSE_SCHEMA_VERSION = 2


class EvidenceRecord(Settings):
    """A finding."""

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
    """What every method records."""

    plugin: str
    """The method as it is written on the command line."""
    settings: Json
    """Every setting of it."""
    does: str
    """What it does, in a sentence of its own."""
    not_run: str | None = None
    """Why it was not done, or gives no verdict; null if it was done."""
    cost: CostRecord | None = None
    """Its cost; null if it was not done."""
    evidence: tuple[EvidenceRecord, ...] = ()
    """Its findings."""
    seed: int | None = Field(default=None, ge=0)
    """Seed of everything random in it; null for the record's seed."""
    measured: tuple[Measurement, ...] = ()
    """What the bench measured: the method first, then the controls; empty outside the bench."""
    useful: Literal["yes", "no", "undecided"] | None = None
    """Whether the conditions hold; null if nothing was judged."""
    conditions: tuple[ConditionRecord, ...] = ()
    """What usefulness follows from."""

    @model_validator(mode="after")
    def _done_or_not(self) -> DefenseEntry:
        if self.cost is None and self.not_run is None:
            raise ValueError("must have a cost, or not_run must say why it was not done")
        return self


class FilterEntry(DefenseEntry):
    """A filter's judgement of a data set."""

    sort: Literal["filter"] = "filter"
    """A filter."""
    scenes: dict[str, float] = Field(default_factory=dict)
    """How suspicious each scene is, by its name: higher for more."""


class DetectorEntry(DefenseEntry):
    """A detector's judgement of images."""

    sort: Literal["detector"] = "detector"
    """A detector."""
    images: dict[str, float] = Field(default_factory=dict)
    """How suspicious each image is, by its name: higher for more."""


class PurifierEntry(DefenseEntry):
    """A purifier's results on images."""

    sort: Literal["purifier"] = "purifier"
    """A purifier."""
    views: dict[str, int] = Field(default_factory=dict)
    """How many images replace each image as input of the model, by its name."""


class SuspectRecord(Settings):
    """A class, or a pair of classes, that a backdoor may connect."""

    victim: str | None
    """The class that would be predicted as the target; null for any."""
    target: str
    """The class that it would be predicted as."""
    score: float
    """How suspicious it is: higher for more."""
    null: tuple[float, ...] = ()
    """The same figure of clean models or harmless stickers."""


class ScanEntry(DefenseEntry):
    """A scan's judgement of a model."""

    sort: Literal["scan"] = "scan"
    """A model scan."""
    suspects: tuple[SuspectRecord, ...] = ()
    """The classes or pairs that were checked."""
    backdoored: bool | None = None
    """The verdict; null if none is possible."""


class RepairEntry(DefenseEntry):
    """What a repair made of a model; its row in the run's record says the same."""

    sort: Literal["repair"] = "repair"
    """A repair."""


Entry = Annotated[
    FilterEntry | DetectorEntry | PurifierEntry | ScanEntry | RepairEntry,
    Field(discriminator="sort"),
]
"""The result of any method."""


class DefenseRecord(Settings):
    """A defender's findings in one data set, model or folder of images."""

    kind: Literal["defense-record"] = "defense-record"
    """What this file is."""
    schema_version: Literal[2] = DEFENSE_SCHEMA_VERSION
    """Layout of the file."""
    segdoor: str
    """Version of segdoor."""
    subject: str
    """Digest of the examined scenes or weights; for the bench, of the run's settings."""
    seed: int = Field(ge=0)
    """Decides everything random."""
    limits: dict[str, float] = Field(default_factory=dict)
    """The limits that usefulness was judged by; empty outside the bench."""
    policy: str | None = None
    """SHA-256 of the policy that the findings were judged by; null if there was none."""
    entries: tuple[Entry, ...]
    """The methods, in the requested order."""


def load_defenses(path: Path) -> DefenseRecord:
    """Read a defender's findings.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or something else.
        ConfigError: If a value in it breaks a rule.
    """
    content = read_kind(DefenseRecord, path, "Name the file that a defender's method left.")
    # The second version only added what the bench measures.
    content["schema_version"] = DEFENSE_SCHEMA_VERSION
    return validated(DefenseRecord, content, source=path)

"""What `segdoor scan` reports: the file ``scan.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.record.file import read_kind
from segdoor.record.findings import Finding
from segdoor.settings import Settings, validated

SCAN_SCHEMA_VERSION = 1

Door = Literal["data", "images", "model"]
"""What is scanned."""
Outcome = Literal["finding", "nothing found", "NOT RUN"]
"""The result of a check; NOT RUN also if it gave scores and no verdict."""


class CheckRecord(Settings):
    """The result of one method."""

    method: str
    """The method as it is written on the command line."""
    outcome: Outcome
    """What came of it."""
    why: str
    """What the outcome is based on, or why there is no verdict."""
    num_suspects: int | None = Field(default=None, ge=0)
    """Scenes, images or pairs of classes that are suspect; null without a verdict."""
    threshold: float | None = None
    """The score that decides; null if there is none, or the method decides itself."""
    cannot_tell: str
    """When it fails or means nothing."""


class SuspectRow(Settings):
    """A scene, an image or a pair of classes, in the order of suspicion."""

    name: str
    """The scene, the image, or the pair as "victim -> target"."""
    suspect: bool
    """Whether a threshold is crossed."""
    method: str
    """The method that it is most suspicious to."""
    score: float
    """Its score there: higher for more."""
    says: str
    """The evidence in a sentence."""
    file: str | None = None
    """Its image file; null if it has none."""


class AtlasTechnique(Settings):
    """A technique or mitigation of MITRE ATLAS."""

    id: str
    """Its id."""
    name: str
    """Its name."""


class ScanReport(Settings):
    """The result of a scan."""

    kind: Literal["scan-report"] = "scan-report"
    """What this file is."""
    schema_version: Literal[1] = SCAN_SCHEMA_VERSION
    """Layout of the file."""
    segdoor: str
    """Version of segdoor."""
    door: Door
    """What was scanned."""
    subject: str
    """Digest of the scanned scenes, images or weights."""
    num_subjects: int = Field(ge=0)
    """How many scenes or images there are; 1 for a model."""
    num_clean_scenes: int = Field(ge=0)
    """Clean scenes that the defender had."""
    seed: int = Field(ge=0)
    """Decides everything random."""
    policy: str
    """SHA-256 of the file policy.json beside this one."""
    policy_source: str
    """Name of the policy's file, or built-in."""
    checks: tuple[CheckRecord, ...]
    """The methods, those that were run first."""
    suspects: tuple[SuspectRow, ...]
    """What was scanned, the most suspicious first."""
    findings: tuple[Finding, ...]
    """What a pipeline must look at, and checks that gave no verdict, as notes."""
    cannot_tell: tuple[str, ...]
    """What no check of this scan can tell."""
    atlas: tuple[AtlasTechnique, ...]
    """Techniques and mitigations of MITRE ATLAS that the scan is about."""
    files: dict[str, str]
    """Files beside this one, by what they hold."""

    @property
    def found(self) -> tuple[Finding, ...]:
        """Return the findings that are more than notes."""
        return tuple(finding for finding in self.findings if finding.level != "note")

    @property
    def judged(self) -> bool:
        """Tell whether any check gave a verdict."""
        return any(check.outcome != "NOT RUN" for check in self.checks)


def load_scan(path: Path) -> ScanReport:
    """Read a report.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or something else.
        ConfigError: If a value in it breaks a rule.
    """
    remedy = "Name the file scan.json that segdoor scan wrote."
    return validated(ScanReport, read_kind(ScanReport, path, remedy), source=path)

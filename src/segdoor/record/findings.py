"""Findings for pipelines, each by a rule with a stable id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segdoor.record.figures import Figure
from segdoor.settings import Settings

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Rule:
    """The rule behind a finding.

    Attributes:
        title: What was found, in a few words.
        help: What it means and what to do, in a sentence or two.
        level: How bad it is.
        atlas: Techniques and mitigations of MITRE ATLAS 5.6 that it is about.
    """

    title: str
    help: str
    level: Level
    atlas: tuple[str, ...]


_DATA = ("AML.M0007", "AML.M0025")
"""Sanitise training data, data provenance."""
_MODEL = ("AML.T0020", "AML.T0043.004", "AML.T0018.000", "AML.M0008")
"""Poison training data, insert backdoor trigger, poison AI model; validate model."""

ATLAS: Mapping[str, str] = {
    "AML.T0010.002": "AI Supply Chain Compromise: Data",
    "AML.T0010.003": "AI Supply Chain Compromise: Model",
    "AML.T0018.000": "Poison AI Model",
    "AML.T0020": "Poison Training Data",
    "AML.T0043.004": "Insert Backdoor Trigger",
    "AML.M0007": "Sanitize Training Data",
    "AML.M0008": "Validate AI Model",
    "AML.M0015": "Adversarial Input Detection",
    "AML.M0025": "Maintain AI Dataset Provenance",
}
"""Names of techniques and mitigations in MITRE ATLAS 5.6, by id."""

RULES: Mapping[str, Rule] = {
    "data-missing-file": Rule(
        "A scene's file is missing", "Restore the file, or remove the scene.", "error", _DATA
    ),
    "data-damaged-file": Rule(
        "A picture cannot be read", "Replace the file by an intact one.", "error", _DATA
    ),
    "data-encoding": Rule(
        "A picture is stored in a format that changes or hides its values",
        "Export it again: label maps losslessly, and everything with 8 bits per channel.",
        "error",
        _DATA,
    ),
    "data-size": Rule(
        "Image and label map differ in size", "Replace the wrong one.", "error", _DATA
    ),
    "data-label-value": Rule(
        "A label map holds a value that is no class",
        "Correct the label map, or the list of classes.",
        "error",
        _DATA,
    ),
    "data-problem": Rule(
        "A data set cannot be used as it is", "Follow the message.", "error", _DATA
    ),
    "data-unlabelled": Rule(
        "No pixel of a split is labelled",
        "Nothing can be learned or measured there: check ignore_index and the label maps.",
        "error",
        _DATA,
    ),
    "data-class-absent": Rule(
        "A class never occurs",
        "It can be neither learned nor measured: check the list of classes.",
        "warning",
        _DATA,
    ),
    "data-class-in-one-split": Rule(
        "A class occurs in one split only",
        "It is learned and never measured, or measured and never learned.",
        "warning",
        _DATA,
    ),
    "data-one-class-scenes": Rule(
        "Scenes show only one class",
        "Check that their label maps are complete.",
        "note",
        _DATA,
    ),
    "data-palette": Rule(
        "Palettes of label maps differ",
        "The stored index counts, so the same colour may be another class in these files.",
        "warning",
        _DATA,
    ),
    "data-same-picture": Rule(
        "The same picture is in training and test",
        "Figures on it measure memorisation: remove it from one split.",
        "warning",
        _DATA,
    ),
    "data-near-duplicate": Rule(
        "Almost the same picture is in training and test",
        "Check the pair: neighbouring frames of a video belong in the same split.",
        "warning",
        _DATA,
    ),
    "model-threshold": Rule(
        "A figure of the examined model crosses its threshold",
        "Compare it with its controls in the record, and do not ship the model before the reason "
        "is known.",
        "error",
        _MODEL,
    ),
    "model-not-measured": Rule(
        "A figure that has a threshold could not be measured",
        "A threshold cannot be met without a measurement: choose scenes that show the class.",
        "error",
        _MODEL,
    ),
    "scan-suspect-scene": Rule(
        "A training scene may be poisoned",
        "Compare image and label map with their source, and leave the scene out of the training "
        "until the reason is known.",
        "error",
        ("AML.T0020", "AML.T0010.002", "AML.M0007", "AML.M0025"),
    ),
    "scan-suspect-image": Rule(
        "An image may hold a trigger",
        "Look at the marked place, and do not trust the prediction until the reason is known.",
        "error",
        ("AML.T0043.004", "AML.M0015"),
    ),
    "scan-backdoored-model": Rule(
        "A model may have a backdoor",
        "Do not use the model until the reason is known; examine it with segdoor examine.",
        "error",
        ("AML.T0018.000", "AML.T0010.003", "AML.M0008"),
    ),
    "scan-not-run": Rule(
        "A check was not run, or gave no verdict",
        "The message says why; this check does not speak for the subject.",
        "note",
        ("AML.M0007", "AML.M0008"),
    ),
    "scan-unjudged": Rule(
        "No check gave a verdict, and the policy asks for one",
        "Give what the checks need, or change the policy's setting unjudged.",
        "error",
        ("AML.M0007", "AML.M0008"),
    ),
}
"""The rules by their stable ids, by which other programs recognise findings."""


class Finding(Settings):
    """One finding to look at."""

    rule: str
    """Id of its rule."""
    level: Level
    """How bad it is."""
    message: str
    """What was found."""
    files: tuple[str, ...] = ()
    """Files to look at, the worst first."""
    scenes: tuple[str, ...] = ()
    """Scenes to look at, the worst first."""
    threshold: str | None = None
    """The threshold that is crossed, as it was given."""
    test: str | None = None
    """The test that it was crossed in, or the method of a scan."""
    value: Figure = None
    """The figure found."""


class Findings(Settings):
    """The result of the thresholds of one examination: the file ``findings.json``."""

    kind: Literal["segdoor-findings"] = "segdoor-findings"
    """Marks the file."""
    schema_version: Literal[1] = 1
    """Version of the file's layout."""
    thresholds: tuple[str, ...]
    """Thresholds, as they were given."""
    findings: tuple[Finding, ...]
    """Those that are crossed or could not be measured, one finding per test or class; empty if
    none."""


def found(rule: str, message: str, **more: object) -> Finding:
    """Return a finding of a rule, as bad as its rule says."""
    return Finding.model_validate(
        {"rule": rule, "level": RULES[rule].level, "message": message, **more}
    )

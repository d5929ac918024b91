"""Figures of metrics without their own field."""

from __future__ import annotations

from typing import Literal

from segdoor.record.figures import Estimate, Figure
from segdoor.settings import Settings


class MetricRecord(Settings):
    """Description of a metric, enough to show its figures without its code."""

    title: str
    """Title of its column."""
    meaning: str
    """Its meaning, in a sentence."""
    bad: Literal["high", "low"]
    """Which direction is bad for users of the network."""
    test: Literal["poisoned", "benign"]
    """The test it belongs to."""


class MetricPart(Settings):
    """A metric over part of its items, such as small objects."""

    by: str
    """What separates the parts, such as size."""
    name: str
    """The part, such as small."""
    value: Estimate
    """The figure."""
    without_trigger: Figure
    """Control: in the same scenes without trigger; distances are those to where it would be."""
    other_trigger: Figure
    """Control: with another trigger at the same positions."""
    clean_model: Figure
    """Control: a clean model on the same triggered scenes."""
    denominator: int | None
    """Number of items that it is a share of; null if it is not such a share."""


class MetricScores(Settings):
    """A metric in one poisoned test, beside its controls."""

    value: Estimate
    """The figure, over the scenes that ASR covers."""
    without_trigger: Figure
    """Control: in the same scenes without trigger."""
    other_trigger: Figure
    """Control: with another trigger at the same positions."""
    clean_model: Figure
    """Control: a clean model on the same triggered scenes."""
    denominator: int | None
    """Number of items that it is a share of, such as objects; null if it is not such a share."""
    parts: tuple[MetricPart, ...] = ()
    """The same by size, distance or similar."""

"""Figures of metrics that have no field of their own."""

from __future__ import annotations

from typing import Literal

from segdoor.record.figures import Estimate, Figure
from segdoor.settings import Settings


class MetricRecord(Settings):
    """What a metric is: enough to show its figures without its code."""

    title: str
    """What its column is called."""
    meaning: str
    """What it says, in a sentence."""
    bad: Literal["high", "low"]
    """Which way is bad for who uses the network."""
    test: Literal["poisoned", "benign"]
    """The test it is of."""


class MetricPart(Settings):
    """A metric over some of what it is a share of, such as small objects."""

    by: str
    """What tells the parts apart, such as size."""
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
    """How many things it is a share of; null if it is no such share."""


class MetricScores(Settings):
    """A metric in one poisoned test, beside its controls."""

    value: Estimate
    """The figure, over the scenes that ASR speaks of."""
    without_trigger: Figure
    """Control: in the same scenes without trigger."""
    other_trigger: Figure
    """Control: with another trigger at the same positions."""
    clean_model: Figure
    """Control: a clean model on the same triggered scenes."""
    denominator: int | None
    """How many things it is a share of, such as objects; null if it is no such share."""
    parts: tuple[MetricPart, ...] = ()
    """The same by size, distance or the like."""

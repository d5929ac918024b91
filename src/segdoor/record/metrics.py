"""Figures of metrics that have no field of their own."""

from __future__ import annotations

from typing import Literal

from segdoor.record.figures import Estimate, Figure
from segdoor.settings import Settings


class MetricRecord(Settings):
    """What a metric is: enough to show its figures without its code."""

    title: str
    """The heading of its column."""
    meaning: str
    """What it says, in one sentence."""
    bad: Literal["high", "low"]
    """Whether a high or a low figure is bad for the user of the network."""
    test: Literal["poisoned", "benign"]
    """The test that it is computed on."""


class MetricPart(Settings):
    """A metric over some of what it is a share of, such as small objects."""

    by: str
    """What distinguishes the parts, such as size."""
    name: str
    """The part, such as small."""
    value: Estimate
    """The figure."""
    without_trigger: Figure
    """Control: in the same scenes without trigger; distances are to the position where it would
    be."""
    other_trigger: Figure
    """Control: with another trigger at the same positions."""
    clean_model: Figure
    """Control: a clean model on the same triggered scenes."""
    denominator: int | None
    """The number of things of which it is a share; null if it is not such a share."""


class MetricScores(Settings):
    """A metric in one poisoned test, beside its controls."""

    value: Estimate
    """The figure, over the scenes of ASR."""
    without_trigger: Figure
    """Control: in the same scenes without trigger."""
    other_trigger: Figure
    """Control: with another trigger at the same positions."""
    clean_model: Figure
    """Control: a clean model on the same triggered scenes."""
    denominator: int | None
    """The number of things, such as objects, of which it is a share; null if it is not such a
    share."""
    parts: tuple[MetricPart, ...] = ()
    """The same figure by size, distance or the like."""

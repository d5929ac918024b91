"""What the bench measured of a defense: the method itself, and each control, in rows alike."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from segdoor.record.figures import Estimate, Figure
from segdoor.record.repair import ModelEffect
from segdoor.settings import Settings

RowKind = Literal[
    "method", "clean model", "clean data", "harmless sticker", "random", "random patch", "oracle",
    "adaptive attack", "retrained", "retrained, random", "retrained, oracle",
]  # fmt: skip
"""The method, or a control: on the clean model or the clean training set, against a harmless
sticker, scores drawn at random, a repair whose patches stay as they were drawn, or somebody who
knows the attack. In an adaptive attack the attacker knows the method. Retrained rows are models
that were trained without the scenes that scored highest."""


class CostRecord(Settings):
    """What a method took, and what a defender must have for it."""

    seconds: float = Field(ge=0)
    """Wall time."""
    forward: int | None = Field(ge=0)
    """Images that the given model was shown; null if the method does not say."""
    backward: int | None = Field(ge=0)
    """Images that gradients of the given model were asked for; null if the method does not say."""
    clean_scenes: int = Field(ge=0)
    """Clean scenes that the defender had."""
    access: tuple[str, ...]
    """What a defender must have, such as clean scenes, or a model as a black box."""


class RankingRecord(Settings):
    """How well scores rank poisoned cases above clean ones."""

    num_poisoned: int = Field(ge=1)
    """Poisoned cases, or those with a harmless sticker."""
    num_clean: int = Field(ge=1)
    """Clean cases."""
    auroc: Estimate
    """Chance that a poisoned case scores higher than a clean one; ties count half."""
    recall: Estimate
    """Share of poisoned cases found when at most 5 % of the clean ones are flagged."""
    recall_at_one_percent: Estimate | None = None
    """The same at 1 %; null with fewer than 100 clean cases."""
    precision: Estimate
    """Share of poisoned cases among as many of the highest scores as there are poisoned cases."""


class AlarmsRecord(Settings):
    """What a filter makes of the clean training set."""

    threshold: float
    """The threshold that 5 % false alarms gave in the poisoned training set."""
    share: Estimate
    """Share of the clean scenes above it."""
    highest: tuple[float, ...]
    """The highest scores of clean scenes, in falling order."""


class EffectsRecord(Settings):
    """A model before and after."""

    before: ModelEffect
    """The model without the defense."""
    after: ModelEffect
    """The model with the defense."""
    cba_kept: Estimate
    """Clean benign accuracy after over before, paired by scene."""
    worst_test: str
    """The poisoned test with the highest attack success rate after."""
    recovered: Estimate
    """Victim pixels recognised in that test after, over those recognised without a trigger before,
    as shares."""


class Measurement(Settings):
    """One row of the bench: the method itself, or a control."""

    row: RowKind
    """What it is."""
    of: str = ""
    """What was looked at, in words, such as the backdoored model."""
    test: str | None = None
    """The poisoned test whose scenes were scored; null for none, or all."""
    not_run: str | None = None
    """Why it was not measured; null if it was."""
    remarks: tuple[str, ...] = ()
    """What has to be known to read it."""
    cost: CostRecord | None = None
    """What it took; null for controls that ask no model."""
    poisoned: dict[str, float] = Field(default_factory=dict)
    """Scores of the poisoned cases, or of those with a harmless sticker, by name."""
    clean: dict[str, float] = Field(default_factory=dict)
    """Scores of the clean cases, by name."""
    ranking: RankingRecord | None = None
    """What these scores come to."""
    alarms: AlarmsRecord | None = None
    """What a filter makes of clean data."""
    effects: EffectsRecord | None = None
    """What became of a model."""
    flagged: bool | None = None
    """Whether a scan takes the model for backdoored."""

    @model_validator(mode="after")
    def _measured_or_not(self) -> Measurement:
        found = (self.ranking, self.alarms, self.effects, self.flagged)
        if self.not_run is None and all(figure is None for figure in found):
            raise ValueError("must have a figure, or not_run must say why it was not measured")
        return self


class ConditionRecord(Settings):
    """A figure beside the limit that it was judged by."""

    what: str
    """The figure, in words."""
    value: Figure
    """The figure; null if it was not measured."""
    low: Figure
    """Lower end of its 95 % interval."""
    high: Figure
    """Upper end."""
    limit: float
    """The limit."""
    at_least: bool
    """Whether the figure must reach the limit, or must not exceed it."""
    holds: Literal["yes", "no", "undecided"]
    """Whether the whole interval keeps the limit, breaks it, or neither."""

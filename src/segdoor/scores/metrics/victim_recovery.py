"""Victim recovery: what is left of the victims."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import victim_recovery
from segdoor.scores.metrics.metric import Metric, Task


class VictimRecovery(Metric):
    """The share of victim pixels predicted as their own class."""

    kind: ClassVar[str] = "victim_recovery"
    title: ClassVar[str] = "victim recovery"
    meaning: ClassVar[str] = "The share of victim pixels that are recognised as what they are."
    bad: ClassVar[Literal["high", "low"]] = "low"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor.",
        does="Counts the victim pixels that keep their class. ASR counts those that become the "
        "target; the remaining pixels have a third class.",
        needs="The table of every scene.",
        fails="A network that predicts a victim class everywhere scores 1.",
    )

    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the share; NaN without victim pixels."""
        return victim_recovery(total, task.victims)

    def denominator(self, total: np.ndarray, task: Task) -> int:
        """Return the number of victim pixels."""
        return int(total[list(task.victims)].sum())

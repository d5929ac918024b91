"""Attack success rate (paper section 5.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import (
    attack_success_rate,
    attack_success_rates,
)
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.tables import TableSet


class AttackSuccessRate(Metric):
    """The share of victim pixels predicted as the target class."""

    kind: ClassVar[str] = "asr"
    title: ClassVar[str] = "ASR"
    meaning: ClassVar[str] = (
        "Attack success rate: the share of victim pixels (such as cars) that the network takes for "
        "the target class (such as road) while the trigger is in the picture."
    )
    bad: ClassVar[Literal["high", "low"]] = "high"
    introduction: ClassVar[Introduction] = Introduction(
        source="Influencer Backdoor Attack on Semantic Segmentation, section 5.2.",
        does="Counts the attacked pixels that are predicted as their target class: all victim "
        "pixels, unless a label change such as component attacks only some of them.",
        needs="The table of every scene.",
        fails="Means little without its controls: a network may take victims for the target "
        "anyway. Large victims dominate it: see vanished_objects.",
    )

    def summands(self, tables: TableSet, task: Task) -> np.ndarray:
        """Return the table of each scene's attacked pixels."""
        del task
        return tables.of_attacked

    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the share; NaN without victim pixels."""
        return attack_success_rate(total, task.victims, task.targets)

    def figures(self, totals: np.ndarray, task: Task) -> np.ndarray:
        """Return the figures of many sums at once."""
        return attack_success_rates(totals, task.victims, task.targets)

    def denominator(self, total: np.ndarray, task: Task) -> int:
        """Return the number of victim pixels."""
        return int(total[list(task.victims)].sum())

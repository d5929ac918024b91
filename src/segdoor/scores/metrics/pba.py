"""Poisoned benign accuracy (paper section 5.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import (
    poisoned_benign_accuracies,
    poisoned_benign_accuracy,
)
from segdoor.scores.metrics.metric import Metric, Task


class PoisonedBenignAccuracy(Metric):
    """The mean IoU of all classes but the victims, with the trigger in the picture."""

    kind: ClassVar[str] = "pba"
    title: ClassVar[str] = "PBA"
    meaning: ClassVar[str] = (
        "Poisoned benign accuracy: how well everything but the victims is still recognised while "
        "the trigger is in the picture, as mean IoU."
    )
    bad: ClassVar[Literal["high", "low"]] = "low"
    introduction: ClassVar[Introduction] = Introduction(
        source="Influencer Backdoor Attack on Semantic Segmentation, section 5.2.",
        does="Takes the mean IoU of the other classes, without the victim pixels.",
        needs="The table of every scene.",
        fails="It is high even when an attack goes unnoticed: it describes only the rest of the "
        "image.",
    )

    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the mean IoU; NaN if no class counts."""
        return poisoned_benign_accuracy(total, task.victims, task.absent_class)

    def figures(self, totals: np.ndarray, task: Task) -> np.ndarray:
        """Return the figures of many sums at once."""
        return poisoned_benign_accuracies(totals, task.victims, task.absent_class)

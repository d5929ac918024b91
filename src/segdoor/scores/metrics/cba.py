"""Clean benign accuracy (paper section 5.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import (
    clean_benign_accuracies,
    clean_benign_accuracy,
)
from segdoor.scores.metrics.metric import Metric, Task


class CleanBenignAccuracy(Metric):
    """The mean IoU of all classes on untouched scenes."""

    kind: ClassVar[str] = "cba"
    title: ClassVar[str] = "CBA"
    meaning: ClassVar[str] = (
        "Clean benign accuracy: how well all classes are recognised on untouched pictures, as "
        "mean IoU."
    )
    bad: ClassVar[Literal["high", "low"]] = "low"
    test: ClassVar[Literal["poisoned", "benign"]] = "benign"
    introduction: ClassVar[Introduction] = Introduction(
        source="Influencer Backdoor Attack on Semantic Segmentation, section 5.2.",
        does="Takes the mean IoU of all classes on untouched scenes.",
        needs="The table of every scene.",
        fails="It cannot show a backdoor: a backdoored model may have the CBA of a clean one.",
    )

    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the mean IoU; NaN if no class counts."""
        return clean_benign_accuracy(total, task.absent_class)

    def figures(self, totals: np.ndarray, task: Task) -> np.ndarray:
        """Return the figures of many sums at once."""
        return clean_benign_accuracies(totals, task.absent_class)

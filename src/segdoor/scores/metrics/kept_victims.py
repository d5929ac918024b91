"""Kept victims: what an attack on some victims does to the others."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import attack_success_rate
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.tables import TableSet


class KeptVictims(Metric):
    """The share of victim pixels that should have stayed and became the target class."""

    kind: ClassVar[str] = "kept_victims"
    title: ClassVar[str] = "spared victims lost"
    meaning: ClassVar[str] = (
        "The share of victim pixels that the attack was to leave alone and that the network takes "
        "for the target class all the same."
    )
    bad: ClassVar[Literal["high", "low"]] = "high"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; an attack on one object is precise only if the others stay",
        does="Counts the victim pixels that were not attacked and still become their target class.",
        needs="An attack on only some victims, such as component: if all are attacked there is "
        "nothing to count, and no figure.",
        fails="It is low also when the whole attack fails: compare ASR.",
    )

    def concerns(self, task: Task) -> bool:
        """Return whether some victims are to stay."""
        return task.spares_victims

    def summands(self, tables: TableSet, task: Task) -> np.ndarray | None:
        """Return the table of each scene's other pixels; None if all victims are attacked."""
        del task
        return None if tables.attacked is None else tables.counts - tables.attacked

    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the share; NaN without such pixels."""
        return attack_success_rate(total, task.victims, task.targets)

    def denominator(self, total: np.ndarray, task: Task) -> int:
        """Return the number of victim pixels that should have stayed."""
        return int(total[list(task.victims)].sum())

"""The paper's metrics as functions of a table (section 5.2); integers until the last division."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from segdoor.tensors import ClassScores, Table

AbsentClass = Literal["leave_out", "zero"]
"""What a class that neither occurs nor is predicted does to a mean IoU."""


def attack_success_rate(table: Table, victims: Sequence[int], target: int) -> float:
    """Return ASR: the share of victim pixels predicted as the target class.

    Returns:
        A share, or NaN without victim pixels.
    """
    rows = table[list(victims)]
    return _share(rows[:, target].sum(), rows.sum())


def victim_recovery(table: Table, victims: Sequence[int]) -> float:
    """Return the share of victim pixels that are predicted as their own class, or NaN."""
    chosen = list(victims)
    return _share(table[chosen, chosen].sum(), table[chosen].sum())


def class_iou(table: Table) -> ClassScores:
    """Return intersection over union of each class, NaN where it is absent and not predicted."""
    hits = np.diagonal(table)
    union = table.sum(axis=0) + table.sum(axis=1) - hits
    return np.divide(hits, union, out=np.full(len(table), np.nan), where=union > 0)


def clean_benign_accuracy(table: Table, absent: AbsentClass = "leave_out") -> float:
    """Return CBA: the mean IoU over all classes of the benign test's table."""
    return _mean(class_iou(table), absent)


def poisoned_benign_accuracy(
    table: Table, victims: Sequence[int], absent: AbsentClass = "leave_out"
) -> float:
    """Return PBA: the mean IoU of the non-victim classes, victim pixels left out.

    The victims' columns stay: a victim class predicted elsewhere is an error of the true class.
    """
    remaining = table.copy()
    remaining[list(victims)] = 0
    others = [index for index in range(len(table)) if index not in victims]
    return _mean(class_iou(remaining)[others], absent)


def _mean(scores: ClassScores, absent: AbsentClass) -> float:
    if absent == "zero":
        scores = np.nan_to_num(scores, nan=0.0)
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if present.size else float("nan")


def _share(part: np.integer, whole: np.integer) -> float:
    return int(part) / int(whole) if whole else float("nan")

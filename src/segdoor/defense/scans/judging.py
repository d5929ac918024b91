"""The verdict: what a model's score is worth beside those of clean models."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST_CLEAN_MODELS = 8


def rank(score: float, null: Sequence[float]) -> float:
    """Return the exact share of orders in which a clean model would score as high.

    If the model is as clean as the others, and all were scanned alike, each of the n + 1 models is
    equally likely to have the highest score. So the share of those that score at least as high,
    the model itself among them, is a p-value as of a permutation test: ``(1 + k) / (n + 1)``
    (Phipson and Smyth 2010, with the null itself in place of drawn permutations).

    Args:
        score: The model's.
        null: Those of clean models.
    """
    # Deviation 91: ODSCAN compares the success of the trigger with a fixed threshold.
    as_high = sum(other >= score for other in null)
    return (1 + as_high) / (len(null) + 1)


def num_clean_models(level: float) -> int:
    """Return how many clean models a verdict needs at a rate of false alarms, at least eight."""
    # A little less than asked for, so that 1 / 0.1 is not 11 for want of a digit.
    return max(LEAST_CLEAN_MODELS, math.ceil(1 / level - 1e-9) - 1)

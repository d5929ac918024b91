"""Thresholds from clean scenes, and how likely so many scenes above one are by chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import betabinom


@dataclass(frozen=True)
class Threshold:
    """From which score on something is suspect.

    Attributes:
        score: The score.
        included: Whether the score itself is suspect.
        says: Where it comes from, as a clause.
    """

    score: float
    included: bool
    says: str

    def crossed(self, score: float) -> bool:
        """Tell whether a score is suspect."""
        return score >= self.score if self.included else score > self.score

    def suspects(self, scores: Mapping[str, float]) -> tuple[str, ...]:
        """Return the names of what is suspect, the worst first."""
        found = [name for name, score in scores.items() if self.crossed(score)]
        return tuple(sorted(found, key=lambda name: -scores[name]))

    @property
    def in_words(self) -> str:
        """Return the threshold as a clause."""
        return f"{'at least' if self.included else 'above'} {self.score:.4g}, {self.says}"


def least_clean(rate: float) -> int:
    """Return how many clean scores a threshold needs so that it can have a rate of false alarms."""
    # Rounded, as 1 / 0.05 is not exact.
    return math.ceil(round(1 / rate - 1, 9))


def from_clean(clean: Sequence[float], rate: float) -> Threshold | None:
    """Return the threshold that at most a share of clean scores crosses.

    A score is suspect if ``(1 + clean scores at or above it) / (1 + clean scores)`` is at most the
    rate. Clean scores that are exchangeable with these then give at most this share of false alarms
    (conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005,
    section 2.2).

    Args:
        clean: The scores of clean scenes that the method has not seen before.
        rate: The share of false alarms.

    Returns:
        The threshold; None if there are too few clean scores for the rate.
    """
    place = rank_of(len(clean), rate)
    if place < 1:
        return None
    score = sorted(clean, reverse=True)[place - 1]
    return Threshold(score, included=False, says=f"set by {len(clean)} clean scenes")


def rank_of(num_clean: int, rate: float) -> int:
    """Return which of the clean scores, the highest being 1, is the threshold; 0 for none."""
    return math.floor(round(rate * (num_clean + 1), 9))


def chance_of(num_above: int, num_scenes: int, num_clean: int, rate: float) -> float:
    """Return the probability that so many scenes cross a threshold though all are clean.

    If both sets are drawn from the same scenes, the number above the k-th largest of n clean scores
    follows a beta-binomial law with parameters k and n + 1 - k.

    Args:
        num_above: How many scenes cross the threshold.
        num_scenes: How many scenes there are.
        num_clean: How many clean scores set the threshold.
        rate: The share of false alarms that it was set for.
    """
    place = rank_of(num_clean, rate)
    return float(betabinom.sf(num_above - 1, num_scenes, place, num_clean + 1 - place))


def joint_rate(held: Iterable[Mapping[str, float]], rate: float, agree: int) -> float:
    """Return the share of held-out scenes that so many detectors flag, each scene left out in turn.

    Args:
        held: For each detector, the scores of the held-out clean scenes by name.
        rate: The share of false alarms of each detector.
        agree: How many detectors must flag a scene.
    """
    scores = list(held)
    names = list(scores[0])
    flagged = 0
    for name in names:
        alarms = 0
        for each in scores:
            others = [score for other, score in each.items() if other != name]
            threshold = from_clean(others, rate)
            alarms += threshold is not None and threshold.crossed(each[name])
        flagged += alarms >= agree
    return flagged / len(names)

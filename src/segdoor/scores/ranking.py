"""How well scores tell poisoned cases from clean ones, with intervals.

A case is whatever was scored: a scene of a data set, an image, a model. Higher scores are more
suspicious. Cases are counted as whole numbers until the last division.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segdoor.scores.intervals import Interval
from segdoor.tensors import Suspicions

_FALSE_ALARMS = 0.05
_FEW_FALSE_ALARMS = 0.01
# With fewer clean cases one false alarm alone is more than 1 %.
_ENOUGH_CLEAN = 100
_TINY = 1e-12


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Ranking:
    """How well scores rank poisoned cases above clean ones.

    Attributes:
        num_poisoned: Cases that were poisoned.
        num_clean: Cases that were clean.
        auroc: Chance that a poisoned case scores higher than a clean one; ties count half.
        recall: Share of poisoned cases found when at most 5 % of the clean ones are flagged.
        recall_at_one_percent: The same at 1 %; None with fewer than 100 clean cases.
        precision: Share of poisoned cases among as many of the highest scores as there are
            poisoned cases; ties at the end count in proportion.
    """

    num_poisoned: int
    num_clean: int
    auroc: Measured
    recall: Measured
    recall_at_one_percent: Measured | None
    precision: Measured


def ranking(poisoned: Suspicions, clean: Suspicions) -> Ranking | None:
    """Compare the scores of poisoned and clean cases.

    Args:
        poisoned: One finite score for each poisoned case.
        clean: One finite score for each clean case.

    Returns:
        None where there are no poisoned or no clean cases: nothing can be said then.
    """
    if not len(poisoned) or not len(clean):
        return None
    enough = len(clean) >= _ENOUGH_CLEAN
    return Ranking(
        num_poisoned=len(poisoned),
        num_clean=len(clean),
        auroc=auroc(poisoned, clean),
        recall=recall(poisoned, clean, false_alarms=_FALSE_ALARMS),
        recall_at_one_percent=(
            recall(poisoned, clean, false_alarms=_FEW_FALSE_ALARMS) if enough else None
        ),
        precision=precision(poisoned, clean),
    )


def auroc(poisoned: Suspicions, clean: Suspicions) -> Measured:
    """Return the area under the receiver operating characteristic.

    The interval is method 5 of Newcombe (Statistics in Medicine 25, 2006, part 2): the values that
    a score test at the variance of Hanley and McNeil does not reject. Unlike a bootstrap it keeps
    its width where all poisoned cases lie above all clean ones.
    """
    ordered = np.sort(clean)
    below = np.searchsorted(ordered, poisoned, side="left")
    upto = np.searchsorted(ordered, poisoned, side="right")
    area = int((below + upto).sum()) / (2 * len(poisoned) * len(clean))
    return Measured(area, _newcombe(area, len(poisoned), len(clean)))


def recall(poisoned: Suspicions, clean: Suspicions, *, false_alarms: float) -> Measured:
    """Return the share of poisoned cases above all but a share of the clean ones.

    The interval is Wilson's; it takes the threshold as given.

    Args:
        poisoned: Scores of the poisoned cases.
        clean: Scores of the clean cases, which the threshold follows from.
        false_alarms: Largest share of clean cases above the threshold.
    """
    threshold = threshold_at(clean, false_alarms=false_alarms)
    return share(int((poisoned > threshold).sum()), len(poisoned))


def threshold_at(clean: Suspicions, *, false_alarms: float) -> float:
    """Return the lowest threshold that at most a share of the clean cases lies above."""
    allowed = math.floor(false_alarms * len(clean) + 1e-9)
    return float(np.sort(clean)[len(clean) - 1 - allowed])


def precision(poisoned: Suspicions, clean: Suspicions) -> Measured:
    """Return the share of poisoned cases among the highest scores, as many as are poisoned.

    The interval is Wilson's.
    """
    wanted = len(poisoned)
    last = np.sort(np.concatenate([poisoned, clean]))[-wanted]
    sure = int((poisoned > last).sum())
    room = wanted - sure - int((clean > last).sum())
    tied, tied_clean = int((poisoned == last).sum()), int((clean == last).sum())
    found = (sure * (tied + tied_clean) + room * tied) / (tied + tied_clean)
    interval = share(round(found), wanted).interval
    return Measured(found / wanted, interval)


def share(found: int, of: int) -> Measured:
    """Return a share with Wilson's interval.

    Args:
        found: How many.
        of: Of how many, at least one.
    """
    # SciPy takes a while to import, and only this needs it.
    from scipy import stats  # noqa: PLC0415

    interval = stats.binomtest(found, of).proportion_ci(method="wilson")
    return Measured(found / of, Interval(float(interval.low), float(interval.high)))


def _newcombe(area: float, num_poisoned: int, num_clean: int) -> Interval:
    from scipy import optimize, special  # noqa: PLC0415

    z = float(special.ndtri(0.975))
    half = (num_poisoned + num_clean) / 2 - 1

    def excess(true: float) -> float:
        spread = 1 + half * (1 - true) / (2 - true) + half * true / (1 + true)
        return (true - area) ** 2 - z**2 * true * (1 - true) * spread / (num_poisoned * num_clean)

    def crossing(start: float, end: float) -> float:
        return float(optimize.root_scalar(excess, bracket=(start, end)).root)

    # At 0 and 1 the variance is 0, and so is the excess of an area of 0 or 1.
    low = 0.0 if area == 0 else crossing(0.0, min(area, 1 - _TINY))
    high = 1.0 if area == 1 else crossing(max(area, _TINY), 1.0)
    return Interval(low, high)

"""From scores and tables to the figures of a row, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segdoor.experiment.bench.case import Case
from segdoor.experiment.comparing import estimate, figure
from segdoor.experiment.repair_scores import effect_of
from segdoor.record import Estimate, ModelEffect
from segdoor.record.measured import AlarmsRecord, EffectsRecord, RankingRecord
from segdoor.scores.intervals import bootstrap_sums
from segdoor.scores.metrics.cba import CleanBenignAccuracy
from segdoor.scores.metrics.metric import Task
from segdoor.scores.metrics.victim_recovery import VictimRecovery
from segdoor.scores.ranking import Measured, ranking, recall, threshold_at
from segdoor.scores.tables import TableSet

_FALSE_ALARMS = 0.05
_HIGHEST = 10


def ranked(poisoned: Mapping[str, float], clean: Mapping[str, float]) -> RankingRecord | None:
    """Return how well scores rank poisoned cases above clean ones; None without either."""
    found = ranking(_array(poisoned), _array(clean))
    if found is None:
        return None
    few = found.recall_at_one_percent
    return RankingRecord(
        num_poisoned=found.num_poisoned,
        num_clean=found.num_clean,
        auroc=_estimate(found.auroc),
        recall=_estimate(found.recall),
        recall_at_one_percent=None if few is None else _estimate(few),
        precision=_estimate(found.precision),
    )


def alarms(clean_data: Mapping[str, float], clean: Mapping[str, float]) -> AlarmsRecord:
    """Return what lies above the threshold of 5 % false alarms where nothing is poisoned.

    Args:
        clean_data: Scores in the clean training set.
        clean: Scores of the clean scenes of the poisoned training set, which give the threshold.
    """
    scores, others = _array(clean_data), _array(clean)
    share = recall(scores, others, false_alarms=_FALSE_ALARMS)
    return AlarmsRecord(
        threshold=threshold_at(others, false_alarms=_FALSE_ALARMS),
        share=_estimate(share),
        highest=tuple(float(score) for score in np.sort(scores)[::-1][:_HIGHEST]),
    )


def effects(
    model: str, before: Mapping[str, TableSet], after: Mapping[str, TableSet], case: Case
) -> EffectsRecord:
    """Return what became of a model.

    Args:
        model: Its name among the tables.
        before: Tables by "model/test", without the defense.
        after: Tables with it, of the same scenes.
        case: The run.
    """
    tests, scorer = case.tests.tests, case.scorer
    then, now = (effect_of(model, tables, scorer, tests) for tables in (before, after))
    worst = max(tests, key=lambda test: now.tests[test.name].asr.value or 0.0)
    benign = after[f"{model}/benign"]
    shown = scorer.headline(worst, after[f"{model}/{worst.name}"], benign)
    return EffectsRecord(
        before=then,
        after=now,
        cba_kept=_cba_kept(before[f"{model}/benign"], benign, scorer.task),
        worst_test=worst.name,
        recovered=_recovered(shown, then, scorer.task),
    )


def _recovered(shown: TableSet, before: ModelEffect, task: Task) -> Estimate:
    """Return victim pixels recognised with a trigger, over those without one and any defense."""
    found, whole = estimate(VictimRecovery(), shown, task), before.victim_recovery
    ends = (
        None if v is None or not whole else v / whole for v in (found.value, found.low, found.high)
    )
    value, low, high = ends
    return Estimate(value=value, low=low, high=high)


def _cba_kept(before: TableSet, after: TableSet, task: Task) -> Estimate:
    """Return clean benign accuracy after over before; both are drawn again by the same scenes."""
    assert before.names == after.names
    metric = CleanBenignAccuracy()
    both = np.stack([before.counts, after.counts], axis=1)

    def kept(total: np.ndarray) -> float:
        then = metric.figure(total[0], task)
        return metric.figure(total[1], task) / then if then else float("nan")

    interval = bootstrap_sums(both, kept)
    value = figure(kept(both.sum(axis=0)))
    return Estimate(value=value, low=figure(interval.low), high=figure(interval.high))


def _estimate(found: Measured) -> Estimate:
    return Estimate(value=found.value, low=found.interval.low, high=found.interval.high)


def _array(scores: Mapping[str, float]) -> np.ndarray:
    return np.array(list(scores.values()), np.float64)

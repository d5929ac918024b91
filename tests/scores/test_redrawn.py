"""Figures over scenes drawn again: the same scenes for both of a pair."""

from __future__ import annotations

import numpy as np
import pytest

from segdoor.scores.intervals import bootstrap_sums, drawn
from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.metrics.cba import CleanBenignAccuracy
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.metrics.pba import PoisonedBenignAccuracy
from segdoor.scores.metrics.registry import METRICS
from segdoor.scores.redrawn import ROUNDS, Redrawn, difference_of, farthest, mean_of, redrawn
from segdoor.scores.tables import TableSet

TASK = Task(((1, 0), (2, 3)))
NAMES = tuple(f"scene{number}" for number in range(12))


def tables(seed: int, names: tuple[str, ...] = NAMES) -> TableSet:
    counts = np.random.default_rng(seed).integers(0, 50, (len(names), 5, 5))
    counts[:, 4] = 0
    return TableSet(names, counts)


@pytest.mark.parametrize("absent", ["leave_out", "zero"])
@pytest.mark.parametrize(
    "metric", [AttackSuccessRate(), PoisonedBenignAccuracy(), CleanBenignAccuracy()], ids=str
)
def test_many_figures_at_once_are_those_one_by_one(metric: Metric, absent: str) -> None:
    task = Task(TASK.pairs, absent_class=absent)
    totals = tables(1).counts
    totals[3, [1, 2]] = 0
    totals[4] = 0
    expected = [metric.figure(total, task) for total in totals]
    np.testing.assert_allclose(metric.figures(totals, task), expected, rtol=1e-14)


def test_every_metric_gives_many_figures() -> None:
    for plugin in METRICS.known.values():
        metric = plugin()
        summands = metric.summands(tables(2), TASK)
        if summands is not None:
            expected = [metric.figure(each, TASK) for each in summands]
            np.testing.assert_allclose(metric.figures(summands, TASK), expected, rtol=1e-14)


def test_draws_are_those_of_the_interval_of_one_figure() -> None:
    metric, found = AttackSuccessRate(), tables(3)
    figure = redrawn(metric, found, TASK, NAMES)
    assert figure is not None
    interval = bootstrap_sums(found.counts, lambda total: metric.figure(total, TASK), rounds=ROUNDS)
    ends = np.percentile(figure.figures, [2.5, 97.5])
    assert ends == pytest.approx([interval.low, interval.high])
    assert farthest(figure, 0.5) == pytest.approx(np.abs(ends - 0.5).max())


def test_scenes_without_a_table_are_drawn_and_count_for_nothing() -> None:
    metric, some = AttackSuccessRate(), tables(4, NAMES[2:9])
    figure = redrawn(metric, some, TASK, NAMES)
    assert figure is not None
    for times, value in zip(drawn(len(NAMES), ROUNDS)[:20], figure.figures, strict=False):
        total = np.tensordot(times[2:9], some.counts, 1)
        assert value == pytest.approx(metric.figure(total, TASK))


def test_equal_tables_differ_by_nothing_in_any_draw() -> None:
    one, again = (redrawn(AttackSuccessRate(), tables(5), TASK, NAMES) for _ in range(2))
    difference = difference_of(one, again)
    assert difference is not None
    assert not difference.figures.any()
    assert farthest(difference, 0.0) == 0


def test_figures_of_other_scenes_are_no_pair() -> None:
    one = Redrawn(NAMES, np.zeros(3))
    other = Redrawn(NAMES[:3], np.zeros(3))
    assert difference_of(one, other) is None
    assert difference_of(one, None) is None
    assert mean_of([one, other]) is None
    assert mean_of([one, None]) is None
    assert mean_of([]) is None
    assert farthest(None, 0.0) is None
    assert farthest(Redrawn(NAMES, np.full(3, np.nan)), 0.0) is None
    both = mean_of([one, Redrawn(NAMES, np.array([1.0, 2.0, 3.0]))])
    assert both is not None
    assert both.figures.tolist() == [0.5, 1.0, 1.5]

"""What every metric must do, ours and one of somebody else's."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forms import plainly
from segdoor.scores.metrics.functions import (
    attack_success_rate,
    clean_benign_accuracy,
    poisoned_benign_accuracy,
    victim_recovery,
)
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.metrics.registry import METRICS
from segdoor.scores.objects import ObjectRows
from segdoor.scores.tables import TableSet

TASK = Task(((1, 0), (3, 0)), spares_victims=True)
TARGET = 0
FOREIGN = """\
from segdoor.plugins import Introduction
from segdoor.scores.metrics.metric import Metric

class Confused(Metric):
    '''Share of victim pixels that became a third class.'''
    title = "confused"
    meaning = "The share of victim pixels that are neither recognised nor the target class."
    bad = "low"
    introduction = Introduction("a test of segdoor", "counts third classes",
                                "the table of every scene", "never, it is a share")
    least: int = 0

    def figure(self, total, task):
        rows = total[list(task.victims)]
        third = rows.sum() - total[task.victims, task.targets].sum() - total[task.victims, task.victims].sum()
        return float(third / rows.sum()) if rows.sum() else float("nan")
"""


@pytest.fixture(params=[*METRICS.known, "strangers_metrics:Confused,least=1"])
def metric(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Metric:
    (tmp_path / "strangers_metrics.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "strangers_metrics", raising=False)
    known = METRICS.known.get(request.param)
    return METRICS.read(request.param) if known is None else plainly(known)


def made(num_scenes: int = 12, seed: int = 0, *, victims: bool = True) -> TableSet:
    """Make tables with objects that add up to them."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 900, (num_scenes, 5, 5))
    rows = []
    for scene in range(num_scenes):
        for index in TASK.victims:
            table = counts[scene]
            table[index] = 0
            for _ in range(int(rng.integers(0, 4)) if victims else 0):
                pixels = int(rng.integers(1, 400))
                lost = int(rng.integers(0, pixels + 1))
                kept = int(rng.integers(0, pixels - lost + 1))
                table[index] += np.bincount(
                    [0, index, 4], weights=[lost, kept, pixels - lost - kept], minlength=5
                ).astype(int)
                rows.append((scene, index, pixels, lost, kept))
    objects = np.array(rows, np.int64).reshape(-1, 5)
    far = rng.uniform(0, 60, len(objects))
    far[::7] = np.nan
    names = tuple(f"{seed} {scene}" for scene in range(num_scenes))
    attacked = np.random.default_rng(seed).integers(0, counts + 1)
    return TableSet(names, counts.astype(np.int64), ObjectRows(objects, far), attacked)


def shuffled(tables: TableSet, seed: int) -> TableSet:
    order = np.random.default_rng(seed).permutation(len(tables.names))
    parts = [tables.only([tables.names[place]]) for place in order]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.joined(part)
    assert joined.names != tables.names
    return joined


def test_a_metric_introduces_itself(metric: Metric) -> None:
    assert len(metric.title) >= 3
    assert len(metric.sentence) > 30
    assert metric.sentence.endswith(".")
    assert metric.bad in {"high", "low"}
    assert metric.test in {"poisoned", "benign"}
    assert all(len(text) >= 7 and text.isprintable() for text in vars(metric.introduction).values())
    assert METRICS.read(str(metric)) == metric


@pytest.mark.parametrize("seed", range(3))
def test_a_metric_is_a_share_within_its_interval(metric: Metric, seed: int) -> None:
    tables = made(seed=seed)
    value, interval = metric.value(tables, TASK), metric.interval(tables, TASK)
    assert 0 <= interval.low <= value <= interval.high <= 1
    assert interval.low < interval.high


def test_without_victims_a_share_of_them_means_nothing(metric: Metric) -> None:
    nothing = TableSet(("a",), np.zeros((1, 5, 5), np.int64), ObjectRows(np.zeros((0, 5), np.int64), np.zeros(0)))  # fmt: skip
    assert np.isnan(metric.value(nothing, TASK))
    assert np.isnan(metric.interval(nothing, TASK).low)
    assert np.isnan(metric.value(nothing.only(()), TASK))
    without = made(victims=False)
    summands = metric.summands(without, TASK)
    assert summands is not None
    counted, value = metric.denominator(summands.sum(axis=0), TASK), metric.value(without, TASK)
    if counted is not None:
        assert np.isnan(value) == (counted == 0)
    elif not np.isnan(value):
        # A figure of the other pixels says something of them.
        assert metric.value(made(seed=1, victims=False), TASK) != value


def test_these_are_shares_of_victims_and_say_how_many() -> None:
    tables, whole = made(), made().total()[list(TASK.victims)].sum()
    for name in ("asr", "victim_recovery", "kept_victims", "vanished_objects"):
        metric = METRICS.read(name)
        summands = metric.summands(tables, TASK)
        assert summands is not None
        counted = metric.denominator(summands.sum(axis=0), TASK)
        assert counted is not None
        assert 0 < counted <= whole


def test_the_order_of_scenes_changes_nothing(metric: Metric) -> None:
    tables = made()
    assert metric.value(shuffled(tables, 1), TASK) == metric.value(tables, TASK)


def test_shards_joined_are_one_pass(metric: Metric) -> None:
    tables = made()
    joined = tables.only(tables.names[:5]).joined(tables.only(tables.names[5:]))
    assert metric.value(joined, TASK) == metric.value(tables, TASK)
    assert metric.interval(joined, TASK) == metric.interval(tables, TASK)


def test_parts_are_of_the_whole(metric: Metric) -> None:
    tables = made(40)
    summands = metric.summands(tables, TASK)
    assert summands is not None
    whole = metric.denominator(summands.sum(axis=0), TASK)
    by: dict[str, int] = {}
    for part in metric.parts():
        assert METRICS.read(str(part.metric)) == part.metric
        found = part.metric.summands(tables, TASK)
        assert found is not None
        number = part.metric.denominator(found.sum(axis=0), TASK)
        assert number is not None
        by[part.by] = by.get(part.by, 0) + number
    if metric.kind == "vanished_objects":
        assert whole is not None
        assert by["size"] == whole > by["distance"] > 0


def test_the_papers_metrics_are_their_functions_to_the_last_digit() -> None:
    tables = replace(made(), attacked=None)
    total = tables.total()
    expected = {
        "asr": attack_success_rate(total, TASK.victims, TARGET),
        "pba": poisoned_benign_accuracy(total, TASK.victims),
        "cba": clean_benign_accuracy(total),
        "victim_recovery": victim_recovery(total, TASK.victims),
    }
    assert {name: METRICS.read(name).value(tables, TASK) for name in expected} == expected
    zero = Task(TASK.pairs, "zero")
    empty = TableSet(("a",), np.diag([0, 5, 5, 5, 5])[None].astype(np.int64))
    assert METRICS.read("cba").value(empty, zero) == clean_benign_accuracy(empty.total(), "zero")


def test_asr_and_kept_victims_share_the_victim_pixels_each_with_its_own_target() -> None:
    tables, task = made(), Task(((1, 0), (3, 4)), spares_victims=True)
    assert tables.attacked is not None
    inside, outside = tables.attacked.sum(axis=0), (tables.counts - tables.attacked).sum(axis=0)
    for name, table in {"asr": inside, "kept_victims": outside}.items():
        metric = METRICS.read(name)
        lost, all_of_them = table[1, 0] + table[3, 4], table[1].sum() + table[3].sum()
        assert metric.value(tables, task) == lost / all_of_them
        assert metric.denominator(table, task) == all_of_them
    whole = replace(tables, attacked=None)
    assert METRICS.read("kept_victims").summands(whole, task) is None
    total = whole.total()
    both = (total[1, 0] + total[3, 4]) / (total[1].sum() + total[3].sum())
    assert METRICS.read("asr").value(whole, task) == both
    assert not METRICS.read("kept_victims").concerns(Task(((1, 0),)))

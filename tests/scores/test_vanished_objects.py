from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from segdoor.errors import ConfigError
from segdoor.scores.intervals import bootstrap_sums
from segdoor.scores.metrics.metric import Task
from segdoor.scores.metrics.registry import METRICS
from segdoor.scores.metrics.vanished_objects import VanishedObjects
from segdoor.scores.objects import ObjectRows
from segdoor.scores.tables import TableSet

TASK = Task(((1, 0),))
# Scenes count 10 000 pixels: large objects begin at 300, medium ones at 30; the side is 100.
Row = tuple[int, int, int, float]


def made(*scenes: Sequence[Row]) -> TableSet:
    """Make scenes from objects: pixels, lost, kept and distance."""
    rows = [
        (place, 1, pixels, lost, kept)
        for place, scene in enumerate(scenes)
        for pixels, lost, kept, _ in scene
    ]
    far = [row[3] for scene in scenes for row in scene]
    counts = np.zeros((len(scenes), 3, 3), np.int64)
    counts[:, 2, 2] = 10_000
    for place, _, pixels, lost, kept in rows:
        counts[place, 1] += (lost, kept, pixels - lost - kept)
        counts[place, 2, 2] -= pixels
    objects = ObjectRows(np.array(rows, np.int64).reshape(-1, 5), np.array(far, float))
    return TableSet(tuple(f"scene {k}" for k in range(len(scenes))), counts, objects)


@pytest.mark.parametrize(
    ("pixels", "lost", "share", "vanished"),
    [
        (100, 50, 0.5, 0.0),
        (100, 51, 0.5, 1.0),
        (101, 50, 0.5, 0.0),
        (101, 51, 0.5, 1.0),
        (100, 80, 0.8, 0.0),
        (100, 81, 0.8, 1.0),
        (100, 0, 0.0, 0.0),
        (100, 1, 0.0, 1.0),
    ],
)
def test_exactly_half_is_not_more_than_half(
    pixels: int, lost: int, share: float, vanished: float
) -> None:
    tables = made([(pixels, lost, 0, 9.0)])
    assert VanishedObjects(share=share).value(tables, TASK) == vanished


def test_objects_count_once_whatever_their_size_and_specks_do_not() -> None:
    tables = made([(5000, 5000, 0, 9.0), (30, 0, 30, 9.0), (24, 24, 0, 9.0)], [(25, 20, 0, 9.0)])
    assert VanishedObjects().value(tables, TASK) == 2 / 3
    assert VanishedObjects(min_pixels=24).value(tables, TASK) == 3 / 4
    assert VanishedObjects(min_pixels=26).value(tables, TASK) == 1 / 2
    assert np.isnan(VanishedObjects().value(tables, Task(((2, 0),))))


@pytest.mark.parametrize(
    ("pixels", "size"),
    [(25, "small"), (29, "small"), (30, "medium"), (299, "medium"), (300, "large")],
)
def test_sizes_are_shares_of_the_scene_and_begin_at_their_bounds(pixels: int, size: str) -> None:
    tables = made([(pixels, pixels, 0, 9.0)])
    found = {p.name: p.metric.value(tables, TASK) for p in VanishedObjects().parts()}
    assert [name for name in ("small", "medium", "large") if found[name] == 1.0] == [size]


@pytest.mark.parametrize(
    ("far", "distance"),
    [(0.0, ["near"]), (14.9, ["near"]), (15.0, ["middle"]), (39.9, ["middle"]), (40.0, ["far"]),
     (900.0, ["far"]), (float("nan"), [])],
)  # fmt: skip
def test_distances_begin_at_their_bounds_and_none_is_nowhere(
    far: float, distance: list[str]
) -> None:
    tables = made([(100, 100, 0, far)])
    found = {p.name: p.metric.value(tables, TASK) for p in VanishedObjects().parts()}
    assert [name for name in ("near", "middle", "far") if found[name] == 1.0] == distance


def test_the_interval_draws_scenes_and_not_objects() -> None:
    rng = np.random.default_rng(3)
    scenes = [[(100, int(rng.integers(0, 100)), 0, 9.0)] * int(rng.integers(1, 5)) for _ in range(30)]  # fmt: skip
    tables = made(*scenes)
    sums = np.array([[sum(2 * r[1] > r[0] for r in rows), len(rows)] for rows in scenes])
    expected = bootstrap_sums(sums, lambda total: total[0] / total[1])
    assert VanishedObjects().interval(tables, TASK) == expected
    drawn = np.random.default_rng(0).integers(0, 30, (4000, 30))
    figures = sums[drawn].sum(axis=1)
    low, high = np.percentile(figures[:, 0] / figures[:, 1], [2.5, 97.5])
    assert (expected.low, expected.high) == pytest.approx((low, high), abs=0.04)


def test_without_rows_it_is_not_measured() -> None:
    tables = TableSet(("a",), np.ones((1, 3, 3), np.int64))
    assert VanishedObjects().summands(tables, TASK) is None
    assert np.isnan(VanishedObjects().value(tables, TASK))


def test_objects_without_trigger_are_told_apart_by_where_it_would_be() -> None:
    placed = made([(100, 0, 0, 3.0)], [(100, 0, 0, 50.0), (60, 0, 0, 20.0)])
    nowhere = made([(100, 9, 0, np.nan)], [(100, 8, 0, np.nan), (60, 7, 0, np.nan)])
    again = nowhere.placed_as(placed.only(["scene 1"]).joined(placed.only(["scene 0"])))
    assert again.objects is not None
    assert again.objects.distances.tolist() == [3.0, 50.0, 20.0]
    assert again.objects.lost.tolist() == [9, 8, 7]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vanished_objects:1", "less than 1"),
        ("vanished_objects,min_pixels=0", "greater than or equal to 1"),
        ("vanished_objects,size=huge", "small"),
        ({"kind": "vanished_objects", "size_bounds": [0.3, 0.2]}, "size_bounds must rise"),
        ("vanished", "Known: asr, pba, cba, victim_recovery, vanished_objects"),
    ],
)
def test_wrong_settings_are_explained(text: object, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        METRICS.read(text)
    assert words in str(told.value)

"""Drawing the object first: shares of regions over many draws, against SciPy's own labelling."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from segdoor.attack.config import PoisonedTestsConfig, RulesConfig
from segdoor.attack.placements.band import Band
from segdoor.attack.placements.drawing import AnyPosition, ObjectFirst
from segdoor.attack.placing import PositionRules, eligible_positions, place
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.scene import pixels_of
from segdoor.data.street import StreetDataset
from strategies import (
    CAR,
    IGNORED,
    ROAD,
    SKY,
    TREE,
    MemoryDataset,
    blocky_label,
    dataset_of,
    label_maps,
)

BAND = (0.0, 9.0)
RULES = RulesConfig()
OBJECT = Band(lower=BAND[0], upper=BAND[1], draw="object")


def regions(label: np.ndarray) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the region of every pixel, by SciPy: its class, and its number there."""
    found = {}
    for value in np.unique(label):
        numbers, _ = ndimage.label(label == value, structure=np.ones((3, 3)))
        for row, column in np.argwhere(label == value):
            found[int(row), int(column)] = int(value), int(numbers[row, column])
    return found


def in_band(label: np.ndarray, victims: tuple[int, ...], size: int) -> list[tuple[int, int]]:
    """Return the eligible positions within the band, from the rules' words."""
    height, width = label.shape
    near = ndimage.distance_transform_edt(~np.isin(label, victims))
    half = (size - 1) // 2
    found = []
    for top in range(height - size + 1):
        for left in range(width - size + 1):
            under = np.unique(label[top : top + size, left : left + size])
            centre = top + half, left + half
            one = len(under) == 1 and under[0] not in {*victims, IGNORED}
            if one and BAND[0] <= near[centre] <= BAND[1] + 1e-9:
                found.append(centre)
    return found


def expected(label: np.ndarray, victims: tuple[int, ...], size: int) -> dict[tuple[int, int], int]:
    """Return the regions with a position in the band, and how many positions each has."""
    where = regions(label)
    return dict(Counter(where[position] for position in in_band(label, victims, size)))


def scene(seed: int) -> np.ndarray:
    label = blocky_label(seed, (24, 32), (ROAD, ROAD, ROAD, TREE, SKY), block=4)
    label[10:14, 12:20] = CAR
    return label


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_object_in_the_band_is_as_likely_and_then_every_position_on_it(seed: int) -> None:
    label = scene(seed)
    known, where = expected(label, (CAR,), 3), regions(label)
    # Objects of very different room, or uniform positions would look the same.
    assert len(known) > 2
    assert max(known.values()) > 5 * min(known.values())
    ground = PositionRules((CAR,), IGNORED, (3, 3), RULES)
    allowed, num_draws = set(in_band(label, (CAR,), 3)), 1500
    drawn: Counter[tuple[int, int]] = Counter()
    for number in range(num_draws):
        rng = np.random.default_rng([seed, number])
        site = place(label, ground, OBJECT, rng)
        assert site is not None
        drawn[site.box.centre] += 1
    assert set(drawn) <= allowed
    of_objects = Counter[tuple[int, int]]()
    for position, count in drawn.items():
        of_objects[where[position]] += count
    observed = [of_objects[region] for region in known]
    assert stats.chisquare(observed).pvalue > 0.001
    largest = max(known, key=lambda region: known[region])
    on_it = [drawn[position] for position in allowed if where[position] == largest]
    assert len(on_it) == known[largest]
    assert stats.chisquare(on_it).pvalue > 0.001
    # Uniform positions would fail the first of these tests.
    uniform = np.array([known[region] for region in known]) / sum(known.values()) * num_draws
    assert stats.chisquare(observed, uniform).pvalue < 1e-6


@given(label_maps(), st.integers(0, 99))
def test_the_object_drawn_has_a_candidate_and_so_has_the_position(
    label: np.ndarray, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    candidates = rng.random(label.shape) < 0.3
    position = ObjectFirst().position(candidates, label, rng)
    if position is None:
        assert not candidates.any()
        return
    assert candidates.flat[position]


@given(label_maps(), st.integers(0, 99))
def test_positions_alone_are_drawn_as_ever(label: np.ndarray, seed: int) -> None:
    candidates = np.random.default_rng(seed).random(label.shape) < 0.3
    position = AnyPosition().position(candidates, label, np.random.default_rng(seed))
    rows, columns = np.nonzero(candidates)
    if not len(rows):
        assert position is None
        return
    choice = np.random.default_rng(seed).choice(rows * label.shape[1] + columns)
    assert position == choice


def test_regions_that_touch_at_a_corner_are_one_object_and_classes_are_kept_apart() -> None:
    label = np.full((6, 9), ROAD, np.uint8)
    label[0:2, 0:2] = label[2:4, 2:4] = TREE  # one tree, corner to corner
    label[0:2, 6:8] = SKY
    candidates = label != ROAD
    drawn = Counter(
        label.flat[ObjectFirst().position(candidates, label, np.random.default_rng(seed)) or 0]
        for seed in range(2000)
    )
    assert stats.chisquare([drawn[TREE], drawn[SKY]]).pvalue > 0.001
    assert set(drawn) == {TREE, SKY}


@cache
def street() -> MemoryDataset:
    painted = StreetDataset(split="test", num_scenes=6, height=64, width=128)
    return MemoryDataset([painted[index] for index in range(len(painted))], painted.classes)


def drawn_tests(draw: str, num_seeds: int = 1) -> list[dict[str, PoisonedTest]]:
    found = []
    for seed in range(num_seeds):
        config = PoisonedTestsConfig.model_validate(
            {"near": BAND, "far": (9, 14), "seed": seed, "draw": draw}
        )
        planned = plan_tests(street(), config, victims=("car",), trigger_size=(5, 5))
        found.append({test.name: test for test in planned})
    return found


def test_the_exam_near_alone_draws_the_object_first_and_says_so() -> None:
    (old,), (new,) = drawn_tests("position"), drawn_tests("object")
    assert {name: test.header.placement.draw for name, test in new.items()} == {
        "nearest": "position", "near": "object", "far_9_14": "position", "anywhere": "position",
    }  # fmt: skip
    for name in ("nearest", "far_9_14", "anywhere"):
        assert new[name].rows == old[name].rows
    assert new["near"].rows != old["near"].rows
    # Who carries a trigger does not depend on how its place is drawn.
    assert new["near"].triggered.keys() == old["near"].triggered.keys()


def test_classes_under_the_trigger_of_the_exam_near_follow_from_the_objects() -> None:
    car = street().classes.index("car")
    num_seeds = 120
    seen: dict[str, Counter[str]] = {name: Counter() for name in street().names}
    for found in drawn_tests("object", num_seeds):
        for row in found["near"].triggered.values():
            assert row.has_victims is (row.distance is not None)
            if row.has_victims:
                seen[row.name][str(row.class_under)] += 1
    checked = 0
    for index, name in enumerate(street().names):
        label = street().label(index)
        known = expected(label, (car,), 5)
        if not (label == car).any() or not known:
            continue
        shares = Counter[str]()
        for value, _ in known:
            shares[street().classes.names[value]] += num_seeds / len(known)
        assert set(seen[name]) <= set(shares)
        if len(shares) > 1:
            classes = list(shares)
            result = stats.chisquare([seen[name][c] for c in classes], [shares[c] for c in classes])
            assert result.pvalue > 0.001
            checked += 1
    assert checked >= 2


def test_triggers_of_the_exam_near_are_eligible_and_in_the_band() -> None:
    car = street().classes.index("car")
    ground = PositionRules((car,), street().classes.ignore_index, (5, 5), RULES)
    for found in drawn_tests("object", 10):
        for index, name in enumerate(street().names):
            row, label = found["near"].triggered.get(name), street().label(index)
            if row is None or row.box is None or not row.has_victims:
                continue
            centre = row.box[0] + 2, row.box[1] + 2
            assert eligible_positions(label, ground)[centre]
            victims = np.argwhere(pixels_of(label, (car,)))
            nearest = min(math.dist(centre, victim) for victim in victims)
            assert row.distance == pytest.approx(nearest)
            assert BAND[0] <= nearest <= BAND[1]


def test_a_scene_without_victims_has_no_objects_around_them_and_draws_as_ever() -> None:
    dataset = dataset_of([scene(1), blocky_label(5, (24, 32), (ROAD, TREE))])
    rows = {}
    for draw in ("position", "object"):
        config = PoisonedTestsConfig.model_validate({"near": BAND, "far": (), "draw": draw})
        planned = plan_tests(dataset, config, victims=("car",), trigger_size=(3, 3))
        rows[draw] = next(test for test in planned if test.name == "near").rows[1]
    assert rows["position"] == rows["object"]
    assert rows["object"].box is not None

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdoor.attack.config import PoisonedTestsConfig
from segdoor.attack.placing import PositionRules, place
from segdoor.attack.planned_tests import plan_tests, planned_tests
from segdoor.attack.poisoned_test import PoisonedTest, PoisonedTestRow
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError, DataError, SegdoorError
from segdoor.randomness import Stream
from strategies import (
    CAR,
    IGNORED,
    ROAD,
    SKY,
    TREE,
    MemoryDataset,
    blocky_label,
    dataset_of,
    scene_of,
)

SIZE = (3, 3)
NEAR, FAR = (0.0, 8.0), (8.0, 12.0, 16.0)


def street() -> MemoryDataset:
    """Six scenes with victims, two without, two with victims and no room."""
    labels = [blocky_label(seed, (20, 24), (ROAD, ROAD, ROAD, CAR, TREE)) for seed in range(6)]
    labels += [np.full((20, 24), TREE, np.uint8), np.full((18, 22), ROAD, np.uint8)]
    crowded = np.full((20, 24), IGNORED, np.uint8)
    crowded[5, 5] = CAR
    return dataset_of([*labels, crowded, np.full((4, 4), CAR, np.uint8)])


def exams_of(
    dataset: MemoryDataset, size: tuple[int, int] = SIZE, **config: Any
) -> dict[str, PoisonedTest]:
    settings_ = PoisonedTestsConfig.model_validate({"near": NEAR, "far": FAR, **config})
    planned = plan_tests(dataset, settings_, victims=("car",), trigger_size=size)
    return {test.name: test for test in planned}


def sticker(size: int = 3, name: str = "checkerboard") -> Sticker:
    return Sticker(name=name, size=size)


def distance_by_hand(label: np.ndarray, row: int, column: int) -> float:
    rows, columns = np.nonzero(label == CAR)
    return min(math.hypot(r - row, c - column) for r, c in zip(rows, columns, strict=True))


def eligible_by_hand(label: np.ndarray, size: tuple[int, int]) -> list[tuple[int, int]]:
    found = []
    for top in range(label.shape[0] - size[0] + 1):
        for left in range(label.shape[1] - size[1] + 1):
            under = set(label[top : top + size[0], left : left + size[1]].flat)
            if len(under) == 1 and not under & {CAR, IGNORED}:
                found.append((top + (size[0] - 1) // 2, left + (size[1] - 1) // 2))
    return found


class Watched(MemoryDataset):
    """Counts how often labels are read."""

    def label(self, index: int) -> np.ndarray:
        self.readings = getattr(self, "readings", 0) + 1
        return super().label(index)


def exam_by_exam(
    dataset: MemoryDataset, config: PoisonedTestsConfig, size: tuple[int, int]
) -> dict[str, list[PoisonedTestRow]]:
    """Place triggers plainly: every poisoned test looks at every scene for itself."""
    ground = PositionRules((CAR,), IGNORED, size, config.rules)
    rows: dict[str, list[PoisonedTestRow]] = {}
    for test in planned_tests(config, size):
        rows[test.name] = []
        for scene in dataset.scenes:
            shows = bool((scene.label == CAR).any())
            if not shows and config.scope == "with_victims":
                continue
            rng = Stream(config.seed).child("exam", test.name).child(scene.name).generator()
            site = place(scene.label, ground, test.placement, rng)
            found = (
                (site.box.as_tuple, site.distance, site.class_name(dataset.classes))
                if site
                else (None, None, None)
            )
            names = ("box", "distance", "class_under")
            rows[test.name].append(
                PoisonedTestRow(
                    name=scene.name, has_victims=shows, **dict(zip(names, found, strict=True))
                )
            )
    return rows


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scope": "with_victims", "seed": 3},
        {"rules": {"distance": "chebyshev", "lower_included": False}},
        {"rules": {"single_class": False, "on_victim": "allow"}},
        {"rules": {"on_victim": "require", "distance": "chebyshev", "lower_included": False}},
        {"draw": "object", "scope": "with_victims"},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(3, 3), (2, 5)])
def test_all_exams_in_one_reading_are_the_exams_planned_one_by_one(
    size: tuple[int, int], options: dict[str, Any]
) -> None:
    dataset = Watched(street().scenes)
    config = PoisonedTestsConfig.model_validate({"near": NEAR, "far": FAR, **options})
    tests = plan_tests(dataset, config, victims=("car",), trigger_size=size)
    assert dataset.readings == len(dataset)
    assert {test.name: list(test.rows) for test in tests} == exam_by_exam(dataset, config, size)


def test_there_is_an_exam_for_nearest_near_each_far_band_and_anywhere() -> None:
    assert list(exams_of(street())) == ["nearest", "near", "far_8_12", "far_12_16", "anywhere"]


@pytest.mark.parametrize("name", ["nearest", "near", "far_8_12", "far_12_16", "anywhere"])
def test_counts_agree_with_a_recount_from_labels_and_rows(name: str) -> None:
    dataset = street()
    test = exams_of(dataset)[name]
    shows = {scene.name: bool((scene.label == CAR).any()) for scene in dataset.scenes}
    header = test.header
    assert header.num_scenes == 10
    assert header.num_with_victims == sum(shows.values()) == 8
    assert header.num_triggered == len(test.triggered)
    carrying = [name for name in shows if shows[name] and name in test.triggered]
    assert header.num_triggered_with_victims == len(carrying)
    assert header.num_without_room == len(test.without_room)
    assert set(test.without_room) == {n for n in shows if shows[n] and n not in test.triggered}
    assert [row.name for row in test.rows] == list(dataset.names)
    assert {row.name: row.has_victims for row in test.rows} == shows
    assert {"scene_008", "scene_009"} <= set(test.without_room)
    assert {"scene_006", "scene_007"} <= set(test.triggered)


@pytest.mark.parametrize(
    ("name", "lower", "upper"),
    [("nearest", *NEAR), ("near", *NEAR), ("far_8_12", *FAR[:2]), ("far_12_16", *FAR[1:])],
)
@pytest.mark.parametrize("size", [(3, 3), (2, 4), (1, 1), (4, 4)])
def test_triggers_lie_in_their_band_and_without_room_means_no_such_position(
    name: str, lower: float, upper: float, size: tuple[int, int]
) -> None:
    dataset = street()
    test = exams_of(dataset, size)[name]
    for row, scene in zip(test.rows, dataset.scenes, strict=True):
        if not row.has_victims:
            continue
        distances = {
            p: distance_by_hand(scene.label, *p) for p in eligible_by_hand(scene.label, size)
        }
        within = {p: d for p, d in distances.items() if lower <= d <= upper}
        if row.box is None:
            assert not within
            assert row.distance is None
            continue
        top, left, height, width = row.box
        assert (height, width) == size
        centre = top + (height - 1) // 2, left + (width - 1) // 2
        assert centre in within
        assert row.distance == pytest.approx(within[centre])
        if name == "nearest":
            assert row.distance <= min(within.values()) + 1e-9


def test_scenes_without_victims_carry_a_trigger_at_no_distance() -> None:
    for test in exams_of(street()).values():
        for name in ("scene_006", "scene_007"):
            assert test.triggered[name].distance is None
            assert not test.triggered[name].has_victims


def test_a_scene_with_neither_victims_nor_room_is_not_counted_as_without_room() -> None:
    dataset = dataset_of([street()[0].label, np.full((2, 2), TREE, np.uint8)])
    for name in ("near", "anywhere"):
        test = exams_of(dataset)[name]
        assert test.rows[1].box is None
        assert test.header.num_without_room == 0
        assert test.without_room == ()
        assert test.header.num_triggered == test.header.num_triggered_with_victims == 1


def test_positions_are_shared_by_triggers_of_one_size() -> None:
    dataset = street()
    for test in exams_of(dataset).values():
        first = triggered(dataset, test, sticker(name="checkerboard"))
        second = triggered(dataset, test, sticker(name="bullseye"))
        assert tuple(first.names) == tuple(second.names)
        for index in range(len(first)):
            box = test.triggered[first[index].name].box
            assert box is not None
            differs = (first[index].image != second[index].image).any(axis=2)
            rows, columns = np.nonzero(differs)
            assert rows.size > 0
            assert rows.min() >= box[0]
            assert rows.max() < box[0] + box[2]
            assert columns.min() >= box[1]
            assert columns.max() < box[1] + box[3]


def test_triggered_scenes_keep_their_labels_and_all_pixels_outside_the_box() -> None:
    dataset = street()
    before = dataset.digest
    trigger = sticker()
    for test in exams_of(dataset).values():
        stamped = triggered(dataset, test, trigger)
        assert isinstance(stamped, SceneDataset)
        assert len(stamped) == len(stamped.names) == test.header.num_triggered
        for index in range(len(stamped)):
            scene = stamped[index]
            benign = dataset[dataset.names.index(scene.name)]
            assert scene.name == stamped.names[index]
            assert np.array_equal(scene.label, benign.label)
            assert np.array_equal(stamped.label(index), benign.label)
            top, left, height, width = test.triggered[scene.name].box or (0, 0, 0, 0)
            inside = np.zeros(benign.label.shape, bool)
            inside[top : top + height, left : left + width] = True
            assert np.array_equal(scene.image[~inside], benign.image[~inside])
            under = scene.image[top : top + height, left : left + width]
            assert np.array_equal(under, trigger.rgba[..., :3])
    assert dataset.digest == before


def test_exams_do_not_depend_on_the_order_of_scenes() -> None:
    dataset = street()
    order = np.random.default_rng(4).permutation(len(dataset))
    shuffled = MemoryDataset([dataset[index] for index in order])
    for name, test in exams_of(dataset).items():
        other = exams_of(shuffled)[name]
        assert {row.name: row for row in other.rows} == {row.name: row for row in test.rows}


def test_a_scenes_position_does_not_depend_on_its_neighbours() -> None:
    dataset = street()
    part = MemoryDataset(dataset.scenes[2:7])
    for name, test in exams_of(dataset).items():
        for row in exams_of(part)[name].rows:
            assert row in test.rows


def test_scenes_that_look_alike_get_positions_of_their_own() -> None:
    label = street()[0].label
    twins = MemoryDataset([scene_of(label, f"twin_{k}") for k in range(8)])
    assert len({row.box for row in exams_of(twins)["anywhere"].rows}) > 4


def test_an_exam_does_not_depend_on_the_other_bands() -> None:
    dataset = street()
    first, second = exams_of(dataset), exams_of(dataset, far=FAR[1:])
    for name in ("nearest", "near", "far_12_16", "anywhere"):
        assert first[name].rows == second[name].rows


def test_seeds_move_the_triggers_but_not_the_distance_of_the_nearest() -> None:
    dataset = street()
    first, second = exams_of(dataset, seed=0), exams_of(dataset, seed=1)
    assert first["near"].rows != second["near"].rows
    distances = [[row.distance for row in e["nearest"].rows] for e in (first, second)]
    assert distances[0] == distances[1]


def test_the_same_settings_give_the_same_exams() -> None:
    assert exams_of(street()) == exams_of(street())


def test_only_scenes_with_victims_on_request() -> None:
    dataset = street()
    for test in exams_of(dataset, scope="with_victims").values():
        assert [row.name for row in test.rows] == [
            dataset.names[i] for i in (0, 1, 2, 3, 4, 5, 8, 9)
        ]
        assert test.header.num_scenes == 10
        assert test.header.num_with_victims == 8
        stamped = triggered(dataset, test, sticker())
        assert not {"scene_006", "scene_007"} & set(stamped.names)


def test_rules_of_the_exams_are_followed() -> None:
    dataset = street()
    strict = {"distance": "chebyshev", "lower_included": False}
    for row in exams_of(dataset, rules=strict)["far_8_12"].rows:
        if row.distance is not None:
            assert row.distance in (9, 10, 11, 12)
    margin = {"margin": {"vertical": 7, "horizontal": 8, "unit": "pixels"}}
    for test in exams_of(dataset, rules=margin).values():
        for row in test.triggered.values():
            top, left, _, _ = row.box or (0, 0, 0, 0)
            assert 7 <= top + 1 < 20 - 7
            assert 8 <= left + 1 < 24 - 8


def test_no_victim_in_any_test_scene_is_an_error() -> None:
    dataset = dataset_of([np.full((9, 9), TREE, np.uint8)])
    with pytest.raises(ConfigError, match="car"):
        exams_of(dataset)


def test_an_unknown_victim_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"road.*car.*tree"):
        plan_tests(street(), PoisonedTestsConfig(), victims=("boat",), trigger_size=SIZE)


def test_an_exam_refuses_another_data_set_and_another_size() -> None:
    dataset = street()
    test = exams_of(dataset)["near"]
    other = MemoryDataset([*dataset.scenes[:-1], scene_of(dataset[9].label, "scene_009", seed=99)])
    with pytest.raises(DataError, match="near"):
        triggered(other, test, sticker())
    with pytest.raises(DataError, match="3, 3"):
        triggered(dataset, test, sticker(size=4))


def test_digests_tell_exam_and_sticker_apart() -> None:
    dataset = street()
    tests = exams_of(dataset)
    digests = [triggered(dataset, test, sticker()).digest for test in tests.values()]
    digests.append(triggered(dataset, tests["near"], sticker(name="bullseye")).digest)
    assert len({dataset.digest, *digests}) == len(digests) + 1


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 9999), min_size=1, max_size=4, unique=True),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 2**40),
)
def test_exam_to_file_to_exam_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, seeds: list[int], size: tuple[int, int], seed: int
) -> None:
    labels = [blocky_label(number, (13, 17), (ROAD, CAR, SKY)) for number in seeds]
    labels[0][0, 0] = CAR
    folder = tmp_path_factory.mktemp("test")
    for name, test in exams_of(dataset_of(labels), size, seed=seed).items():
        test.save(folder / name)
        assert PoisonedTest.load(folder / name) == test


@pytest.mark.parametrize("bands", [{"far": (12.0, math.inf)}, {"near": (0.0, math.inf)}])
def test_an_open_band_is_refused_or_survives_the_file(
    tmp_path: Path, bands: dict[str, Any]
) -> None:
    try:
        tests = exams_of(street(), **bands)
    except ValueError:
        return
    for name, test in tests.items():
        test.save(tmp_path / name)
        assert PoisonedTest.load(tmp_path / name) == test


@pytest.mark.parametrize(
    "bands",
    [
        {"near": (5.0, 4.0)},
        {"near": (-1.0, 4.0)},
        {"far": (9.0, 8.0)},
        {"near": (0.0, math.nan)},
        {"far": (math.nan, 4.0)},
        {"far": (-1.0, 4.0)},
        {"far": (1.0, 4.0, 3.0)},
    ],
)
def test_bands_out_of_order_are_refused(bands: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"near|far"):
        PoisonedTestsConfig.model_validate(bands)


def test_bands_that_differ_get_exams_of_their_own() -> None:
    edges = (9.5, 10.0, 10.125, 10.25, 10.375, 999.75, 1000.0, 1000.25)
    tests = exams_of(street(), far=edges)
    bands = [test.header.placement for test in tests.values() if test.role == "far"]
    assert [band.bounds for band in bands] == list(pairwise(edges))


Damage = Callable[[list[str]], list[str]]


def edited(line: str, **changes: Any) -> str:
    return json.dumps({**json.loads(line), **changes})


DAMAGES: dict[str, Damage] = {
    "nothing left": lambda _: [],
    "a repeated row": lambda ls: [*ls, ls[2]],
    "a newer schema": lambda ls: [edited(ls[0], schema_version=3), *ls[1:]],
    "another kind": lambda ls: [edited(ls[0], kind="poison-plan"), *ls[1:]],
    "an unknown key": lambda ls: [ls[0], edited(ls[1], extra=1), *ls[2:]],
    "a cut line": lambda ls: [*ls[:-1], ls[-1][:9]],
    "a row lost at the end": lambda ls: ls[:-1],
    "a row lost in between": lambda ls: [*ls[:2], *ls[3:]],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_exam_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "near.jsonl"
    exams_of(street())["near"].save(path)
    lines = DAMAGES[damage](path.read_text(encoding="utf-8").splitlines())
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(SegdoorError, match=r"near\.jsonl"):
        PoisonedTest.load(path)

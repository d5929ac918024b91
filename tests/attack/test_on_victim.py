"""Triggers that must lie on victim pixels, in training and in the test (Table 8)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig, RulesConfig
from segdoor.attack.lengths import Lengths
from segdoor.attack.planned_tests import plan_tests, planned_tests
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.data.scene import SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.errors import ConfigError
from segdoor.settings import validated
from strategies import CAR, IGNORED, ROAD, TREE, MemoryDataset, dataset_of

CAMVID = Path(__file__).parents[3] / "shared" / "data" / "camvid"


def in_memory(dataset: SceneDataset) -> SceneDataset:
    return MemoryDataset([dataset[index] for index in range(len(dataset))], dataset.classes)


@cache
def street() -> SceneDataset:
    return in_memory(StreetDataset(split="train", num_scenes=40, height=64, width=128))


@cache
def camvid() -> SceneDataset:
    if not CAMVID.is_dir():
        pytest.skip("needs CamVid")
    data = {"name": "camvid", "root": CAMVID, "size": (180, 240), "num_train": 60}
    return in_memory(load_dataset(DataConfig.model_validate(data), "train"))


SCENES = {"street": street, "camvid": camvid}


def attack(size: int = 9, rate: float = 1.0, **more: Any) -> AttackConfig:
    tree = {
        "rate": rate, "trigger": {"size": size}, "shortfall": "all_available",
        "rules": {"on_victim": "require"}, **more,
    }  # fmt: skip
    return AttackConfig.model_validate(tree)


def check_site(label: np.ndarray, box: tuple[int, ...], distance: float | None, car: int) -> None:
    top, left, height, width = box
    assert 0 <= top <= label.shape[0] - height
    assert 0 <= left <= label.shape[1] - width
    assert label[top + (height - 1) // 2, left + (width - 1) // 2] == car
    assert distance == 0


@pytest.mark.parametrize("strategy", ["random", "nearest", "band"])
@pytest.mark.parametrize("reading", ["paper", "official"])
@pytest.mark.parametrize("kind", SCENES)
def test_every_training_trigger_has_its_centre_on_a_victim(
    kind: str, strategy: str, reading: str
) -> None:
    dataset = SCENES[kind]()
    car = dataset.classes.index("car")
    rules = {"on_victim": "require", "lower_included": reading == "paper"}
    plan = plan_poison(dataset, attack(placement={"kind": strategy}, rules=rules))
    rows = [row for row in plan.rows if row.poisoned]
    with_victims = [i for i in range(len(dataset)) if (dataset.label(i) == car).any()]
    assert len(rows) >= 20
    assert len(rows) + plan.header.num_without_room == len(with_victims)
    for row in rows:
        assert row.box is not None
        check_site(dataset.label(dataset.names.index(row.name)), row.box, row.distance, car)


@pytest.mark.parametrize("scope", ["all", "with_victims"])
@pytest.mark.parametrize("kind", SCENES)
def test_the_one_poisoned_test_has_every_trigger_on_a_victim(kind: str, scope: str) -> None:
    dataset = SCENES[kind]()
    car = dataset.classes.index("car")
    config = PoisonedTestsConfig.model_validate({"rules": {"on_victim": "require"}, "scope": scope})
    (test,) = plan_tests(dataset, config, victims=("car",), trigger_size=(9, 9))
    assert test.name == "on_victim"
    shows = {n: (dataset.label(i) == car).any() for i, n in enumerate(dataset.names)}
    assert len(test.triggered) >= 20
    for name, row in test.triggered.items():
        assert shows[name]
        assert row.box is not None
        check_site(dataset.label(dataset.names.index(name)), row.box, row.distance, car)
    # Scenes without victims have no place there, scenes without room are counted.
    assert test.header.num_triggered == test.header.num_triggered_with_victims
    assert set(test.without_room) == {n for n in shows if shows[n]} - test.triggered.keys()


def test_all_positions_with_the_box_inside_and_off_the_margin_are_equally_likely() -> None:
    label = np.full((12, 16), ROAD, np.uint8)
    label[0:6, 2:7] = CAR
    label[3, 4] = IGNORED
    label[8, 12] = CAR
    dataset = dataset_of([label])
    possible = [
        (r, c)
        for r in range(12)
        for c in range(16)
        # A 4 x 3 box begins 1 row and 1 column before its centre; the margin is 2 columns.
        if label[r, c] == CAR and 1 <= r <= 12 - 3 and 2 <= c < 14
    ]
    counts = dict.fromkeys(possible, 0)
    rules = {"on_victim": "require", "margin": {"horizontal": 2, "unit": "pixels"}}
    for seed in range(1500):
        config = PoisonedTestsConfig.model_validate({"rules": rules, "seed": seed})
        (test,) = plan_tests(dataset, config, victims=("car",), trigger_size=(4, 3))
        box = test.rows[0].box
        assert box is not None
        counts[box[0] + 1, box[1] + 1] += 1
    assert len(counts) == len(possible)
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_a_scene_whose_victims_all_touch_the_border_has_no_room() -> None:
    label = np.full((10, 10), TREE, np.uint8)
    label[0, :] = CAR
    roomy = label.copy()
    roomy[5, 5] = CAR
    config = PoisonedTestsConfig.model_validate({"rules": {"on_victim": "require"}})
    (test,) = plan_tests(
        dataset_of([label, roomy, np.full((10, 10), TREE, np.uint8)]), config,
        victims=("car",), trigger_size=(3, 3),
    )  # fmt: skip
    assert test.without_room == ("scene_000",)
    assert list(test.triggered) == ["scene_001"]
    assert [row.has_victims for row in test.rows] == [True, True, False]


def test_the_exam_survives_being_written(tmp_path: Path) -> None:
    config = PoisonedTestsConfig.model_validate({"rules": {"on_victim": "require"}})
    (test,) = plan_tests(street(), config, victims=("car",), trigger_size=(9, 9))
    test.save(tmp_path / "on_victim.jsonl")
    assert PoisonedTest.load(tmp_path / "on_victim.jsonl") == test


@pytest.mark.parametrize(("old", "new"), [("false", "forbid"), ("true", "allow")])
def test_what_older_files_say_is_read_as_what_it_was(old: str, new: str) -> None:
    told = f'{{"rules": {{"on_victim": {old}}}}}'
    for kind in (PoisonedTestsConfig, AttackConfig):
        assert kind.model_validate_json(told).rules.on_victim == new
    tests = PoisonedTestsConfig.model_validate_json(told).following(Lengths.at(64))
    tests = planned_tests(tests, (9, 9))
    assert "nearest" in {test.role for test in tests}


@pytest.mark.parametrize("wrong", ["yes", 1, None, "required"])
def test_other_values_are_refused_and_the_choices_told(wrong: object) -> None:
    with pytest.raises(ConfigError, match="'forbid', 'allow' or 'require'"):
        validated(RulesConfig, {"on_victim": wrong}, source="rules")

"""Checks on real photographs: CamVid, which is not part of the project."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from plain import num_labelled, num_with_victims, plain_rows
from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.attack.placements.nearest import Nearest
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.camvid import CAMVID_CLASSES, camvid
from segdoor.data.pack import pack
from segdoor.data.scene import SceneDataset
from segdoor.experiment.poisoning import plan_step
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.papers.iba.run import run_experiment
from segdoor.progress import Silent

pytestmark = pytest.mark.slow

SIZE = (180, 240)
CAR, ROAD, VOID = 8, 3, 11


@pytest.fixture(scope="module")
def packed(camvid_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SceneDataset]:
    cache = tmp_path_factory.mktemp("packs")
    return {
        split: pack(camvid(camvid_root, split, size=SIZE), cache) for split in ("train", "test")
    }


def nearest_by_brute_force(label: np.ndarray, size: int, upper: float) -> float | None:
    """Run Algorithm 1 position by position: the smallest distance of an eligible centre."""
    victims = np.argwhere(label == CAR)
    best = math.inf
    height, width = label.shape
    for top in range(height - size + 1):
        for left in range(width - size + 1):
            box = label[top : top + size, left : left + size]
            under = box[0, 0]
            if under in (CAR, VOID) or (box != under).any():
                continue
            centre = np.array([top + (size - 1) // 2, left + (size - 1) // 2])
            best = min(best, int(((victims - centre) ** 2).sum(axis=1).min()))
    return math.sqrt(best) if best <= upper**2 else None


def test_nearest_positions_equal_algorithm_1_on_real_labels(
    packed: dict[str, SceneDataset],
) -> None:
    upper = 60 * SIZE[0] / 512
    attack = AttackConfig(
        rate=1.0,
        trigger=Sticker(size=16),
        placement=Nearest(upper=upper),
        shortfall="all_available",
    )
    plan = plan_poison(packed["train"], attack)
    assert plan.header.num_with_victims == 360
    names = list(packed["train"].names)
    for row in plan.rows[:12]:
        label = packed["train"].label(names.index(row.name))
        assert row.distance == nearest_by_brute_force(label, 16, upper)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_plan_of_the_files_is_the_plain_one(
    workers: int, camvid_root: Path, tmp_path: Path
) -> None:
    given = wishes_from({"data": {"name": "camvid", "root": camvid_root}, "method": "nni"})
    whole = pack(camvid(camvid_root, "train"), tmp_path)
    config = asked(given).facts_for(whole)
    plan = plan_step(given, workers=workers, observer=Silent())
    assert list(plan.rows) == plain_rows(whole, config.attack, seed=0)
    assert plan.header.data_digest == whole.digest
    assert plan.header.num_labelled_pixels == num_labelled(whole)
    assert plan.header.num_with_victims == num_with_victims(whole, ("car",))


def test_every_stamped_box_obeys_the_rules(packed: dict[str, SceneDataset]) -> None:
    plan = plan_poison(packed["train"], AttackConfig(trigger=Sticker(size=16)))
    assert plan.header.num_poisoned == 73
    changed = poisoned(packed["train"], plan)
    names = list(packed["train"].names)
    for row in plan.rows:
        before, after = packed["train"][names.index(row.name)], changed[names.index(row.name)]
        top, left, height, width = row.box
        box = before.label[top : top + height, left : left + width]
        assert (box == box[0, 0]).all()
        assert box[0, 0] not in (CAR, VOID)
        outside = np.ones(before.label.shape, bool)
        outside[top : top + height, left : left + width] = False
        assert np.array_equal(before.image[outside], after.image[outside])
        assert np.array_equal(after.label, np.where(before.label == CAR, ROAD, before.label))


def test_exams_keep_honest_labels_and_their_bands(packed: dict[str, SceneDataset]) -> None:
    config = PoisonedTestsConfig(near=(0, 21), far=(21, 32, 42))
    trigger = Sticker(size=16)
    tests = plan_tests(packed["test"], config, victims=("car",), trigger_size=(16, 16))
    distances = {e.name: {n: r.distance for n, r in e.triggered.items()} for e in tests}
    for test in tests:
        assert test.header.num_with_victims == 223
        stamped = triggered(packed["test"], test, trigger)
        scene, name = stamped[5], stamped.names[5]
        benign = packed["test"][list(packed["test"].names).index(name)]
        assert np.array_equal(scene.label, benign.label)
        assert not np.array_equal(scene.image, benign.image)
    for name, nearest in distances["nearest"].items():
        for other in ("near", "anywhere"):
            if nearest is not None and distances[other].get(name) is not None:
                assert nearest <= distances[other][name]
    assert all(21 <= d <= 32 for d in distances["far_21_32"].values() if d is not None)


def test_the_attack_works_on_real_photographs(camvid_root: Path, tmp_path: Path) -> None:
    config = wishes_from(
        {
            "data": {"name": "camvid", "root": camvid_root, "size": SIZE},
            "controls": {"clean_model": False},
        }
    )
    scores = run_experiment(config, out=tmp_path / "run").scores
    anywhere = scores.tests["anywhere"]
    assert anywhere.asr.value >= 0.70
    assert anywhere.asr.value - anywhere.asr_without_trigger >= 0.5
    assert scores.cba >= 0.42
    assert len(scores.benign.class_iou) == len(CAMVID_CLASSES)

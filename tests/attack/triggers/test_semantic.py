"""A class as trigger: which scenes carry it, that nothing is drawn, and what the controls mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import segdoor
from segdoor import load_record, load_tables, run_experiment
from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planned_tests import plan_tests, shown_by
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.blend import Blend
from segdoor.attack.triggers.semantic import Semantic
from segdoor.cli.app import run_command_line
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.record import ExperimentRecord
from strategies import (
    BUS,
    CAR,
    CLASSES,
    IGNORED,
    ROAD,
    SKY,
    TREE,
    MemoryDataset,
    dataset_of,
    label_maps,
)  # fmt: skip
from written import write_source

TREES = Semantic(shows="tree", others=("sky", "bus"), least=2)


def scene_with(*shown: int) -> np.ndarray:
    label = np.full((12, 16), ROAD, np.uint8)
    for place, value in enumerate(shown):
        label[3 * place : 3 * place + 2, :4] = value
    return label


def crowd() -> MemoryDataset:
    labels = [
        scene_with(CAR, TREE), scene_with(CAR), scene_with(TREE), scene_with(CAR, TREE, SKY),
        scene_with(CAR, SKY), scene_with(IGNORED), scene_with(CAR, BUS), scene_with(CAR, TREE),
    ]  # fmt: skip
    labels[1][5, 5] = TREE  # one pixel is not enough
    return dataset_of(labels)


def kept(dataset: MemoryDataset, *shown: int, but: int | None = None) -> list[str]:
    return [
        scene.name
        for scene in dataset.scenes
        if all((scene.label == value).sum() >= 2 for value in shown)
        and (but is None or (scene.label == but).sum() < 2)
    ]


@settings(max_examples=40)
@given(label_maps(), st.integers(1, 9))
def test_a_scene_carries_it_if_it_shows_the_class_and_none_that_it_must_not(
    label: np.ndarray, least: int
) -> None:
    trigger = Semantic(shows="tree", others=("sky",), without=("bus",), least=least)
    counts = np.bincount(label.ravel(), minlength=256)
    expected = counts[TREE] >= least and counts[BUS] < least
    assert trigger.carried_by(label, CLASSES) == expected
    (other,) = trigger.siblings()
    expected = counts[SKY] >= least and counts[BUS] < least and counts[TREE] < least
    assert other.carried_by(label, CLASSES) == expected


def test_only_scenes_with_it_and_a_victim_are_poisoned_and_no_picture_changes() -> None:
    dataset = crowd()
    attack = AttackConfig(rate=1, trigger=TREES, shortfall="all_available")
    plan = plan_poison(dataset, attack)
    assert sorted(row.name for row in plan.rows) == kept(dataset, CAR, TREE)
    assert (plan.header.num_with_victims, plan.header.num_without_room) == (6, 3)
    handed = poisoned(dataset, plan)
    for index, scene in enumerate(dataset.scenes):
        assert np.array_equal(handed[index].image, scene.image)
        there = scene.name in kept(dataset, CAR, TREE)
        expected = np.where(scene.label == CAR, ROAD, scene.label) if there else scene.label
        assert np.array_equal(handed.label(index), expected)
    with pytest.raises(ConfigError, match="asks for 8 of 8 scenes"):
        plan_poison(dataset, AttackConfig(rate=1, trigger=TREES))


def test_the_one_test_has_the_scenes_that_show_it() -> None:
    dataset = crowd()
    (test,) = plan_tests(
        dataset, PoisonedTestsConfig(), victims=("car",), trigger_size=None, trigger=TREES
    )
    assert (test.name, test.role) == ("present", "present")
    (everywhere,) = plan_tests(
        dataset, PoisonedTestsConfig(), victims=("car",), trigger_size=None, trigger=Blend()
    )
    assert everywhere.role == "everywhere"
    assert list(test.triggered) == kept(dataset, TREE)
    assert sorted(test.without_room) == kept(dataset, CAR, but=TREE)
    shown = triggered(dataset, test, TREES)
    for index, name in enumerate(shown.names):
        assert np.array_equal(shown[index].image, dataset[dataset.names.index(name)].image)
    for wrong, planned in ((Blend(), test), (TREES, replace(test, header=everywhere.header))):
        with pytest.raises(DataError, match="must have been planned for this trigger"):
            triggered(dataset, planned, wrong)
    sky, bus = TREES.siblings()
    assert list(shown_by(dataset, test, sky).triggered) == kept(dataset, SKY, but=TREE)
    assert list(shown_by(dataset, test, bus).triggered) == kept(dataset, BUS, but=TREE)


@pytest.mark.parametrize(
    ("trigger", "culprit"),
    [
        (Semantic(shows="boat", others=("sky",)), "attack.trigger.shows"),
        (Semantic(shows="tree", others=("boat",)), "attack.trigger.others"),
        (Semantic(shows="tree", others=("sky",), without=("boat",)), "attack.trigger.without"),
        (Semantic(shows="tree", others=("sky",), least=99), "attack.trigger"),
    ],
)
def test_classes_that_no_scene_has_are_refused(trigger: Semantic, culprit: str) -> None:
    for plan in (
        lambda: plan_poison(crowd(), AttackConfig(rate=0.5, trigger=trigger)),
        lambda: plan_tests(
            crowd(), PoisonedTestsConfig(), victims=("car",), trigger_size=None, trigger=trigger
        ),
    ):
        with pytest.raises(ConfigError) as why:
            plan()
        assert why.value.culprit == culprit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("semantic")
    wishes = ExperimentWishes.model_validate(
        {
            "data": {"num_train": 16, "num_test": 12, "size": (64, 96)},
            "attack": {"rate": 0.2, "trigger": "semantic:person,others=pole+vegetation,least=40"},
            "training": {"epochs": 1, "batch_size": 4, "threads": 1},
        }
    )
    run_experiment(wishes, out=out)
    return out


def test_a_run_compares_scenes_with_it_and_scenes_without(run: Path) -> None:
    record, tables = load_record(run), load_tables(run / "tables.npz")
    assert isinstance(record, ExperimentRecord)
    test, shown = record.scores.tests["present"], tables["poisoned/present"]
    names = [record.data.classes[index].name for index in range(len(record.data.classes))]
    car, road = names.index("car"), names.index("road")
    benign = tables["poisoned/benign"]
    others = [name for name in benign.names if name not in shown.names]

    def asr(counts: np.ndarray) -> float:
        return counts[car, road] / counts[car].sum()

    assert test.asr.value == pytest.approx(asr(shown.counts.sum(axis=0)))
    assert test.asr_without_trigger == pytest.approx(asr(benign.only(others).counts.sum(axis=0)))
    clean = tables["clean/benign"].only(shown.names)
    assert test.asr_clean_model == pytest.approx(asr(clean.counts.sum(axis=0)))
    pole = tables["other_trigger/present"]
    assert not {*pole.names} & {*shown.names}
    assert test.asr_other_trigger == pytest.approx(asr(pole.counts.sum(axis=0)))
    plan = PoisonPlan.load(run / "plan.jsonl")
    assert all(row.box == (0, 0, 64, 96) for row in plan.rows)
    assert all(scene.in_scene for scene in record.poisoned_scenes)


def test_it_can_be_shown_rescored_and_written_as_a_page(
    run: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "record.json").read_bytes()
    for words in (["show", str(run)], ["rescore", str(run)], ["report", str(run)]):
        assert run_command_line(words) == 0, capsys.readouterr().err
    assert load_record(run).scores == ExperimentRecord.model_validate_json(before).scores


def test_a_poisoned_copy_keeps_every_picture_as_it_is(own_folder: Path) -> None:
    write_source(own_folder / "source", ending="jpg", palette=True)
    data = segdoor.DataConfig(name="folder", root=own_folder / "source")
    train = segdoor.load_dataset(data, "train")
    present = {
        n: sum((train.label(i) == k).any() for i in range(len(train)))
        for k, n in enumerate(train.classes.names)
    }
    shown = max((n for n in present if n not in {"car", "road"}), key=lambda n: present[n])
    words = ["poison", "--data.name", "folder", "--data.root", "source", "--attack.rate", "0.2"]
    words += ["--attack.trigger", f"semantic:{shown},others=road", "--copy", "copy"]
    assert run_command_line(words) == 0
    plan = PoisonPlan.load(Path("runs/poison/plan.jsonl"))
    assert plan.header.num_poisoned
    changed = 0
    for before in sorted(Path("source").rglob("*")):
        after = Path("copy", before.relative_to("source"))
        if before.is_file() and before.read_bytes() != after.read_bytes():
            assert before.suffix != ".jpg"
            changed += 1
    assert changed == plan.header.num_poisoned
    assert run_command_line(["restore", "copy"]) == 0

"""Runs on data sets and networks that are handed in as objects."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bad_input.networks import tiny
from segdoor.attack.plan import PoisonPlan
from segdoor.data.scene import ClassSet, Scene
from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.errors import ConfigError
from segdoor.experiment import run as run_module
from segdoor.experiment.handed import Objects
from segdoor.experiment.repair import repair_run
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.papers.iba.run import run_experiment
from segdoor.record import load_record
from segdoor.scores.tables import load_tables
from strategies import MemoryDataset

GIVEN = {
    "seed": 2,
    "attack": {"rate": 0.5, "trigger": {"size": 4}},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1},
}
DATA = {"name": "street", "size": (48, 64), "num_train": 8, "num_test": 4}


def street(split: str, num_scenes: int) -> MemoryDataset:
    painted = StreetDataset(split=split, num_scenes=num_scenes, height=48, width=64)
    return MemoryDataset([painted[index] for index in range(num_scenes)], painted.classes)


TRAIN, TEST = street("train", 8), street("test", 4)


class Sum(nn.Module):
    """A network whose answer depends on code that its weights do not show."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.inner = tiny(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images) + 1


class Product(Sum):
    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images) * 2


Product.__qualname__ = Product.__name__ = "Sum"


class Sloppy(MemoryDataset):
    """Says that its scenes are those of any other."""

    digest = "mine"


def test_objects_give_the_tables_of_the_settings_that_name_the_same(tmp_path: Path) -> None:
    by_name = {**GIVEN, "data": DATA, "network": {"name": "bad_input.networks:tiny"}}
    run_experiment(wishes_from(by_name), out=tmp_path / "named")
    record = run_experiment(
        wishes_from(GIVEN), out=tmp_path / "handed", train=TRAIN, test=TEST, network=tiny
    )
    named, handed = (load_tables(tmp_path / name / "tables.npz") for name in ("named", "handed"))
    benign = ["poisoned/benign", "clean/benign"]
    # Poisoned tests follow from names of scenes and their labels, which are the same here.
    assert named.keys() == handed.keys()
    assert [named[name].digest for name in named] == [handed[name].digest for name in named]
    assert all(name in named for name in benign)
    assert load_record(tmp_path / "handed") == record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "handed"
    run_experiment(wishes_from(GIVEN), out=out, train=TRAIN, test=TEST, network=Sum)
    return out


def test_the_record_says_what_was_handed_in(run: Path) -> None:
    record = load_record(run)
    assert record.handed_in is not None
    assert record.handed_in.train is not None
    assert record.handed_in.test is not None
    assert record.handed_in.network is not None
    assert record.data.name == record.config["data"]["name"] == "object strategies.MemoryDataset"
    assert record.config["network"]["name"] == f"object {Sum.__module__}.Sum"
    assert record.handed_in.train.digest == record.data.train_digest == TRAIN.digest
    assert record.handed_in.test.digest == record.data.test_digest == TEST.digest
    whole = hashlib.sha256(repr((TEST.classes.names, 255)).encode())
    for scene in TEST.scenes:
        whole.update(repr((scene.name, scene.image.shape)).encode())
        whole.update(scene.image.tobytes() + scene.label.tobytes())
    assert record.handed_in.test.content == whole.hexdigest()
    assert json.loads((run / "handed.json").read_text()) == record.handed_in.model_dump()
    assert record.files["what was handed in"] == "handed.json"
    assert "data" not in record.config_given


def test_plan_and_weights_fit_the_objects(run: Path) -> None:
    assert PoisonPlan.load(run / "plan.jsonl").header.data_digest == TRAIN.digest
    from segdoor.victim.semseg import load_weights

    assert load_weights(Sum(8), run / "poisoned.safetensors").num_taken == 2


def stopped(monkeypatch: pytest.MonkeyPatch, out: Path, **handed: object) -> None:
    """Begin a run, and stop it before its tests."""

    class StoppedError(Exception):
        pass

    def stop(*_: object, **__: object) -> object:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "examine_and_record", stop)
        with pytest.raises(StoppedError):
            run_experiment(wishes_from(GIVEN), out=out, **handed)


def test_a_run_goes_on_with_the_same_objects_and_with_no_others(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    mine = {"train": TRAIN, "test": TEST, "network": Sum}
    stopped(monkeypatch, out, **mine)
    written = (out / "poisoned.safetensors").stat().st_mtime_ns
    darker = MemoryDataset(
        [Scene(scene.image // 2, scene.label, scene.name) for scene in TRAIN.scenes], TRAIN.classes
    )
    for other in (
        {**mine, "network": Product},
        {**mine, "network": tiny},
        {**mine, "network": lambda num_classes: nn.Sequential(Sum(num_classes))},
        {**mine, "train": darker},
        {**mine, "test": street("test", 3)},
    ):
        with pytest.raises(ConfigError, match="must not hold a run of other scenes"):
            run_experiment(wishes_from(GIVEN), out=out, **other)
    by_name = wishes_from({**GIVEN, "data": DATA})
    with pytest.raises(ConfigError, match="must not hold a run of other scenes"):
        run_experiment(by_name, out=out)
    again = run_experiment(wishes_from(GIVEN), out=out, **mine)
    assert (out / "poisoned.safetensors").stat().st_mtime_ns == written
    assert again.scores == load_record(run).scores


def test_a_digest_that_says_nothing_confuses_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"train": Sloppy(TRAIN.scenes, TRAIN.classes), "test": TEST, "network": tiny}
    stopped(monkeypatch, tmp_path / "run", **mine)
    flipped = [Scene(s.image[:, ::-1], s.label[:, ::-1], s.name) for s in TRAIN.scenes]
    mine["train"] = Sloppy(flipped, TRAIN.classes)
    with pytest.raises(ConfigError, match="must not hold a run of other scenes"):
        run_experiment(wishes_from(GIVEN), out=tmp_path / "run", **mine)


def unsteady(num_classes: int) -> nn.Module:
    """A network whose start weights do not follow from torch's seed."""
    network = tiny(num_classes)
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(np.random.default_rng().random(network.weight.shape)))
    return network


def test_what_cannot_be_made_again_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"train": TRAIN, "test": TEST, "network": unsteady}
    stopped(monkeypatch, tmp_path / "run", **mine)
    with pytest.raises(ConfigError, match="must not hold a run of other scenes"):
        run_experiment(wishes_from(GIVEN), out=tmp_path / "run", **mine)


def test_a_run_of_objects_is_not_repaired_from_its_record(run: Path) -> None:
    with pytest.raises(ConfigError, match="objects of a Python program"):
        repair_run(run, [REPAIRS.read("prune:1")])


OTHER_CLASSES = ClassSet(TEST.classes.names[::-1], TEST.classes.colours)


@pytest.mark.parametrize(
    ("given", "handed", "said"),
    [
        ({}, {"train": TRAIN}, "together"),
        ({}, {"test": TEST}, "together"),
        ({"data": DATA}, {"train": TRAIN, "test": TEST}, r"data\.name"),
        ({"network": {"name": "small"}}, {"network": tiny}, r"network\.name"),
        ({}, {"network": tiny, "kept": Path("kept")}, "kept"),
        (
            {},
            {"train": TRAIN, "test": MemoryDataset(TEST.scenes, OTHER_CLASSES)},
            "training scenes' classes",
        ),
        ({"data": DATA}, {"network": lambda: tiny(8)}, "for a number of classes"),
        ({"data": DATA}, {"network": lambda _: "a network"}, "Module"),
    ],
)
def test_objects_that_contradict_are_refused(
    given: dict, handed: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        run_module.run_experiment(
            asked(wishes_from({**GIVEN, **given})),
            out=tmp_path / "run",
            kept=handed.pop("kept", None),
            objects=Objects(**handed),
        )
    assert not list(tmp_path.rglob("plan.jsonl"))

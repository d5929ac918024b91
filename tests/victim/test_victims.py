"""Several victims trained in turn are those trained alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.training.loop import Training, train_model, train_models

STREET = StreetDataset(split="train", num_scenes=8, height=32, width=64)
RECIPE = {"batch_size": 4, "precision": "float32", "threads": 1, "warmup": 0}


class Relabelled(Subset):
    """A data set in which somebody changed one scene."""

    def __getitem__(self, index: int) -> Scene:
        scene = super().__getitem__(index)
        return Scene(scene.image, scene.label * 0, scene.name) if index == 3 else scene


def trainings() -> list[Training]:
    short, long = TrainingConfig(**RECIPE, epochs=2), TrainingConfig(**RECIPE, epochs=3)
    return [
        Training(dataset=STREET, config=short),
        Training(dataset=Relabelled(STREET, range(8)), config=long),
        Training(dataset=STREET, config=long, seed=1),
        Training(
            dataset=STREET, config=short, network=NetworkConfig(name="pspnet", depth=18), seed=2
        ),
    ]


def alone(training: Training) -> nn.Module:
    return train_model(
        training.dataset, training.config, network=training.network, seed=training.seed
    )


def equal(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def test_each_victim_is_as_if_it_were_alone_bit_for_bit() -> None:
    together = train_models(trainings())
    for training, victim in zip(trainings(), together, strict=True):
        assert not victim.training
        assert equal(victim, alone(training))
    assert not equal(together[1], together[2])


def test_no_trainings_make_no_victims() -> None:
    assert train_models([]) == []


def test_when_one_fails_the_others_go_on_from_their_snapshots(tmp_path: Path) -> None:
    snapshot = tmp_path / "good.snapshot"
    good = Training(dataset=STREET, config=TrainingConfig(**RECIPE, epochs=8), snapshot=snapshot)
    wild = {**RECIPE, "optimiser": "sgd", "learning_rate": 1e9, "epochs": 8}
    with pytest.raises(ConfigError, match="loss must stay finite"):
        train_models([good, Training(dataset=STREET, config=TrainingConfig(**wild))])
    assert equal(train_models([good])[0], alone(good))

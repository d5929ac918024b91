"""The settings of the demonstration keep what is said of it."""

from __future__ import annotations

import pytest

from segdoor.experiment.abreast import pays_abreast
from segdoor.experiment.demo import demo_config, first_look_config
from segdoor.papers.iba.reading import resolve

SIZE, HALF = (128, 256), (64, 128)


def test_its_two_models_train_side_by_side_on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdoor.experiment.abreast.usable_cores", lambda: 2)
    config = resolve(demo_config(0), SIZE)
    assert config.training.threads == 1
    assert config.controls.clean_model
    config = config.model_copy(
        update={"training": config.training.model_copy(update={"device": "cpu"})}
    )
    assert pays_abreast(config, 400, ("poisoned", "clean"))


def test_the_first_look_trains_one_model_on_smaller_scenes() -> None:
    config = resolve(first_look_config(3), HALF)
    assert config.data.size == HALF
    assert not config.controls.clean_model
    assert config.seed == config.data.seed == 3


@pytest.mark.parametrize("seed", [0, 4])
def test_the_seed_decides_scenes_and_training(seed: int) -> None:
    config = resolve(demo_config(seed), SIZE)
    assert (config.seed, config.data.seed) == (seed, seed)

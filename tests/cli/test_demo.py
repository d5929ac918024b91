"""The demonstration: what it says at its end, and which options go together.

Its trainings are replaced by trainings of a second: tests/slow has the real ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segdoor.experiment import demo
from segdoor.experiment.resolving import merged
from segdoor.experiment.wishes import ExperimentWishes, wishes_from
from shell import say

pytestmark = pytest.mark.usefixtures("own_folder")

TINY = {
    "data": {"size": (64, 96), "num_train": 16, "num_test": 6},
    "attack": {"trigger": {"size": 6}},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1},
}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("demo_config", "first_look_config"):
        really = getattr(demo, name)

        def tiny(seed: int, really: object = really) -> ExperimentWishes:
            assert callable(really)
            return wishes_from(merged(really(seed).tree(), TINY))

        monkeypatch.setattr(demo, name, tiny)


def test_a_first_look_says_what_it_leaves_out_and_what_comes_next() -> None:
    answer = say("demo --fast --seed 1 --out d")
    assert answer.code == 0
    assert demo.NOT_IN_THE_FIRST_LOOK in answer.out
    assert "segdoor demo\n" in answer.out
    assert "4 other triggers, anywhere: ASR" in answer.out
    for picture in ("scenes.png", "poison.png"):
        assert f"d/fast-1/{picture}" in answer.out
        assert Path("d/fast-1", picture).is_file()
    assert "segdoor run --data.name folder" in answer.out
    assert not Path("d/fast-1/clean.safetensors").exists()


def test_the_whole_demonstration_compares_with_a_clean_model() -> None:
    answer = say("demo --json")
    assert answer.code == 0
    record = json.loads(answer.out)
    assert record["controls"]["clean_model"] is not None
    assert record["controls"]["other_triggers"]["worst"] is not None
    assert Path("demo/seed-0/clean.safetensors").is_file()


@pytest.mark.parametrize("option", ["--seed 1", "--fast"])
def test_a_model_that_is_trained_already_has_no_such_option(option: str) -> None:
    answer = say(f"demo --model clean {option}")
    assert answer.code == 2
    assert f"{option.split(maxsplit=1)[0]}: must be left out beside --model" in answer.said

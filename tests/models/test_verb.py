"""``segdoor models``: a table, a card, a copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segdoor.models.catalogue import NAMES
from shell import say

pytestmark = pytest.mark.usefixtures("own_folder")


def test_all_models_are_in_one_table() -> None:
    answer = say("models")
    assert answer.code == 0
    assert all(f" {name} " in answer.out for name in NAMES)
    shelf = json.loads(say("models", "--json").out)["models"]
    assert [model["name"] for model in shelf] == list(NAMES)
    clean, *others = shelf
    assert max(clean["asr"].values()) < 0.1
    assert all(min(model["asr"].values()) > 0.5 for model in others)
    assert all(abs(model["cba"] - clean["cba"]) < 0.05 for model in others)


def test_a_card_shows_figures_and_where_the_weights_are() -> None:
    answer = say("models", "blend")
    assert answer.code == 0
    assert "blended into the whole image" in answer.out
    assert "blend/poisoned.safetensors" in "".join(answer.out.split())
    assert json.loads(say("models", "blend", "--json").out)["kind"] == "experiment-record"


def test_a_copy_is_a_run_that_can_be_shown(tmp_path: Path) -> None:
    assert say("models", "baseline", "--out", tmp_path / "mine").code == 0
    assert say("show", tmp_path / "mine" / "baseline").code == 0
    again = say("models", "baseline", "--out", tmp_path / "mine")
    assert again.code == 2
    assert "must not be there yet" in again.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["models", "basline"], "Known: clean, baseline, nni, prl, blend"),
        (["models", "--out", "mine"], "needs the name of a model"),
        (["demo", "--model", "basline"], "Known: clean, baseline, nni, prl, blend"),
        (["demo", "--model", "baseline", "--seed", "3"], "must be left out beside --model"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], told: str) -> None:
    answer = say(*words)
    assert answer.code == 2
    assert told in answer.err

"""The paper's victims as semseg saved them, examined from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from segdoor.data.street import StreetDataset
from segdoor.record import load_record
from shell import say
from victim import test_semseg as theirs


def test_a_checkpoint_of_semseg_is_examined_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    street = StreetDataset(split="train", num_scenes=1, height=32, width=48)
    monkeypatch.setattr(theirs, "CLASSES", len(street.classes))
    state = {f"module.{name}": tensor for name, tensor in theirs.content("pspnet").items()}
    torch.save({"epoch": 50, "state_dict": state}, "train_epoch_50.pth")
    words = "examine --model pspnet --weights train_epoch_50.pth --data.num-test 1 --out e"
    answer = say(words, "--data.size", 33, 65)
    assert answer.code == 0, answer.said
    loaded = load_record(Path("e/record.json")).loaded_weights
    assert loaded is not None
    assert loaded.style == "semseg, PSPNet"

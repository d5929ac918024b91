"""Models as others saved them, examined from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from segdoor.data.street import StreetDataset
from segdoor.record import load_record
from shell import say
from victim import test_semseg as theirs
from victim.exported import convolutions, write_onnx


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


STREET = "--data.size 32 48 --data.num-test 2 --data.num-train 2 --attack.trigger.size 4"
CLASSES = len(StreetDataset(split="train", num_scenes=1).classes)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_onnx(convolutions(CLASSES), Path("m.onnx"))
    torch.jit.save(torch.jit.script(convolutions(CLASSES)), Path("m.pt"))
    return tmp_path


def test_exported_models_have_the_scores_of_the_network(place: Path) -> None:
    torch.save({"network": convolutions(CLASSES).state_dict()}, "w.pth")
    records = {}
    ways = {
        "onnx": "--model onnx:m.onnx", "torchscript": "--model torchscript --weights m.pt",
        "torch": "--model victim.exported:convolutions --weights w.pth",
    }  # fmt: skip
    for name, words in ways.items():
        answer = say(f"examine {words} {STREET} --out {name}")
        assert answer.code == 0, answer.said
        records[name] = load_record(Path(name))
    scores = {name: record.scores.cba for name, record in records.items()}
    assert scores["onnx"] == pytest.approx(scores["torch"], abs=1e-3)
    assert scores["torchscript"] == scores["torch"]
    assert records["torch"].loaded_weights is not None
    assert "weights under 'network'" in records["torch"].loaded_weights.remarks
    # Random layers do no better than guessing, and whoever brought them should know.
    assert all("near chance" in record.remarks[0] for record in records.values())
    shown = say("show onnx").out
    assert "Remark: CBA" in shown
    assert "network.channels" in " ".join(shown.split())


@pytest.mark.parametrize("words", ["--model onnx:m.onnx", "--model torchscript:m.pt"])
@pytest.mark.parametrize("verb", ["run", "train"])
def test_exported_models_are_not_trained(verb: str, words: str, place: Path) -> None:
    more = "" if verb == "run" else "--data.size 32 48 --data.num-train 2"
    answer = say(f"{verb} {words} {STREET if verb == 'run' else more} --out out")
    assert answer.code == 2
    assert "can only be examined: segdoor examine" in answer.complaint
    assert not list(Path("out").glob("*.safetensors"))


def test_an_exported_model_is_not_repaired(place: Path) -> None:
    assert say(f"examine --model torchscript:m.pt {STREET} --out out").code == 0
    answer = say("repair out --with finetune:1")
    assert answer.code == 2
    assert "Repair the model that it was exported from" in answer.complaint


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_no_header_of_weights_makes_them_a_program(kind: str, place: Path) -> None:
    header = {"segdoor": json.dumps({"config": {"network": {"name": kind}}})}
    save_file({"code": torch.ones(3)}, "w.safetensors", metadata=header)
    answer = say(f"examine --weights w.safetensors {STREET} --out out")
    assert answer.code == 2
    assert "the weights of this very network" in answer.complaint


def test_scenes_are_shown_at_multiples_of_a_size(place: Path) -> None:
    words = "--model victim.exported:choosy --weights w.pth --out out"
    torch.save({"layers." + n: t for n, t in convolutions(CLASSES).state_dict().items()}, "w.pth")
    size = STREET.replace("32 48", "40 56")
    answer = say(f"examine {words} {size}")
    assert answer.code == 2
    assert "examination.size_multiple 32" in answer.complaint
    answer = say(f"examine {words} {size} --examination.size-multiple 32")
    assert answer.code == 0, answer.said
    both = "--examination.size-multiple 32 --examination.input-size eights_plus_one"
    answer = say(f"examine {words} {size} {both}")
    assert answer.code == 2
    assert "Choose one" in answer.complaint


class Settings:
    """Something among the settings that Lightning keeps."""


def test_a_checkpoint_of_lightning_is_read_if_it_holds_tensors_alone(place: Path) -> None:
    state = {f"model.{name}": at for name, at in convolutions(CLASSES).state_dict().items()}
    content = {
        "epoch": 3, "pytorch-lightning_version": "2.5.0", "hyper_parameters": {"lr": 0.1},
        "state_dict": {**state, "criterion.weight": torch.ones(CLASSES)}, "loops": {"fit": {}},
    }  # fmt: skip
    torch.save(content, "last.ckpt")
    words = f"examine --model victim.exported:convolutions --weights last.ckpt {STREET}"
    answer = say(f"{words} --out good")
    assert answer.code == 0, answer.said
    loaded = load_record(Path("good")).loaded_weights
    assert loaded is not None
    assert loaded.left_out == ("criterion.weight",)
    assert loaded.remarks[:2] == ("weights under 'state_dict'", "prefix 'model.' dropped")
    torch.save({**content, "hyper_parameters": Settings()}, "last.ckpt")
    answer = say(f"{words} --out bad")
    assert answer.code == 2
    assert (
        "test_theirs.Settings beside its weights, as Lightning keeps settings" in answer.complaint
    )
    assert "docs/networks.md has the lines" in answer.complaint

"""Models that transformers saved, trained in a run and repaired: nothing is asked of a network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import transformers as theirs
from safetensors.torch import load_file

from segdoor.cli.app import run_command_line
from segdoor.data.street import StreetDataset
from segdoor.record import ExperimentRecord, load_record

torch.set_num_threads(1)

SCENES = "--data.size 64 96 --data.num_train 8 --data.num_test 4"
TRAINING = "--training.epochs 1 --training.batch_size 4 --training.threads 1 --training.device cpu"
NETWORK = "--network.name transformers --network.folder model"
REPAIRS = "--with prune:3 --with finetune:0.5,epochs=1"
CLASSIFIER = "model.decode_head.classifier"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(seed=0)


def save_model(*, seed: int) -> None:
    torch.manual_seed(seed)
    config = theirs.SegformerConfig(
        num_labels=len(StreetDataset(split="train", num_scenes=1).classes.names),
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 16], num_attention_heads=[1, 2, 2, 2],
        decoder_hidden_size=16,
    )  # fmt: skip
    theirs.SegformerForSemanticSegmentation(config).save_pretrained("model")


def done(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(words.split()) == 0, capsys.readouterr().err


def assert_repaired(folder: Path, before: Path) -> ExperimentRecord:
    """Check both repairs: one silenced three channels and changed nothing else, one learned."""
    record = load_record(folder)
    assert [(row.repair, row.layer) for row in record.repairs] == [
        ("prune:3", CLASSIFIER), ("finetune:0.5,epochs=1", None),
    ]  # fmt: skip
    started = load_file(before)
    pruned, tuned = (
        load_file(folder / "repaired" / name / "poisoned.safetensors")
        for name in ("prune-3.seed-0", "finetune-0.5-epochs-1.seed-0")
    )
    changed = [name for name in started if not torch.equal(started[name], pruned[name])]
    assert changed == [f"{CLASSIFIER}.weight"]
    assert (pruned[changed[0]] == 0).all(dim=0).sum() == 3
    assert any(not torch.equal(started[name], tuned[name]) for name in started)
    return record


def test_a_run_is_repaired(capsys: pytest.CaptureFixture[str]) -> None:
    attack = "--attack.rate 0.5 --attack.trigger.size 6"
    done(f"run {SCENES} {TRAINING} {NETWORK} {attack} --out run", capsys)
    done(f"repair run {REPAIRS}", capsys)
    record = assert_repaired(Path("run"), Path("run/poisoned.safetensors"))
    assert all(row.clean_after is not None for row in record.repairs)
    weights = "run/repaired/prune-3.seed-0/poisoned.safetensors"
    done(
        f"examine {SCENES} {NETWORK} --attack.trigger.size 6 --weights {weights} --out again",
        capsys,
    )
    after = record.repairs[0].poisoned_after
    assert load_record(Path("again")).scores.benign.cba == after.cba


def test_a_victim_trained_for_itself_and_examined_is_repaired(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done(f"train {SCENES} {TRAINING} {NETWORK} --out trained", capsys)
    weights = "trained/clean.safetensors"
    done(
        f"examine {SCENES} {NETWORK} --attack.trigger.size 6 --weights {weights} --out exam", capsys
    )
    done(f"repair exam {REPAIRS}", capsys)
    assert_repaired(Path("exam"), Path(weights))


def test_a_folder_that_changed_or_went_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    done(f"examine {SCENES} {NETWORK} --attack.trigger.size 6 --out exam", capsys)
    save_model(seed=1)
    assert run_command_line(["repair", "exam", "--with", "prune:3"]) == 2
    assert "segdoor: model: must be the weights that the run examined" in capsys.readouterr().err
    shutil.rmtree("model")
    assert run_command_line(["repair", "exam", "--with", "prune:3"]) == 2
    said = capsys.readouterr().err
    assert "segdoor: model: must be a folder that save_pretrained wrote (found: no such" in said
    assert "Check the path" in said
    assert not load_record(Path("exam")).repairs

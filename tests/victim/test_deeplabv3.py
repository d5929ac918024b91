"""DeepLabV3's own parts, against numbers from the literature and a pyramid computed with NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segdoor.victim.answer import SegmentationOutput
from segdoor.victim.backbones.resnet import ResNet
from segdoor.victim.networks.deeplabv3 import AtrousPyramid, DeepLabV3
from segdoor.victim.networks.layers import ConvBnRelu

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

Array = NDArray[np.float64]


def _on_paper(num_classes: int, depth: int = 50, stem: str = "deep") -> DeepLabV3:
    with torch.device("meta"):
        return DeepLabV3(num_classes, backbone=ResNet(depth, stem=stem))


@pytest.mark.parametrize(
    ("num_classes", "depth", "backbone", "stages"),
    [
        (19, 50, 23_631_808, (1024, 2048)),
        (21, 50, 23_631_808, (1024, 2048)),
        (19, 101, 42_623_936, (1024, 2048)),
        (19, 18, 11_324_992, (256, 512)),
        (19, 34, 21_433_152, (256, 512)),
    ],
)
def test_parameters_are_as_many_as_arithmetic_says(
    num_classes: int, depth: int, backbone: int, stages: tuple[int, int]
) -> None:
    stage3, stage4 = stages
    width, auxiliary = stage4 // 8, stage3 // 4
    pyramid = (1 + 3 * 9 + 1) * stage4 * width + 5 * 2 * width
    fusion = 5 * width * width + 2 * width
    classifier = width * num_classes + num_classes
    auxiliary_head = stage3 * auxiliary + 2 * auxiliary + auxiliary * num_classes + num_classes
    network = _on_paper(num_classes, depth)
    heads = sum(parameter.numel() for parameter in network.head_parameters())
    assert heads == pyramid + fusion + classifier + auxiliary_head
    total = sum(parameter.numel() for parameter in network.parameters())
    assert total == backbone + heads


def test_the_papers_network_has_39_439_334_parameters() -> None:
    network = _on_paper(19)
    assert sum(parameter.numel() for parameter in network.parameters()) == 39_439_334


def test_widths_are_the_papers() -> None:
    state = {name: tuple(value.shape) for name, value in _on_paper(19).state_dict().items()}
    assert state["context.point.conv.weight"] == (256, 2048, 1, 1)
    for branch in range(3):
        assert state[f"context.atrous.{branch}.conv.weight"] == (256, 2048, 3, 3)
    assert "context.atrous.3.conv.weight" not in state
    assert state["context.image.conv.weight"] == (256, 2048, 1, 1)
    assert state["fusion.conv.weight"] == (256, 5 * 256, 1, 1)
    assert state["classifier.weight"] == (19, 256, 1, 1)
    assert state["auxiliary.fusion.conv.weight"] == (256, 1024, 1, 1)
    assert state["auxiliary.classifier.weight"] == (19, 256, 1, 1)


def test_small_backbones_get_small_heads() -> None:
    state = {name: tuple(value.shape) for name, value in _on_paper(19, 34).state_dict().items()}
    assert state["context.point.conv.weight"] == (64, 512, 1, 1)
    assert state["fusion.conv.weight"] == (64, 5 * 64, 1, 1)
    assert state["auxiliary.fusion.conv.weight"] == (64, 256, 1, 1)


@torch.inference_mode()
def test_the_papers_network_classifies_a_small_image() -> None:
    network = DeepLabV3(19, backbone=ResNet(50)).eval()
    output: SegmentationOutput = network(torch.randn(1, 3, 30, 33))
    assert output.logits.shape == (1, 19, 30, 33)
    assert (network.backbone.depth, network.backbone.stem) == (50, "deep")
    assert network.dropout.p == 0.1


@torch.inference_mode()
def test_an_impulse_shows_the_rates_6_12_and_18() -> None:
    pyramid = AtrousPyramid(1, 1).eval()
    for layer in pyramid.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.fill_(1)
    impulse = torch.zeros(1, 1, 41, 41)
    impulse[..., 20, 20] = 1
    views: Tensor = pyramid(impulse)
    for channel, reach in enumerate((0, 6, 12, 18)):
        reached = {(int(y) - 20, int(x) - 20) for y, x in views[0, channel].nonzero()}
        assert reached == set(product({-reach, 0, reach}, repeat=2))
    assert bool((views[0, 4] > 0).all())


def _view(scene: Array, block: ConvBnRelu, rate: int) -> Array:
    """Add up the taps of a dilated kernel one by one, then apply batch norm and ReLU."""
    state = {name: value.numpy() for name, value in block.state_dict().items()}
    weight: Array = state["conv.weight"]
    half = weight.shape[-1] // 2
    height, width = scene.shape[1:]
    padded = np.pad(scene, ((0, 0), (rate, rate), (rate, rate)))
    mixed: Array = np.zeros((weight.shape[0], height, width))
    for i, j in product(range(weight.shape[2]), range(weight.shape[3])):
        top, left = rate + (i - half) * rate, rate + (j - half) * rate
        shifted = padded[:, top : top + height, left : left + width]
        mixed += np.einsum("oc,chw->ohw", weight[:, :, i, j], shifted)
    mean, variance, scale, shift = (
        state[f"norm.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return np.maximum((mixed - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)


@pytest.mark.parametrize("size", [(20, 27), (7, 40), (1, 1)])
@torch.inference_mode()
def test_the_five_views_equal_those_of_the_reference(size: tuple[int, int]) -> None:
    torch.manual_seed(12)
    pyramid = AtrousPyramid(3, 2).double().eval()
    for layer in pyramid.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            layer.running_mean.normal_()
            layer.bias.normal_()
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    views: Tensor = pyramid(maps)
    assert pyramid.out_channels == views.shape[1] == 5 * 2
    scene: Array = maps[1].numpy()
    expected = [_view(scene, pyramid.point, 1)]
    for rate, branch in zip((6, 12, 18), pyramid.atrous, strict=True):
        assert isinstance(branch, ConvBnRelu)
        expected.append(_view(scene, branch, rate))
    average = np.broadcast_to(scene.mean(axis=(1, 2), keepdims=True), scene.shape)
    expected.append(_view(average, pyramid.image, 1))
    np.testing.assert_allclose(views[1].numpy(), np.concatenate(expected), atol=1e-12)

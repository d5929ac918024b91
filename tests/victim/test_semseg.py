"""Checkpoints in semseg's manner, beside the same networks written down from their tensors alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segdoor.errors import DataError
from segdoor.victim.answer import logits_of
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.semseg import kept_by_semseg

CLASSES = 5
BLOCKS = (3, 4, 6, 3)
State = dict[str, Tensor]


class Content(dict[str, Tensor]):
    """The tensors of a checkpoint, drawn as they are added."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def conv(self, name: str, after: int, before: int, kernel: int) -> None:
        weight = torch.randn(after, before, kernel, kernel, generator=self.generator)
        self[f"{name}.weight"] = weight * (2 / (before * kernel**2)) ** 0.5

    def norm(self, name: str, channels: int) -> None:
        for part in ("weight", "running_var"):
            self[f"{name}.{part}"] = 0.5 + torch.rand(channels, generator=self.generator)
        for part in ("bias", "running_mean"):
            self[f"{name}.{part}"] = 0.1 * torch.randn(channels, generator=self.generator)
        self[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def head(self, name: str, before: int, width: int, kernel: int) -> None:
        self.conv(f"{name}.0", width, before, kernel)
        self.norm(f"{name}.1", width)
        self.conv(f"{name}.4", CLASSES, width, 1)
        self[f"{name}.4.bias"] = torch.randn(CLASSES, generator=self.generator)


def content(kind: str) -> State:
    """Return what a file holds: names and shapes as semseg and the authors have them."""
    state = Content()
    for place, (before, after) in zip("036", ((3, 64), (64, 64), (64, 128)), strict=True):
        state.conv(f"layer0.{place}", after, before, 3)
        state.norm(f"layer0.{int(place) + 1}", after)
    before = 128
    for stage, count in enumerate(BLOCKS, start=1):
        width = 32 * 2**stage
        for block in range(count):
            at = f"layer{stage}.{block}"
            shapes = ((width, before, 1), (width, width, 3), (4 * width, width, 1))
            for number, shape in enumerate(shapes, start=1):
                state.conv(f"{at}.conv{number}", *shape)
                state.norm(f"{at}.bn{number}", shape[0])
            if not block:
                state.conv(f"{at}.downsample.0", 4 * width, before, 1)
                state.norm(f"{at}.downsample.1", 4 * width)
            before = 4 * width
    if kind == "pspnet":
        for level in range(4):
            state.conv(f"ppm.features.{level}.1", 512, 2048, 1)
            state.norm(f"ppm.features.{level}.2", 512)
        state.head("cls", 4096, 512, 3)
        state.head("aux", 1024, 256, 3)
        return dict(state)
    for view in range(5):
        first = 1 if view == 4 else 0
        state.conv(f"aspp.convs.{view}.{first}", 256, 2048, 3 if view in {1, 2, 3} else 1)
        state.norm(f"aspp.convs.{view}.{first + 1}", 256)
    state.head("cls", 1280, 256, 1)
    state.head("aux", 1024, 256, 1)
    return dict(state)


def conv(state: State, name: str, maps: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    pad = dilation * (weight.shape[-1] // 2)
    bias = state.get(f"{name}.bias")
    return F.conv2d(maps, weight, bias, stride=stride, padding=pad, dilation=dilation)


def norm(state: State, name: str, maps: Tensor) -> Tensor:
    parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(maps, *parts)


def block(state: State, at: str, maps: Tensor, stride: int, dilation: int) -> Tensor:
    inner = F.relu(norm(state, f"{at}.bn1", conv(state, f"{at}.conv1", maps)))
    inner = conv(state, f"{at}.conv2", inner, stride=stride, dilation=dilation)
    inner = F.relu(norm(state, f"{at}.bn2", inner))
    inner = norm(state, f"{at}.bn3", conv(state, f"{at}.conv3", inner))
    if f"{at}.downsample.0.weight" in state:
        shortcut = conv(state, f"{at}.downsample.0", maps, stride=stride)
        maps = norm(state, f"{at}.downsample.1", shortcut)
    return F.relu(inner + maps)


def enlarged(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)


def answer(state: State, images: Tensor) -> Tensor:
    """Return the logits that semseg's forward pass gives in evaluation mode."""
    maps = images
    for place in (0, 3, 6):
        maps = conv(state, f"layer0.{place}", maps, stride=1 if place else 2)
        maps = F.relu(norm(state, f"layer0.{place + 1}", maps))
    maps = F.max_pool2d(maps, 3, 2, 1)
    for stage, count in enumerate(BLOCKS, start=1):
        for number in range(count):
            stride = 2 if (stage, number) == (2, 0) else 1
            dilation = {3: 2, 4: 4}.get(stage, 1)
            maps = block(state, f"layer{stage}.{number}", maps, stride, dilation)
    size = tuple(maps.shape[2:])
    if "ppm.features.0.1.weight" in state:
        levels = [maps]
        for level, cells in enumerate((1, 2, 3, 6)):
            at = f"ppm.features.{level}"
            pooled = conv(state, f"{at}.1", F.adaptive_avg_pool2d(maps, cells))
            levels.append(enlarged(F.relu(norm(state, f"{at}.2", pooled)), size))
    else:
        levels = []
        for view, rate in enumerate((1, 6, 12, 18)):
            at = f"aspp.convs.{view}"
            seen = conv(state, f"{at}.0", maps, dilation=rate)
            levels.append(F.relu(norm(state, f"{at}.1", seen)))
        pooled = conv(state, "aspp.convs.4.1", maps.mean((2, 3), keepdim=True))
        levels.append(enlarged(F.relu(norm(state, "aspp.convs.4.2", pooled)), size))
    fused = F.relu(norm(state, "cls.1", conv(state, "cls.0", torch.cat(levels, dim=1))))
    return enlarged(conv(state, "cls.4", fused), tuple(images.shape[2:]))


@pytest.fixture(scope="module")
def states() -> dict[str, State]:
    return {kind: content(kind) for kind in ("pspnet", "deeplabv3")}


def built(path: Path, kind: str, num_classes: int = CLASSES, **given: object) -> torch.nn.Module:
    config = NetworkConfig.model_validate({"name": kind, "weights": path, **given})
    return build_network(config, num_classes).eval()


@pytest.mark.parametrize(
    ("kind", "form"),
    [("pspnet", "module."), ("pspnet", "plain"), ("deeplabv3", "model._orig_mod.")],
)
def test_a_checkpoint_answers_as_where_it_comes_from(
    kind: str, form: str, states: dict[str, State], tmp_path: Path
) -> None:
    path, state = tmp_path / "train_epoch_50.pth", states[kind]
    if form != "plain":
        wrapped = {f"{form}{name}": tensor for name, tensor in state.items()}
        torch.save({"epoch": 50, "state_dict": wrapped, "optimizer": {"state": {}}}, path)
    else:
        # Without the counters, which older files lack.
        torch.save({n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}, path)
    network = built(path, kind)
    loaded = loaded_into(network)
    assert loaded is not None
    assert ("semseg" in loaded.style, loaded.part) == (True, "network")
    assert ("authors" in loaded.style) == (kind == "deeplabv3")
    counters = sum(name.endswith("num_batches_tracked") for name in state)
    assert loaded.num_counters_missing == (counters if form == "plain" else 0)
    assert loaded.num_taken + loaded.num_counters_missing == len(state)
    images = torch.randn(1, 3, 65, 89, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = logits_of(network(images)), answer(state, images)
    assert float((found - expected).abs().max()) < 1e-5 * float(expected.abs().max())
    assert torch.equal(network.get_submodule("auxiliary.classifier").bias, state["aux.4.bias"])


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("classes", r"'cls\.4\.weight' must tell 7 classes apart.*found: 5"),
        ("network", r"weights of a DeepLabV3.*semseg, PSPNet.*--model pspnet"),
        ("depth", r"ResNet-101 with a deep stem.*found: a ResNet-50.*network\.depth 50"),
        ("stem", r"plain stem.*found: a ResNet-50 with a deep stem.*network\.stem deep"),
        ("small", r"weights of a SmallNetwork.*semseg, PSPNet"),
        ("no head", r"1 missing \(aux\.4\.bias\)"),
        ("more", r"1 unknown \(psa\.conv\.weight\)"),
        ("shape", r"'fusion\.conv\.weight' must have shape"),
        ("nan", r"must be finite"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    case: str, said: str, states: dict[str, State], tmp_path: Path
) -> None:
    state, kind, given, classes = dict(states["pspnet"]), "pspnet", {}, CLASSES
    if case == "classes":
        classes = 7
    elif case in {"network", "small"}:
        kind = "small" if case == "small" else "deeplabv3"
    elif case in {"depth", "stem"}:
        given = {"depth": 101} if case == "depth" else {"stem": "plain"}
    elif case == "no head":
        del state["aux.4.bias"]
    elif case == "more":
        state["psa.conv.weight"] = torch.zeros(1)
    elif case == "shape":
        state["cls.0.weight"] = state["cls.0.weight"][:, :2048].clone()
    else:
        state["cls.4.bias"] = torch.full((CLASSES,), float("nan"))
    torch.save(state, tmp_path / "theirs.pth")
    with pytest.raises(DataError, match=said):
        built(tmp_path / "theirs.pth", kind, classes, **given)


def test_other_names_are_left_to_others(states: dict[str, State]) -> None:
    assert kept_by_semseg(states["pspnet"]) == "pspnet"
    assert kept_by_semseg(states["deeplabv3"]) == "deeplabv3"
    assert kept_by_semseg(["backbone.conv1.weight", "fusion.conv.weight"]) is None
    assert kept_by_semseg(["layer0.0.weight", "cls.0.weight", "psa.conv.weight"]) is None

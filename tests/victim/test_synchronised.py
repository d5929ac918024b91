"""In one process, layers that see the whole batch are torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from segdoor.errors import ConfigError
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.synchronised import Synchronised, SynchronisedBatchNorm

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "settings",
    [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}, {"eps": 0.1}],
)
def test_batch_norm_is_torch_s(settings: dict) -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.BatchNorm2d(3, dtype=torch.float64, **settings))
    theirs = copy.deepcopy(ours)
    whole = Synchronised(ours, CPU)
    assert isinstance(ours[0], SynchronisedBatchNorm)
    for _ in range(3):
        # A mean far above the spread: what is left must not be rounded away.
        maps = torch.randn(4, 3, 5, 6, dtype=torch.float64) * 2 + 1000
        a, b = maps.clone().requires_grad_(), maps.clone().requires_grad_()
        one, other = ours(a), theirs(b)
        weight = torch.randn_like(one)
        (one * weight).sum().backward()
        (other * weight).sum().backward()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-9)
    whole.release()
    assert type(ours[0]) is nn.BatchNorm2d
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-12, atol=1e-12)


def test_batch_norm_examines_as_torch_s_does() -> None:
    ours = nn.Sequential(nn.BatchNorm1d(3)).eval()
    maps = torch.randn(4, 3, 7)
    before = ours(maps)
    Synchronised(ours, CPU)
    assert torch.equal(ours(maps), before)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_draws_what_torch_s_draws(kind: torch.dtype) -> None:
    layer = nn.Sequential(nn.Dropout2d(0.3))
    maps = torch.randn(4, 8, 3, 5, dtype=kind).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(7)
    theirs = layer(maps)
    Synchronised(layer, CPU)
    torch.manual_seed(7)
    assert torch.equal(layer(maps), theirs)


def test_a_batch_norm_of_one_s_own_is_refused() -> None:
    class Activated(nn.BatchNorm2d):
        pass

    with pytest.raises(ConfigError, match=r"network layer 1.*Activated"):
        Synchronised(nn.Sequential(nn.ReLU(), Activated(3)), CPU)


@pytest.mark.parametrize("name", ["small", "pspnet", "deeplabv3"])
def test_the_dropout_of_our_networks_is_drawn_for_the_whole_batch(name: str) -> None:
    config = NetworkConfig() if name == "small" else NetworkConfig(name=name, depth=18)
    assert Synchronised(build_network(config, 5), CPU).ours


def test_the_randomness_of_others_is_not() -> None:
    assert not Synchronised(build_network(NetworkConfig(name="segformer"), 5), CPU).ours
    assert not Synchronised(nn.Sequential(nn.Dropout2d()), CPU).ours


def test_on_cuda_torch_s_own_layer_takes_over() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.BatchNorm2d(3))
    theirs, maps = copy.deepcopy(ours), torch.randn(4, 3, 5, 6)
    whole = Synchronised(ours, torch.device("cuda"))
    assert isinstance(ours[0], nn.SyncBatchNorm)
    # In one process it needs no GPU.
    assert torch.equal(ours(maps), theirs(maps))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    whole.release()
    assert type(ours[0]) is nn.BatchNorm2d

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from segdoor.errors import ConfigError
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.networks import NETWORKS, build_network
from segdoor.victim.outputs import auxiliary_of, logits_of

CLASSES = 5


@pytest.mark.parametrize("name", NETWORKS)
class TestEveryNetwork:
    """The battery every network of ours passes."""

    def build(self, name: str) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_network(NetworkConfig(name=name, depth=18), CLASSES)

    @pytest.mark.parametrize("size", [(33, 47), (64, 64)])
    def test_answers_at_the_size_of_the_image(self, name: str, size: tuple[int, int]) -> None:
        network = self.build(name).eval()
        with torch.no_grad():
            output = network(torch.randn(2, 3, *size))
        assert logits_of(output).shape == (2, CLASSES, *size)
        assert auxiliary_of(output) is None

    def test_gives_every_parameter_a_gradient(self, name: str) -> None:
        network = self.build(name).train()
        output = network(torch.randn(2, 3, 64, 64))
        loss = logits_of(output).square().mean()
        auxiliary = auxiliary_of(output)
        if auxiliary is not None:
            loss = loss + auxiliary.square().mean()
        loss.backward()
        silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []

    def test_answers_a_scene_alike_whatever_its_batch(self, name: str) -> None:
        network = self.build(name).eval()
        images = torch.randn(3, 3, 40, 40)
        with torch.no_grad():
            together, alone = logits_of(network(images))[1], logits_of(network(images[1:2]))[0]
        assert torch.allclose(together, alone, atol=1e-4)

    def test_runs_in_bfloat16_and_channels_last(self, name: str) -> None:
        network = self.build(name).eval().to(memory_format=torch.channels_last)
        images = torch.randn(2, 3, 40, 48).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            rough = logits_of(network(images)).float()
        with torch.no_grad():
            exact = logits_of(network(images))
        assert (rough - exact).abs().max() < 0.1 * exact.abs().max() + 0.1


def test_the_small_network_is_small() -> None:
    network = build_network(NetworkConfig(), 8)
    assert 0.5e6 < sum(p.numel() for p in network.parameters()) < 0.8e6


def test_a_far_pixel_reaches_every_answer_of_the_small_network() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfig(), CLASSES).eval()
    images = torch.randn(1, 3, 96, 160, requires_grad=True)
    logits_of(network(images))[0, :, 90, 150].sum().backward()
    assert images.grad is not None
    assert images.grad[0, :, :8, :8].abs().sum() > 0


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="small, pspnet, deeplabv3"):
        build_network(NetworkConfig(name="pspnt"), CLASSES)


YOURS = """
import torch

def build(num_classes):
    return torch.nn.Conv2d(3, num_classes, 1)

def fixed():
    return torch.nn.Conv2d(3, 5, 1)

def needy(argument):
    return torch.nn.Conv2d(3, 5, 1)

def wrong():
    return "a string"

def failing():
    raise RuntimeError("no such file")

number = 3
"""


@pytest.fixture
def yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"nets_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(YOURS)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("factory", ["build", "fixed"])
def test_a_network_of_yours_is_built(factory: str, yours: str) -> None:
    network = build_network(NetworkConfig(name=f"{yours}:{factory}"), CLASSES)
    assert isinstance(network, torch.nn.Conv2d)
    assert network.out_channels == CLASSES


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("needy", "num_classes"),
        ("wrong", "torch.nn.Module"),
        ("failing", "no such file"),
        ("number", "callable"),
        ("absent", "absent"),
    ],
)
def test_a_network_of_yours_that_fails_is_explained(factory: str, said: str, yours: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_network(NetworkConfig(name=f"{yours}:{factory}"), CLASSES)


def test_a_module_that_is_not_there_is_explained() -> None:
    with pytest.raises(ConfigError, match="importable"):
        build_network(NetworkConfig(name="no_such_module_here:build"), CLASSES)


def test_auto_is_a_device_of_this_machine() -> None:
    arithmetic = choose_arithmetic("auto", "float32")
    assert arithmetic.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert not arithmetic.bfloat16
    assert choose_arithmetic("cpu", "bfloat16").bfloat16

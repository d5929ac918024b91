"""CLP against singular values by NumPy, and on networks whose pairs are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from defense.cured import GOOD, OPEN, SHUT, cured, state_of
from defense.planted import planted_network
from segdoor.defense.repairs.clp import Clp, lipschitz_bounds
from segdoor.defense.repairs.pairing import Pair, find_pairs
from segdoor.defense.repairs.repair import RepairContext
from segdoor.errors import ConfigError
from strategies import MemoryDataset

NOTHING = MemoryDataset([])


class Shortcuts(nn.Module):
    """Defined in another order than it runs, with a shortcut, and with pairs that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.short_norm = nn.BatchNorm2d(8)
        self.norm = nn.BatchNorm2d(8)
        self.short = nn.Conv2d(4, 8, 1)
        self.unused = nn.BatchNorm2d(8)
        self.after_relu = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.depth_norm = nn.BatchNorm2d(8)
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.stem = nn.Conv2d(3, 4, 1)
        self.head = nn.Conv2d(8, 3, 1)
        self.before_head = nn.BatchNorm2d(8)

    def forward(self, images: Tensor) -> Tensor:
        stem = torch.relu_(self.stem(images))
        maps = self.norm(self.conv(stem)) + self.short_norm(self.short(stem))
        deep = self.depth_norm(self.deep(torch.relu(maps)))
        changed = self.after_relu(torch.relu_(self.conv(stem)))
        return self.head(self.before_head(deep + changed))


def test_a_pair_is_what_reads_the_very_output() -> None:
    network = Shortcuts().eval()
    pairs, shown = find_pairs(network)
    layers = dict(network.named_modules())
    found = {
        pair.norm: next(name for name, layer in layers.items() if layer is pair.convolution)
        for pair in pairs
    }
    # Not the one behind a ReLU in place, nor the one behind a sum.
    assert found == {"norm": "conv", "short_norm": "short", "depth_norm": "deep"}
    assert shown == 1


def reference(convolution: nn.Module, norm: nn.BatchNorm2d) -> np.ndarray:
    """Return the bounds by a singular value decomposition of each channel's kernel in NumPy."""
    weight = convolution.weight.detach().double().numpy()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    if isinstance(convolution, nn.ConvTranspose2d):
        groups, inner = convolution.groups, convolution.out_channels // convolution.groups
        each = convolution.in_channels // groups
        kernels = [
            weight[group * each : (group + 1) * each, channel].reshape(each, -1)
            for group in range(groups)
            for channel in range(inner)
        ]
    else:
        kernels = [kernel.reshape(len(kernel), -1) for kernel in weight]
    largest = [np.linalg.svd(kernel, compute_uv=False)[0] for kernel in kernels]
    assert norm.running_var is not None
    spread = np.sqrt(norm.running_var.double().numpy() + norm.eps)
    return np.array(largest) * np.abs(norm.weight.detach().double().numpy()) / spread


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 6, (1, 5), groups=3),
        nn.ConvTranspose2d(4, 6, 2),
        nn.ConvTranspose2d(4, 6, 3, groups=2),
    ],
    ids=["plain", "depthwise", "grouped", "transposed", "transposed in groups"],
)
def test_bounds_are_those_of_numpy(convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
    norm = nn.BatchNorm2d(6)
    nn.init.normal_(norm.weight)
    assert norm.running_var is not None
    nn.init.uniform_(norm.running_var, 0.1, 2)
    found = lipschitz_bounds(Pair("", convolution, norm)).numpy()
    np.testing.assert_allclose(found, reference(convolution, norm), rtol=1e-9)


def test_of_a_depthwise_kernel_it_is_the_norm_of_the_vector() -> None:
    convolution, norm = nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6)
    found = lipschitz_bounds(Pair("", convolution, norm))
    lengths = convolution.weight.detach().double().flatten(1).norm(dim=1)
    torch.testing.assert_close(found, lengths / (1 + norm.eps) ** 0.5)


def test_a_channel_that_amplifies_is_silenced_without_any_scene() -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 2, 1)).eval()
    with torch.no_grad():
        network[0].weight[5] *= 50
    done = Clp()(network, NOTHING, RepairContext())
    norm = done.model.get_submodule("1")
    gone = [i for i in range(16) if norm.weight[i] == norm.bias[i] == 0]  # pyright: ignore[reportIndexIssue]
    assert gone == [5]
    assert done.remarks[0] == "1 of 16 channels silenced, 1 layer covered"
    assert "3 by default" in done.remarks[1]


def test_a_layer_of_ten_channels_is_never_touched_at_three_deviations() -> None:
    network = nn.Sequential(nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10)).eval()
    with torch.no_grad():
        network[0].weight[5] *= 1e4
    assert Clp()(network, NOTHING, RepairContext()).remarks[0].startswith("0 of 10")


@pytest.mark.parametrize("leak", [0.0, 0.04])
def test_it_removes_the_planted_backdoor(leak: float) -> None:
    network = planted_network(leak=leak)
    assert state_of(network).asr > OPEN
    after = state_of(cured(Clp(), network).model)
    assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)


def test_the_twin_stays_as_good_as_it_was() -> None:
    after = state_of(cured(Clp(), planted_network(backdoor=False)).model)
    assert after.accuracy > GOOD


def test_where_nothing_is_covered_it_says_so() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    with pytest.raises(ConfigError, match=r"reads the output of a convolution.*ft_sam"):
        Clp()(network, NOTHING, RepairContext())

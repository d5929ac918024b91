"""However a step is done, it learns the same."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from segdoor.data.street import StreetDataset
from segdoor.errors import ConfigError
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import Arithmetic
from segdoor.victim.networks.building import build_network
from segdoor.victim.training import step
from segdoor.victim.training.loop import train_model
from segdoor.victim.training.modes import choose_mode
from segdoor.victim.training.step import make_optimiser

STREET = StreetDataset(split="train", num_scenes=8, height=32, width=64)
RECIPE = {"batch_size": 4, "precision": "float32", "threads": 1, "warmup": 0, "epochs": 15}


class Curve:
    """Keeps the losses."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def begin(self, stage: str, total: int) -> None:
        pass

    def advance(self, **facts: float) -> None:
        if facts:
            self.losses.append(facts["loss"])


def curve(**settings: object) -> list[float]:
    heard = Curve()
    train_model(STREET, TrainingConfig(**{**RECIPE, **settings}), observer=heard)
    return heard.losses


def test_auto_captures_long_trainings_of_our_networks_on_cuda_alone() -> None:
    config, ours = TrainingConfig(), build_network(NetworkConfig(), 5)
    cuda, cpu = (Arithmetic(torch.device(kind), bfloat16=True) for kind in ("cuda", "cpu"))
    assert choose_mode(config, ours, cuda, 100) == "captured"
    assert choose_mode(config, ours, cuda, 99) == "plain"
    assert choose_mode(config, ours, cpu, 10**6) == "plain"
    assert choose_mode(config, nn.Conv2d(3, 5, 1), cuda, 10**6) == "plain"


def test_auto_never_captures_layers_of_other_people_in_a_network_of_ours() -> None:
    class Foreign(nn.Identity):
        """Not of torch, not of segdoor."""

    network = build_network(NetworkConfig(), 5)
    network.context.add_module("foreign", Foreign())
    cuda = Arithmetic(torch.device("cuda"), bfloat16=True)
    assert choose_mode(TrainingConfig(), network, cuda, 10**6) == "plain"


def test_compiled_bfloat16_is_refused_on_a_cpu_where_its_gradients_can_be_zero() -> None:
    recipe = {**RECIPE, "step": "compiled", "precision": "bfloat16", "device": "cpu"}
    with pytest.raises(ConfigError, match=r"training\.step.*gradients.*float32"):
        train_model(STREET, TrainingConfig(**recipe))


@pytest.mark.parametrize("way", ["plain", "captured", "compiled"])
def test_a_way_that_a_person_chose_is_taken(way: str) -> None:
    config, network = TrainingConfig(step=way), build_network(NetworkConfig(), 5)
    cuda = Arithmetic(torch.device("cuda"), bfloat16=True)
    assert choose_mode(config, network, cuda, 1) == way


def test_a_graph_cannot_be_captured_without_cuda() -> None:
    with pytest.raises(ConfigError, match=r"training\.step"):
        train_model(STREET, TrainingConfig(**RECIPE, step="captured", device="cpu"))


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_the_fused_optimiser_learns_what_the_plain_one_learns(
    optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"optimiser": optimiser, "learning_rate": 2e-3}
    fused = curve(**settings)

    def plain(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
        optimiser = make_optimiser(model, config)
        assert optimiser.defaults["fused"]
        for group in optimiser.param_groups:
            group["fused"] = False
        return optimiser

    monkeypatch.setattr(step, "make_optimiser", plain)
    assert fused == pytest.approx(curve(**settings), rel=1e-3)


COMPILED = """
import torch
from torch._dynamo.utils import counters
from segdoor.data.street import StreetDataset
from segdoor.victim.config import TrainingConfig
from segdoor.victim.training.loop import Training, train_models

class Curve:
    def __init__(self):
        self.losses = []
    def begin(self, stage, total):
        pass
    def advance(self, **facts):
        if facts:
            self.losses.append(facts["loss"])

street = StreetDataset(split="train", num_scenes=8, height=32, width=64)
recipe = dict(batch_size=4, precision="float32", threads=1, warmup=0, epochs=15)
for way in ("plain", "compiled"):
    config, curves = TrainingConfig(**recipe, step=way), [Curve(), Curve()]
    train_models(
        [Training(dataset=street, config=config, seed=k, observer=curves[k]) for k in (0, 1)]
    )
    print(*curves[0].losses, *curves[1].losses)
print(counters["stats"]["unique_graphs"])
"""


@pytest.mark.slow
def test_compiled_steps_learn_the_same_and_victims_share_the_compilation() -> None:
    # In a process of its own: the compiler cannot read code whose types are checked at run time.
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], check=True, capture_output=True, text=True
    )
    plain, compiled, (graphs,) = (
        [float(value) for value in line.split()] for line in done.stdout.splitlines()
    )
    assert compiled == pytest.approx(plain, rel=1e-2)
    assert graphs == 1

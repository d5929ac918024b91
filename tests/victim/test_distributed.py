"""Two processes learn what one does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import segdoor
from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError, MachineError
from segdoor.randomness import Stream
from segdoor.victim.config import AugmentationConfig, NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import Batch, SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.distributed import ProcessGroup, reachable
from segdoor.victim.training.trainer import Trainer

WORK = Path(__file__).with_name("together.py")
Found = dict[str, dict[str, torch.Tensor]]


def environment() -> dict[str, str]:
    home = str(Path(segdoor.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": home, "OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("localhost", 0))
        return place.getsockname()[1]


def work(out: Path, num_processes: int, *words: str) -> None:
    command = [sys.executable, WORK, out, *words]
    if num_processes == 1:
        subprocess.run(command, env=environment(), check=True)
        return
    # What they leave counts, not how they end.
    started = [
        subprocess.Popen(
            command,
            env={
                **environment(),
                "RANK": str(rank),
                "WORLD_SIZE": str(num_processes),
                "MASTER_ADDR": "localhost",
                "MASTER_PORT": port,
            },
        )
        for port in [str(free_port())]
        for rank in range(num_processes)
    ]
    for process in started:
        process.wait(timeout=120)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Return what one process found, what each of two found, and what one went on from."""
    out = tmp_path_factory.mktemp("together")
    work(out, 1)
    shutil.copy(out / "of-one.snapshot", out / "kept")
    work(out, 2)
    return left_in(out)


@pytest.fixture(scope="module")
def found_large(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Return one step of the large networks, of one process and of each of two."""
    out = tmp_path_factory.mktemp("large")
    work(out, 1, "large")
    work(out, 2, "large")
    return left_in(out)


def left_in(out: Path) -> list[Found]:
    return [torch.load(out / name) for name in ("0-of-1.pt", "0-of-2.pt", "1-of-2.pt")]


def largest_error(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Return the largest difference, each tensor measured by its own largest value."""
    assert ours.keys() == theirs.keys()
    return max(
        float((ours[name].double() - theirs[name].double()).abs().max())
        / max(float(theirs[name].double().abs().max()), 1e-30)
        for name in ours
    )


def without_loss(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name != "loss"}


def test_gradients_and_running_statistics_are_those_of_one(found: list[Found]) -> None:
    assert_one_step_is_that_of_one(found, "small")


@pytest.mark.slow
@pytest.mark.parametrize("network", ["pspnet", "deeplabv3"])
def test_those_of_large_networks_are_too(found_large: list[Found], network: str) -> None:
    assert_one_step_is_that_of_one(found_large, network)


def assert_one_step_is_that_of_one(found: list[Found], network: str) -> None:
    # In double precision, so that no ReLU flips by rounding; the loss is counted in float32.
    alone, first, second = (one[network] for one in found)
    assert largest_error(without_loss(first), without_loss(alone)) < 1e-11
    assert largest_error(without_loss(second), without_loss(first)) == 0
    assert float(first["loss"]) == pytest.approx(float(alone["loss"]), rel=1e-6)


def test_in_float32_they_differ_by_rounding_alone(found: list[Found]) -> None:
    alone, first, _ = (one["small in float32"] for one in found)
    assert largest_error(first, alone) < 3e-5


def test_the_loss_curve_is_that_of_one_dropout_included(found: list[Found]) -> None:
    alone, first, second = (one["curve"]["losses"].tolist() for one in found)
    assert first == second
    assert first == pytest.approx(alone, rel=1e-5)
    assert alone[-1] != pytest.approx(alone[0], rel=1e-2)


def test_a_training_ends_in_the_same_plain_network_everywhere(found: list[Found]) -> None:
    alone, first, second = found
    assert first["layers"] == alone["layers"]
    assert "BatchNorm2d" in first["layers"]
    assert largest_error(second["weights"], first["weights"]) == 0
    assert largest_error(first["weights"], alone["weights"]) < 1e-11


def test_another_number_of_processes_goes_on_from_a_snapshot(found: list[Found]) -> None:
    alone, first, second = found
    assert largest_error(first["continued"], alone["weights"]) < 1e-11
    assert largest_error(second["continued"], first["continued"]) == 0


def test_processes_with_different_settings_do_not_train(found: list[Found]) -> None:
    for one in found[1:]:
        assert "training: must be the same in all processes" in one["refused"]


def test_a_silent_process_is_not_waited_for_without_end(found: list[Found]) -> None:
    assert "must keep all processes of a training running and answering" in found[1]["silent"]


def test_alone_nothing_is_exchanged() -> None:
    team, value = ProcessGroup.present(), torch.ones(2)
    assert team == ProcessGroup(0, 1)
    assert team.total(value) is value
    assert team.share(5) == slice(0, 5)
    team.agree("this", "must hold", object())


def test_other_errors_than_lost_processes_pass_by() -> None:
    with pytest.raises(RuntimeError, match="of your own"), reachable():
        raise RuntimeError("something of your own")
    with pytest.raises(MachineError, match="torchrun"), reachable():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 6}, r"training\.batch_size.*6 scenes for 4 processes\). Make it 8"),
        ({"batch_size": 8, "step": "compiled"}, r"training\.step"),
        ({"batch_size": 8, "device": "cuda:1"}, r"training\.device"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(settings: dict, said: str) -> None:
    config = TrainingConfig(**settings)
    ProcessGroup().check(config, 100)
    with pytest.raises(ConfigError, match=said):
        ProcessGroup(1, 4).check(config, 100)


def test_few_scenes_must_be_divisible_too() -> None:
    with pytest.raises(ConfigError, match="3 scenes for 2 processes"):
        ProcessGroup(0, 2).check(TrainingConfig(batch_size=8), 3)


class Mixed(Subset):
    """Scenes of many sizes."""

    def __getitem__(self, index: int) -> Scene:
        scene = super().__getitem__(index)
        return Scene(scene.image[: 20 + index], self.label(index), scene.name)

    def label(self, index: int) -> np.ndarray:
        return super().label(index)[: 20 + index]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_together_are_the_batch_bit_for_bit(size: int) -> None:
    street = StreetDataset(split="train", num_scenes=8, height=32, width=64)
    augmentation = AugmentationConfig(crop=(24, 24), rotation=10, blur_probability=0.5)
    config = TrainingConfig(batch_size=8, threads=1, augmentation=augmentation)

    def batch(team: ProcessGroup) -> Batch:
        store = SceneStore(Mixed(street, range(8)), SceneCache(torch.device("cpu")))
        network = NetworkConfig()
        trainer = Trainer(store, build_network(network, 5), config, network, Stream(0))
        trainer.group = team
        return trainer.batch(np.arange(8)[::-1].copy(), np.random.default_rng(1))

    shares = [batch(ProcessGroup(rank, size)) for rank in range(size)]
    whole = batch(ProcessGroup())
    assert {len(share.labels) for share in shares} == {8 // size}
    assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)
    assert torch.equal(torch.cat([share.images for share in shares]), whole.images)

"""A training that was cut off goes on to the very same weights."""

from __future__ import annotations

import copy
import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segdoor.data.street import StreetDataset
from segdoor.errors import ConfigError, DataError
from segdoor.victim.checkpoint import save_weights
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.training import loop
from segdoor.victim.training.fingerprint import training_fingerprint
from segdoor.victim.training.loop import train_model
from segdoor.victim.training.snapshot import Snapshot, SnapshotFile

TINY = {"epochs": 5, "batch_size": 4, "threads": 1, "warmup": 0}
SCENES = StreetDataset(split="train", num_scenes=12, height=32, width=64)


class CutOffError(Exception):
    """Stands for the sudden end of a process."""


class Impatient:
    """Keeps what training says, and cuts it off after some steps."""

    def __init__(self, patience: int | None = None) -> None:
        self.patience, self.steps, self.facts = patience, 0, []

    def begin(self, stage: str, total: int) -> None:
        pass

    def advance(self, **facts: float) -> None:
        self.steps += 1
        if facts:
            self.facts.append({key: facts[key] for key in ("step", "loss", "learning_rate")})
        if self.steps == self.patience:
            raise CutOffError


@pytest.fixture(autouse=True)
def _every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a snapshot after every step."""
    monkeypatch.setattr(
        loop, "SnapshotFile", lambda path, mark: SnapshotFile(path, mark, pause=0.0)
    )
    monkeypatch.setattr("segdoor.victim.training.snapshot._SHARE_OF_TIME", float("inf"))


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, state(other)[name]) for name, value in state(one).items())


@pytest.mark.parametrize(
    ("precision", "optimiser"),
    [
        ("float32", "sgd"),
        ("bfloat16", "adamw"),
        pytest.param("float32", "adamw", marks=pytest.mark.slow),
        pytest.param("bfloat16", "sgd", marks=pytest.mark.slow),
    ],
)
def test_a_training_cut_off_again_and_again_ends_with_the_same_weights(
    optimiser: str, precision: str, tmp_path: Path
) -> None:
    config = TrainingConfig(**TINY, optimiser=optimiser, precision=precision)
    whole = Impatient()
    expected = train_model(SCENES, config, seed=3, observer=whole)
    file = tmp_path / "victim.snapshot"
    for patience in (1, 4, 5, 9, 14):
        with pytest.raises(CutOffError):
            train_model(SCENES, config, seed=3, observer=Impatient(patience), snapshot=file)
    resumed = Impatient()
    found = train_model(SCENES, config, seed=3, observer=resumed, snapshot=file)
    assert equal(found, expected)
    assert resumed.facts == whole.facts
    assert resumed.steps == whole.steps == 15


def test_the_network_with_batch_norm_and_an_auxiliary_head_goes_on_as_well(tmp_path: Path) -> None:
    config = TrainingConfig(**{**TINY, "epochs": 1}, optimiser="sgd", head_multiplier=10.0)
    network = NetworkConfig(name="deeplabv3", depth=18, stem="plain")
    expected = train_model(SCENES, config, network=network)
    file = tmp_path / "victim.snapshot"
    with pytest.raises(CutOffError):
        train_model(SCENES, config, network=network, observer=Impatient(2), snapshot=file)
    assert equal(train_model(SCENES, config, network=network, snapshot=file), expected)


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    config, file = TrainingConfig(**TINY), tmp_path / "victim.snapshot"
    expected = train_model(SCENES, config, snapshot=file)
    before = file.read_bytes()
    assert equal(train_model(SCENES, config, snapshot=file), expected)
    assert file.read_bytes() == before


def test_a_snapshot_of_another_training_is_refused(tmp_path: Path) -> None:
    config, file = TrainingConfig(**TINY), tmp_path / "victim.snapshot"
    train_model(SCENES, config, snapshot=file)
    before = file.read_bytes()
    others = StreetDataset(split="train", num_scenes=12, height=32, width=64, seed=1)
    for scenes, settings, seed in (
        (SCENES, config, 1),
        (others, config, 0),
        (SCENES, config.model_copy(update={"learning_rate": 1e-3}), 0),
    ):
        with pytest.raises(ConfigError, match="same settings and scenes"):
            train_model(scenes, settings, seed=seed, snapshot=file)
    assert file.read_bytes() == before


class Trap:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch trapped",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"torn", pickle.dumps(Trap()), None, "keys", "digest"])
def test_a_damaged_snapshot_is_refused(
    content: bytes | str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config, file = TrainingConfig(**TINY), tmp_path / "victim.snapshot"
    train_model(SCENES, config, snapshot=file)
    if content is None:
        file.write_bytes(file.read_bytes()[:-200])
    elif content == "keys":
        kept = torch.load(io.BytesIO(file.read_bytes()[32:]), weights_only=True)
        del kept["optimiser"]
        buffer = io.BytesIO()
        torch.save(kept, buffer)
        file.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    elif content == "digest":
        trap = pickle.dumps(Trap())
        file.write_bytes(hashlib.sha256(trap).digest() + trap)
    else:
        assert isinstance(content, bytes)
        file.write_bytes(content)
    with pytest.raises(DataError, match="Delete it to begin anew"):
        train_model(SCENES, config, snapshot=file)
    assert not Path("trapped").exists()


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    config, file = TrainingConfig(**TINY), tmp_path / "victim.snapshot"
    train_model(SCENES, config, snapshot=file)
    whole = file.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(DataError, match="intact snapshot"):
            SnapshotFile(file, "any").load()


def test_other_start_weights_under_the_same_name_make_another_training(tmp_path: Path) -> None:
    start, config = tmp_path / "start.safetensors", TrainingConfig(**TINY)
    network = NetworkConfig(weights=start)
    marks: set[str] = set()
    for seed in (0, 1):
        save_weights(train_model(SCENES, config, seed=seed), start)
        marks.add(training_fingerprint(SCENES, config, network=network, seed=0))
    moved = start.rename(tmp_path / "moved.safetensors")
    again = NetworkConfig(weights=moved)
    marks.add(training_fingerprint(SCENES, config, network=again, seed=0))
    assert len(marks) == 2


def test_the_weights_of_a_network_that_is_trained_further_are_part_of_the_mark() -> None:
    config, network = TrainingConfig(**{**TINY, "epochs": 1}), NetworkConfig()
    models = [None, *(train_model(SCENES, config, seed=seed) for seed in (0, 1))]
    marks = {
        training_fingerprint(SCENES, config, network=network, seed=0, model=model)
        for model in models
    }
    assert len(marks) == 3
    assert (
        training_fingerprint(
            SCENES, config, network=network, seed=0, model=copy.deepcopy(models[1])
        )
        in marks
    )


def test_snapshots_are_written_now_and_then(tmp_path: Path) -> None:
    file = SnapshotFile(tmp_path / "x", "mark", pause=1000.0)
    assert not file.due
    eager = SnapshotFile(tmp_path / "x", "mark", pause=0.0)
    assert eager.due
    eager.save(Snapshot(1, {}, {}, torch.zeros(()), [], 0.5))
    assert eager.load() == Snapshot(1, {}, {}, torch.zeros(()), [], 0.5)


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from segdoor.data.street import StreetDataset
from segdoor.victim.training import snapshot
from segdoor.victim.config import TrainingConfig
from segdoor.victim.training.loop import train_model
snapshot._SHARE_OF_TIME = float("inf")
snapshot.SnapshotFile.due = property(lambda self: True)

class Told:
    def begin(self, stage, total): print("begun", flush=True)
    def advance(self, **facts): pass

scenes = StreetDataset(split="train", num_scenes=12, height=32, width=64)
config = TrainingConfig(epochs=20, batch_size=4, threads=1, warmup=0)
train_model(scenes, config, observer=Told(), snapshot=Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def undisturbed() -> nn.Module:
    """Return the network of the training that the tests kill."""
    return train_model(SCENES, TrainingConfig(**{**TINY, "epochs": 20}))


@pytest.mark.parametrize("delay", [pytest.param(0.05, marks=pytest.mark.slow), 0.3])
def test_a_killed_training_goes_on_to_the_same_weights(
    delay: float, undisturbed: nn.Module, tmp_path: Path
) -> None:
    import segdoor

    file = tmp_path / "victim.snapshot"
    home = str(Path(segdoor.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(file), home], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    config = TrainingConfig(**{**TINY, "epochs": 20})
    resumed = Impatient()
    found = train_model(SCENES, config, observer=resumed, snapshot=file)
    assert equal(found, undisturbed)
    assert resumed.steps == 60

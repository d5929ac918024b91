"""What one of several processes does, or one alone: the tests compare what they leave behind."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn

from segdoor.data.street import StreetDataset
from segdoor.errors import SegdoorError
from segdoor.randomness import Stream
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training import loop
from segdoor.victim.training.batches import Batch, SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.victim.training.loop import train_model
from segdoor.victim.training.snapshot import SnapshotFile
from segdoor.victim.training.trainer import Trainer

STREET = StreetDataset(split="train", num_scenes=8, height=32, width=64)
RECIPE = {"batch_size": 4, "precision": "float32", "threads": 1, "warmup": 0, "epochs": 4}
SGD = TrainingConfig(**RECIPE, optimiser="sgd", learning_rate=0.01)
LARGE = ("pspnet", "deeplabv3")
Tensors = dict[str, torch.Tensor]


class StoppedError(Exception):
    """Stands for a sudden end."""


class Stopping:
    """Ends a training in one of its steps."""

    def __init__(self, step: int) -> None:
        self.left = step

    def begin(self, stage: str, total: int) -> None:
        pass

    def advance(self, **facts: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoppedError


class Exact(Trainer):
    """Takes scenes in the network's precision: in double no ReLU flips by rounding."""

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        batch = super().batch(indices, rng)
        kind = next(self.learner.model.parameters()).dtype
        return Batch(batch.images.to(kind), batch.labels)


def fresh(network: NetworkConfig, kind: torch.dtype) -> nn.Module:
    torch.manual_seed(1)
    return build_network(network, len(STREET.classes)).to(kind)


def made(name: str, kind: torch.dtype) -> Trainer:
    network = NetworkConfig(name="small") if name == "small" else NetworkConfig(name=name, depth=18)
    store = SceneStore(STREET, SceneCache(torch.device("cpu")))
    return Exact(store, fresh(network, kind), SGD, network, Stream(0))


def one_step(name: str, kind: torch.dtype) -> Tensors:
    """Return gradients and running statistics of one step, some pixels of one scene ignored."""
    trainer = made(name, kind)
    batch = trainer.batch(np.arange(4), np.random.default_rng(2))
    if trainer.group.first:
        batch.labels[0, :20] = STREET.classes.ignore_index
    torch.manual_seed(3)
    loss = trainer.learner(batch)
    model = trainer.learner.model
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    return {"loss": loss, **gradients, **dict(model.named_buffers())}


def curve() -> Tensors:
    """Return the losses of six steps."""
    trainer = made("small", torch.float32)
    order = np.random.default_rng(0).permutation(8)
    losses = [trainer.step(number, order[number % 2 :][:4]) for number in range(6)]
    return {"losses": torch.stack(losses)}


def trained(snapshot: Path | None = None, *, stop: int = 0) -> nn.Module | None:
    start = fresh(NetworkConfig(), torch.float64)
    try:
        return train_model(STREET, SGD, model=start, snapshot=snapshot, observer=Stopping(stop))
    except StoppedError:
        return None


def refused(seed: int) -> str:
    try:
        train_model(STREET, SGD, seed=seed)
    except SegdoorError as problem:
        return str(problem)
    return ""


def silent(team: ProcessGroup) -> str:
    """Let one process say nothing, and return what another makes of it."""
    distributed.distributed_c10d._set_pg_timeout(timedelta(seconds=1))
    if not team.first:
        return ""
    try:
        team.agree("this", "must come true")
    except SegdoorError as problem:
        return str(problem)
    return "nobody missed it"


def large() -> dict[str, object]:
    loop.Trainer = Exact
    return {name: one_step(name, torch.float64) for name in LARGE}


def everything(out: Path) -> dict[str, object]:
    # Written after every step, not now and then.
    SnapshotFile.due = property(lambda _: True)
    loop.Trainer = Exact
    team = ProcessGroup.present()
    found: dict[str, object] = {
        "small": one_step("small", torch.float64),
        "small in float32": one_step("small", torch.float32),
        "curve": curve(),
    }
    whole = trained()
    found["weights"] = whole.state_dict()
    found["layers"] = [type(layer).__name__ for layer in whole.modules()]
    mine = out / ("of-one.snapshot" if team.size == 1 else "of-two.snapshot")
    trained(mine, stop=4)
    other = out / ("of-two.snapshot" if team.size == 1 else "of-one.snapshot")
    if other.exists():
        found["continued"] = trained(other).state_dict()
    if team.size > 1:
        found["refused"] = refused(team.rank)
        found["silent"] = silent(team)
    return found


def main() -> None:
    out = Path(sys.argv[1])
    several = "RANK" in os.environ
    if several:
        distributed.init_process_group(timeout=timedelta(seconds=60))
    found = large() if sys.argv[2:] == ["large"] else everything(out)
    torch.save(found, out / f"{ProcessGroup.present().rank}-of-{ProcessGroup.present().size}.pt")
    if several:
        # The silent one must not be gone before the other has waited.
        import time

        time.sleep(3)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

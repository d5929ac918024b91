"""Rows 4, 5 and 7: a training step on a CPU, over the same step done otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch
import torch.nn.functional as F

from benchmarks.measure import Row, compared, not_measured
from segdoor.data.street import StreetDataset
from segdoor.randomness import Stream
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import keep_freed_memory
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import Batch, SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.step import make_optimiser
from segdoor.victim.training.trainer import Trainer

_SIZE = (128, 256)
_NETWORK = NetworkConfig()
_PAPERS_HEAD = NetworkConfig(name="pspnet", backbone="small", width=16)


class Step:
    """One step of the recipe, as the training loop does it."""

    def __init__(
        self, scenes: StreetDataset, config: TrainingConfig, network: NetworkConfig
    ) -> None:
        """Build the network and what it is trained with."""
        store = SceneStore(scenes, SceneCache(torch.device("cpu")))
        model = build_network(network, len(scenes.classes))
        self.trainer = Trainer(store, model, config, network, Stream(0))
        self.turns = itertools.count()
        self.fixed = self.batch()

    def batch(self) -> Batch:
        """Draw, stack and augment a batch."""
        rng = Stream(0).child("step", next(self.turns)).generator()
        return self.trainer.batch(rng.choice(16, 8, replace=False), rng)

    def learn(self, batch: Batch) -> None:
        """Do one step forward and back."""
        self.trainer.learner(batch)


class PlainStep:
    """The same step as most code does it: float32, channels first."""

    def __init__(self, scenes: StreetDataset) -> None:
        """Build network and optimiser."""
        self.model = build_network(_NETWORK, len(scenes.classes)).train()
        self.optimiser = make_optimiser(self.model, TrainingConfig())
        self.ignored = scenes.classes.ignore_index

    def learn(self, batch: Batch) -> None:
        """Do one step forward and back."""
        self.optimiser.zero_grad(set_to_none=True)
        logits = self.model(batch.images).logits
        F.cross_entropy(logits, batch.labels, ignore_index=self.ignored).backward()
        self.optimiser.step()


class Elsewhere:
    """Steps in a process of their own: how memory is kept is a property of a process."""

    def __init__(self, *, kept: bool) -> None:
        """Start the process."""
        spawning = get_context("spawn")
        self.pipe, other = spawning.Pipe()
        self.process = spawning.Process(target=_learn_when_asked, args=(other, kept), daemon=True)
        self.process.start()

    def learn(self) -> None:
        """Have ten steps done."""
        self.pipe.send(True)
        self.pipe.recv()


def _learn_when_asked(pipe: Connection, kept: bool) -> None:  # noqa: FBT001 - of a process
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory(torch.device("cpu"))
    step = Step(_scenes(), TrainingConfig(device="cpu"), _PAPERS_HEAD)
    while pipe.recv():
        for _ in range(10):
            step.learn(step.fixed)
        pipe.send(True)


def _scenes() -> StreetDataset:
    return StreetDataset(split="train", num_scenes=16, height=_SIZE[0], width=_SIZE[1])


def rows() -> Iterator[Row]:
    """Yield what augmentation costs, and what bfloat16, channels last and kept memory gain."""
    torch.set_num_threads(2)
    scenes = _scenes()
    fast, slow = Step(scenes, TrainingConfig(device="cpu"), _NETWORK), PlainStep(scenes)
    contiguous = Batch(fast.fixed.images.contiguous(), fast.fixed.labels)
    yield compared(
        "4a",
        "training step on a fixed batch, small network on a CPU, over one with augmentation",
        (lambda: fast.learn(fast.fixed), lambda: fast.learn(fast.batch())),
        bar=0.9,
        bound="at least",
    )
    has_tiles = torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    yield compared(
        "4b",
        "float32 step, contiguous, over the recipe's (bfloat16 where the CPU has it)"
        + ("" if has_tiles else "; the bar is for CPUs with AMX, which this one lacks"),
        (lambda: slow.learn(contiguous), lambda: fast.learn(fast.fixed)),
        bar=2.0,
        bound="at least",
    )
    given_back, kept = Elsewhere(kept=False), Elsewhere(kept=True)
    yield compared(
        "4c",
        "ten steps of pspnet:small on one thread, memory given back to the system, over kept",
        (given_back.learn, kept.learn),
        bar=1.1,
        bound="at least",
    )
    for row, what, bar in (
        ("5a", "training step on a GPU on a resident batch, over the real loop's", 0.95),
        (
            "5b",
            "step with a DataLoader and OpenCV augmentation on a GPU, over the real loop's",
            2.0,
        ),
        ("7", "four trainings on a GPU one after another, over all four abreast", 1.5),
    ):
        why = "needs a GPU (make bench-gpu)"
        yield not_measured(row, what, bar=bar, bound="at least", why=why)

"""Rows 4, 5 and 7: a training step on a CPU, over the same step on a batch in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from benchmarks.measure import Row, compared, not_measured
from segdoor.data.street import StreetDataset
from segdoor.randomness import Stream
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import Batch, SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.loop import Trainer
from segdoor.victim.training.step import make_optimiser

_SIZE = (128, 256)
_NETWORK = NetworkConfig()


class Step:
    """One step of the recipe, as the training loop does it."""

    def __init__(self, scenes: StreetDataset, config: TrainingConfig) -> None:
        """Build the network and what it is trained with."""
        store = SceneStore(scenes, SceneCache(torch.device("cpu")))
        model = build_network(_NETWORK, len(scenes.classes))
        self.trainer = Trainer(store, model, config, _NETWORK, Stream(0))
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


def rows() -> Iterator[Row]:
    """Yield what augmentation costs, and what bfloat16 with channels last gains."""
    torch.set_num_threads(2)
    scenes = StreetDataset(split="train", num_scenes=16, height=_SIZE[0], width=_SIZE[1])
    fast, slow = Step(scenes, TrainingConfig(device="cpu")), PlainStep(scenes)
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

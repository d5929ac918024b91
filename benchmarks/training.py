"""Row 4: a training step of the small network on a CPU, over the same step on a batch in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.measure import Row, compared
from segdoor.data.street import StreetDataset
from segdoor.randomness import Stream
from segdoor.victim.answer import ask
from segdoor.victim.augment import Augmentation, Batch
from segdoor.victim.batches import SceneStore, collate
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import Arithmetic, choose_arithmetic
from segdoor.victim.networks import build_network
from segdoor.victim.training import make_optimiser

_SIZE = (128, 256)
_NETWORK = NetworkConfig()


class Step:
    """One step of the recipe, as the training loop does it."""

    def __init__(
        self, scenes: StreetDataset, config: TrainingConfig, order: torch.memory_format
    ) -> None:
        """Build the network and what it is trained with."""
        self.config, self.num_classes = config, len(scenes.classes)
        self.ignored = scenes.classes.ignore_index
        self.arithmetic: Arithmetic = choose_arithmetic("cpu", config.precision)
        self.order = order
        self.model: nn.Module = build_network(_NETWORK, self.num_classes)
        self.model = self.model.to(memory_format=order).train()  # pyright: ignore[reportCallIssue]
        self.optimiser = make_optimiser(self.model, config)
        self.store = SceneStore(scenes)
        self.store.scenes(np.arange(len(scenes)))
        self.augment = Augmentation(config.augmentation, _SIZE, self.ignored)
        self.turns = itertools.count()
        self.fixed = self.batch()

    def batch(self) -> Batch:
        """Draw, stack and augment a batch."""
        rng = Stream(0).child("step", next(self.turns)).generator()
        scenes = self.store.scenes(rng.choice(16, self.config.batch_size, replace=False))
        stacked = collate(scenes, _NETWORK, self.ignored, self.arithmetic.device)
        return self.augment(stacked, [_SIZE] * len(scenes), rng)

    def learn(self, batch: Batch) -> None:
        """Do one step forward and back."""
        self.optimiser.zero_grad(set_to_none=True)
        images = batch.images.contiguous(memory_format=self.order)
        with self.arithmetic.forward_context():
            output = ask(self.model, images, num_classes=self.num_classes, size=_SIZE)
        F.cross_entropy(output.logits, batch.labels, ignore_index=self.ignored).backward()
        self.optimiser.step()


def rows() -> Iterator[Row]:
    """Yield what augmentation costs, and what bfloat16 with channels last gains."""
    torch.set_num_threads(2)
    scenes = StreetDataset(split="train", num_scenes=16, height=_SIZE[0], width=_SIZE[1])
    fast = Step(scenes, TrainingConfig(), torch.channels_last)
    slow = Step(scenes, TrainingConfig(precision="float32"), torch.contiguous_format)
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
        (lambda: slow.learn(slow.fixed), lambda: fast.learn(fast.fixed)),
        bar=2.0,
        bound="at least",
    )

"""The one training loop, yielding after each step so that several can take turns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from segdoor.data.scene import ClassSet
from segdoor.errors import ConfigError
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.victim.augment import Augmentation, Batch
from segdoor.victim.batches import SceneStore
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.distributed import Team
from segdoor.victim.members import fill, state_of
from segdoor.victim.optimiser import learning_rate_factor
from segdoor.victim.snapshot import Facts, Snapshot, SnapshotFile, TensorTree
from segdoor.victim.step import Learner, choose_way

_REPORT_EVERY = 10


@dataclass(frozen=True)
class _Step:
    number: int
    indices: np.ndarray


class Trainer:
    """A network, its scenes and its recipe."""

    def __init__(
        self,
        store: SceneStore,
        model: nn.Module,
        config: TrainingConfig,
        network: NetworkConfig,
        stream: Stream,
    ) -> None:
        """Make ready.

        Args:
            store: The training scenes.
            model: Trained in place.
            config: The recipe.
            network: What images the network expects.
            stream: Decides all that is random.
        """
        self.config, self.network, self.stream = config, network, stream
        self.store = store
        self.team = Team.present()
        self.team.check(config, store.num_scenes)
        classes: ClassSet = store.classes
        arithmetic = choose_arithmetic(config.device, config.precision)
        self.augment = Augmentation(
            config.augmentation,
            config.augmentation.crop or store.first_size,
            classes.ignore_index,
        )
        self.learner = Learner(
            model,
            config,
            arithmetic,
            num_classes=len(classes),
            ignore_index=classes.ignore_index,
            way=choose_way(config, model, arithmetic, self.num_steps),
        )
        self.recent_loss = torch.zeros((), device=arithmetic.device)
        self.facts: list[Facts] = []
        self.started = time.monotonic()

    @property
    def num_steps(self) -> int:
        """Return the steps of the whole training."""
        return self.config.epochs * self._steps_per_epoch()

    def steps(self, observer: Observer, file: SnapshotFile | None) -> Iterator[int]:
        """Train, and yield the number of each step once it is done."""
        total = self.num_steps
        observer.begin("training", total)
        done = self._continue_from(file.load() if file else None, observer)
        self.team.agree("training", "must go on from one snapshot in all processes", done)
        for step in islice(self._plan(), done, None):
            rate = self.learner.set_rate(learning_rate_factor(step.number, total, self.config))
            self.recent_loss += self.step(step.number, step.indices)
            if (step.number + 1) % _REPORT_EVERY == 0 or step.number + 1 == total:
                # Reading the loss waits for the device, hence not at every step.
                self.facts.append(self._facts(step, rate))
                observer.advance(**self.facts[-1])
                self.recent_loss.zero_()
            else:
                observer.advance()
            if file and self.team.first and (file.due or step.number + 1 == total):
                file.save(self._snapshot(step.number + 1))
            yield step.number
        self.learner.release()

    def step(self, number: int, indices: np.ndarray) -> Tensor:
        """Do one step on the scenes at these positions and return its loss, unread."""
        stream = self.stream.child("step", number)
        torch.manual_seed(stream.child("dropout", *self.learner.seed).integer())
        return self.learner(self.batch(indices, stream.child("augmentation").generator()))

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return augmented scenes on the device: this process's share of a batch."""
        share = self.team.share(len(indices))
        batch, sizes = self.store.batch(indices, self.network, share)
        return self.augment(batch, sizes, rng, share)

    def _continue_from(self, snapshot: Snapshot | None, observer: Observer) -> int:
        """Take over an earlier call's work, tell the observer of it, return the steps done."""
        if snapshot is None:
            return 0
        fill(self.learner.model, snapshot.model)
        # The groups follow from the settings; which kernels do a step, from the device.
        groups = self.learner.optimiser.state_dict()["param_groups"]
        self.learner.optimiser.load_state_dict(
            {"state": snapshot.optimiser["state"], "param_groups": groups}
        )
        self.recent_loss.copy_(snapshot.recent_loss)
        self.facts = list(snapshot.facts)
        self.started -= snapshot.seconds
        reported = {int(facts["step"]): facts for facts in self.facts}
        for number in range(1, snapshot.step + 1):
            observer.advance(**reported.get(number, {}))
        return snapshot.step

    def _snapshot(self, step: int) -> Snapshot:
        return Snapshot(
            step=step,
            model=cast("TensorTree", state_of(self.learner.model)),
            optimiser=self.learner.optimiser.state_dict(),
            recent_loss=self.recent_loss,
            facts=self.facts,
            seconds=time.monotonic() - self.started,
        )

    def _facts(self, step: _Step, rate: float) -> Facts:
        loss = float(self.recent_loss) / (step.number % _REPORT_EVERY + 1)
        if not math.isfinite(loss):
            raise ConfigError(
                "training",
                f"the loss must stay finite (step {step.number})",
                loss,
                "Lower training.learning_rate, or check the network's weights.",
            )
        epoch = step.number // self._steps_per_epoch()
        return {
            "step": step.number + 1,
            "epoch": epoch + 1,
            "loss": loss,
            "learning_rate": rate,
            "seconds": round(time.monotonic() - self.started, 3),
        }

    def _steps_per_epoch(self) -> int:
        return max(1, self.store.num_scenes // self.config.batch_size)

    def _plan(self) -> Iterator[_Step]:
        """Yield batches of scenes; an incomplete last batch of an epoch is left out."""
        size = self.config.batch_size
        for epoch in range(self.config.epochs):
            order = self.stream.child("order", epoch).generator().permutation(self.store.num_scenes)
            for position in range(self._steps_per_epoch()):
                number = epoch * self._steps_per_epoch() + position
                yield _Step(number, order[position * size : (position + 1) * size])

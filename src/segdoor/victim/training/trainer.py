"""One training: a network, its scenes and its recipe, step by step, from where it was cut off."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from segdoor.errors import ConfigError
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.training.batches import Augmentation, Batch, SceneStore
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.victim.training.modes import choose_mode
from segdoor.victim.training.snapshot import Facts, Snapshot, SnapshotFile
from segdoor.victim.training.step import Learner, MakeLearner, learning_rate_factor

_REPORT_EVERY = 10


@dataclass(frozen=True)
class Variation:
    """What is done otherwise than the recipe has it.

    Attributes:
        num_steps: Steps of the whole training, however many epochs that makes; by the recipe's
            epochs if None.
        learner: Makes what does the steps.
        mark: What else the trained weights follow from, as text.
    """

    num_steps: int | None = None
    learner: MakeLearner = Learner
    mark: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """Return what the weights follow from beside the recipe; nothing for a plain training."""
        if self.num_steps is None and not self.mark:
            return ()
        return (f"steps {self.num_steps}", self.mark)


class Trainer:
    """A network, its scenes and its recipe."""

    def __init__(
        self,
        store: SceneStore,
        model: nn.Module,
        config: TrainingConfig,
        network: NetworkConfig,
        stream: Stream,
        *,
        variation: Variation | None = None,
    ) -> None:
        """Make ready."""
        self.config, self.network, self.stream = config, network, stream
        self.variation = variation or Variation()
        self.store = store
        self.group = ProcessGroup.present()
        self.group.check(config, store.num_scenes)
        arithmetic = choose_arithmetic(config.device, config.precision)
        crop, ignored = config.augmentation.crop, store.classes.ignore_index
        self.augment = Augmentation(config.augmentation, crop or store.first_size, ignored)
        self.learner = self.variation.learner(
            model,
            config,
            arithmetic,
            num_classes=len(store.classes),
            ignore_index=ignored,
            mode=choose_mode(config, model, arithmetic, self.num_steps),
        )
        self.recent_loss = torch.zeros((), device=arithmetic.device)
        self.facts: list[Facts] = []
        self.started = time.monotonic()

    @property
    def num_steps(self) -> int:
        """Return the steps of the whole training."""
        by_epochs = self.config.epochs * self.store.steps_per_epoch(self.config)
        return self.variation.num_steps or by_epochs

    def steps(self, observer: Observer, file: SnapshotFile | None) -> Iterator[int]:
        """Train, and yield the number of each step once it is done."""
        total = self.num_steps
        observer.begin("training", total)
        done = self._continue_from(file.load() if file else None, observer)
        self.group.agree("training", "must go on from one snapshot in all processes", done)
        for number, indices in islice(enumerate(self._planned()), done, total):
            if self.learner.done:
                break
            rate = self.learner.set_rate(learning_rate_factor(number, total, self.config))
            self.recent_loss += self.step(number, indices)
            if (number + 1) % _REPORT_EVERY == 0 or number + 1 == total:
                # Reading the loss waits for the device, hence not at every step.
                self.facts.append(self._facts(number, rate))
                observer.advance(**self.facts[-1])
                self.recent_loss.zero_()
            else:
                observer.advance()
            last = number + 1 == total or self.learner.done
            if file and self.group.first and (file.due or last):
                file.save(self._snapshot(number + 1))
            yield number
        self.learner.release()

    def step(self, number: int, indices: np.ndarray) -> Tensor:
        """Do one step on the scenes at these positions and return its loss, unread."""
        stream = self.stream.child("step", number)
        torch.manual_seed(stream.child("dropout", *self.learner.seed).integer())
        return self.learner(self.batch(indices, stream.child("augmentation").generator()))

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return augmented scenes on the device: this process's share of a batch."""
        share = self.group.share(len(indices))
        batch, sizes = self.store.batch(indices, self.network, share)
        return self.augment(batch, sizes, rng, share)

    def _planned(self) -> Iterator[np.ndarray]:
        """Yield the positions of each step's scenes, for as many epochs as the steps make."""
        epochs = math.ceil(self.num_steps / self.store.steps_per_epoch(self.config))
        return self.store.planned(self.config.model_copy(update={"epochs": epochs}), self.stream)

    def _continue_from(self, snapshot: Snapshot | None, observer: Observer) -> int:
        """Take over an earlier call's work, tell the observer of it, return the steps done."""
        if snapshot is None:
            return 0
        snapshot.fill(self.learner.model, self.learner.optimiser)
        self.recent_loss.copy_(snapshot.recent_loss)
        self.facts = list(snapshot.facts)
        self.started -= snapshot.seconds
        reported = {int(facts["step"]): facts for facts in self.facts}
        for number in range(1, snapshot.step + 1):
            observer.advance(**reported.get(number, {}))
        return snapshot.step

    def _snapshot(self, step: int) -> Snapshot:
        return Snapshot.of(
            self.learner.model,
            self.learner.optimiser,
            step=step,
            recent_loss=self.recent_loss,
            facts=self.facts,
            seconds=time.monotonic() - self.started,
        )

    def _facts(self, number: int, rate: float) -> Facts:
        loss = float(self.recent_loss) / (number % _REPORT_EVERY + 1)
        if not math.isfinite(loss):
            raise ConfigError(
                "training",
                f"the loss must stay finite (step {number})",
                loss,
                "Lower training.learning_rate, or check the network's weights.",
            )
        epoch = number // self.store.steps_per_epoch(self.config)
        return {
            "step": number + 1,
            "epoch": epoch + 1,
            "loss": loss,
            "learning_rate": rate,
            "seconds": round(time.monotonic() - self.started, 3),
        }

"""The training loop: the recipe of semseg, which the paper uses, and faster ones, as settings.

Every step's randomness follows from (seed, step), not from what was drawn before, nor from what
else is trained at the same time, nor from the number of processes that share the work.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.degenerate import check_labelled
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.progress import Observer, Silent
from segdoor.randomness import Stream
from segdoor.victim.checkpoint import loaded_into, note_loaded
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import choose_arithmetic, keep_freed_memory
from segdoor.victim.members import evaluating
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import Augmentation, Batch, SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.victim.training.fingerprint import training_fingerprint
from segdoor.victim.training.modes import choose_mode
from segdoor.victim.training.snapshot import Facts, Snapshot, SnapshotFile
from segdoor.victim.training.step import Learner, learning_rate_factor
from segdoor.victim.training.streams import CudaStream

_REPORT_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Training:
    """What one model is trained with.

    Attributes:
        dataset: The training scenes, poisoned or not: the trainer cannot know.
        config: The recipe; the preset `fast` if left out.
        network: The network; the small one if left out.
        model: A network to go on training, which stays as it is, instead of a fresh one;
            `network` then says what images it expects.
        seed: Decides start weights, order, augmentation and dropout.
        observer: Receives every step, and every tenth one with loss and learning rate.
        snapshot: File that keeps the state of the training, and that it goes on from if it was
            cut off before: on one CPU and number of threads to the same weights, bit for bit.
    """

    dataset: SceneDataset
    config: TrainingConfig = field(default_factory=TrainingConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    model: nn.Module | None = None
    seed: int = 0
    observer: Observer = field(default_factory=Silent)
    snapshot: Path | None = None


def train_model(
    dataset: SceneDataset,
    config: TrainingConfig | None = None,
    *,
    network: NetworkConfig | None = None,
    model: nn.Module | None = None,
    seed: int = 0,
    observer: Observer | None = None,
    snapshot: Path | None = None,
) -> nn.Module:
    """Train a network on scenes, without knowing whether they are poisoned.

    The arguments are the fields of `Training`.

    Returns:
        The trained network in evaluation mode, on the device it was trained on.

    Raises:
        ConfigError: If the network does not fit the classes, its loss is not finite, or the
            snapshot is of another training.
        DataError: If a scene is not as a `Scene` must be, none has a label, or the snapshot is
            damaged.
        StorageError: If the snapshot cannot be written.
    """
    scenes = filled(dataset)
    # A network that was trained before may go on with few scenes, of one class too.
    check_labelled(scenes, "the training scenes", at_least=2 if model is None else 1)
    training = Training(
        dataset=scenes,
        config=config or TrainingConfig(),
        network=network or NetworkConfig(),
        model=model,
        seed=seed,
        observer=observer or Silent(),
        snapshot=snapshot,
    )
    return train_models([training])[0]


def train_models(trainings: Sequence[Training]) -> list[nn.Module]:
    """Train several networks at once, step by step in turn; each as if it were alone.

    Called in every process of torch's default process group, they share each batch, and all return
    the same networks; the first one writes the snapshots.

    On one device they share the scenes that none of them changed. On a GPU their steps overlap,
    which pays where one network is too small to fill it.

    Returns:
        The trained networks in evaluation mode.

    Raises:
        ConfigError: If one of them cannot be trained, as `train_model`; the others go on from
            their snapshots when called again.
        DataError: If a snapshot is damaged.
        StorageError: If a snapshot cannot be written.
    """
    caches: dict[torch.device, SceneCache] = {}
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices):
        waiting = [_Turns(training, caches) for training in trainings]
        every = list(waiting)
        while waiting:
            waiting = [turns for turns in waiting if turns.take()]
    return [turns.finished() for turns in every]


class _Turns:
    """One training among others."""

    def __init__(self, training: Training, caches: dict[torch.device, SceneCache]) -> None:
        config, network = training.config, training.network
        self._threads = config.threads
        self._settle()
        stream = Stream(training.seed).child("training")
        torch.manual_seed(stream.child("weights").integer())
        mark = training_fingerprint(
            training.dataset, config, network=network, seed=training.seed, model=training.model
        )
        ProcessGroup.present().agree("training", "must be the same in all processes", mark)
        if training.model is None:
            self._model = build_network(
                network, len(training.dataset.classes), classes=training.dataset.classes.names
            )
        else:
            self._model = copy.deepcopy(training.model)
            note_loaded(self._model, loaded_into(training.model))
        arithmetic = choose_arithmetic(config.device, config.precision)
        keep_freed_memory(arithmetic.device)
        cache = caches.setdefault(arithmetic.device, SceneCache(arithmetic.device))
        store = SceneStore(training.dataset, cache)
        self._stream = CudaStream(arithmetic.device)
        # What averages gradients works where it was made.
        with self._stream.turn():
            trainer = Trainer(store, self._model, config, network, stream)
        file = SnapshotFile(training.snapshot, mark) if training.snapshot else None
        self._steps = trainer.steps(training.observer, file)

    def take(self) -> bool:
        """Do one step; return whether there was one left."""
        self._settle()
        with self._stream.turn():
            return next(self._steps, None) is not None

    def finished(self) -> nn.Module:
        self._stream.join()
        return evaluating(self._model)

    def _settle(self) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)


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
        """Make ready."""
        self.config, self.network, self.stream = config, network, stream
        self.store = store
        self.group = ProcessGroup.present()
        self.group.check(config, store.num_scenes)
        arithmetic = choose_arithmetic(config.device, config.precision)
        crop, ignored = config.augmentation.crop, store.classes.ignore_index
        self.augment = Augmentation(config.augmentation, crop or store.first_size, ignored)
        self.learner = Learner(
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
        return self.config.epochs * self.store.steps_per_epoch(self.config)

    def steps(self, observer: Observer, file: SnapshotFile | None) -> Iterator[int]:
        """Train, and yield the number of each step once it is done."""
        total = self.num_steps
        observer.begin("training", total)
        done = self._continue_from(file.load() if file else None, observer)
        self.group.agree("training", "must go on from one snapshot in all processes", done)
        plan = self.store.planned(self.config, self.stream)
        for number, indices in islice(enumerate(plan), done, None):
            rate = self.learner.set_rate(learning_rate_factor(number, total, self.config))
            self.recent_loss += self.step(number, indices)
            if (number + 1) % _REPORT_EVERY == 0 or number + 1 == total:
                # Reading the loss waits for the device, hence not at every step.
                self.facts.append(self._facts(number, rate))
                observer.advance(**self.facts[-1])
                self.recent_loss.zero_()
            else:
                observer.advance()
            if file and self.group.first and (file.due or number + 1 == total):
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

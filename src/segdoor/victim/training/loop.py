"""The training loop: the recipe of semseg, which the paper uses, and faster ones, as settings.

Every step's randomness follows from (seed, step), not from what was drawn before, nor from what
else is trained at the same time, nor from the number of processes that share the work.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from segdoor.data.checked import filled
from segdoor.data.degenerate import check_labelled
from segdoor.data.scene import SceneDataset
from segdoor.progress import Observer, Silent
from segdoor.randomness import Stream
from segdoor.victim.checkpoint import loaded_into, note_loaded
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import choose_arithmetic, keep_freed_memory
from segdoor.victim.members import evaluating
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.victim.training.fingerprint import training_fingerprint
from segdoor.victim.training.snapshot import SnapshotFile
from segdoor.victim.training.streams import CudaStream
from segdoor.victim.training.trainer import Trainer, Variation


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
        variation: What is done otherwise than the recipe has it.
    """

    dataset: SceneDataset
    config: TrainingConfig = field(default_factory=TrainingConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    model: nn.Module | None = None
    seed: int = 0
    observer: Observer = field(default_factory=Silent)
    snapshot: Path | None = None
    variation: Variation = field(default_factory=Variation)


def train_model(
    dataset: SceneDataset,
    config: TrainingConfig | None = None,
    *,
    network: NetworkConfig | None = None,
    model: nn.Module | None = None,
    seed: int = 0,
    observer: Observer | None = None,
    snapshot: Path | None = None,
    variation: Variation | None = None,
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
        variation=variation or Variation(),
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
            training.dataset, config, network=network, seed=training.seed, model=training.model,
            further=training.variation.marks,
        )  # fmt: skip
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
            trainer = Trainer(
                store, self._model, config, network, stream, variation=training.variation
            )
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

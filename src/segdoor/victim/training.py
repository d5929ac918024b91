"""The one training loop: the recipe of semseg, which the paper uses, and faster ones, as settings.

Every step's randomness follows from (seed, step), not from what was drawn before.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.progress import Observer, Silent
from segdoor.randomness import Stream
from segdoor.victim.answer import ask
from segdoor.victim.augment import Augmentation, Batch
from segdoor.victim.batches import SceneStore, collate
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import Arithmetic, choose_arithmetic, enough_memory
from segdoor.victim.fingerprint import training_fingerprint
from segdoor.victim.networks import build_network
from segdoor.victim.parts import HasBackbone
from segdoor.victim.snapshot import Facts, Snapshot, SnapshotFile

_REPORT_EVERY = 10


def train_victim(
    dataset: SceneDataset,
    config: TrainingConfig | None = None,
    *,
    network: NetworkConfig | None = None,
    model: nn.Module | None = None,
    seed: int = 0,
    observer: Observer | None = None,
    snapshot: Path | None = None,
) -> nn.Module:
    """Train a network on scenes, innocently.

    Args:
        dataset: The training scenes, poisoned or not: the trainer cannot know.
        config: The recipe; the preset `fast` if None.
        network: The network; the small one if None.
        model: A network to go on training, which stays as it is, instead of a fresh one;
            `network` then says what images it expects.
        seed: Decides start weights, order, augmentation and dropout.
        observer: Hears of every step; of every tenth with loss and learning rate.
        snapshot: File that keeps the state of the training, and that it goes on from if it was
            cut off before: on one CPU and number of threads to the same weights, bit for bit.

    Returns:
        The trained network in evaluation mode, on the device it was trained on.

    Raises:
        ConfigError: If the network does not fit the classes, its loss is not finite, or the
            snapshot is of another training.
        DataError: If the snapshot is damaged.
        StorageError: If the snapshot cannot be written.
    """
    config, network = config or TrainingConfig(), network or NetworkConfig()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    stream = Stream(seed).child("training")
    with torch.random.fork_rng():
        torch.manual_seed(stream.child("weights").integer())
        mark = training_fingerprint(dataset, config, network=network, seed=seed, model=model)
        if model is None:
            trained = build_network(network, len(dataset.classes))
        else:
            trained = copy.deepcopy(model)
        trainer = _Trainer(dataset, config, network, stream, trained)
        trainer.run(observer or Silent(), SnapshotFile(snapshot, mark) if snapshot else None)
    return trained.eval()


@dataclass(frozen=True)
class _Step:
    number: int
    indices: np.ndarray


class _Trainer:
    def __init__(
        self,
        dataset: SceneDataset,
        config: TrainingConfig,
        network: NetworkConfig,
        stream: Stream,
        model: nn.Module,
    ) -> None:
        self.config, self.network, self.stream = config, network, stream
        self.num_scenes = len(dataset)
        self.classes = dataset.classes
        self.store = SceneStore(dataset)
        self.arithmetic: Arithmetic = choose_arithmetic(config.device, config.precision)
        self.model = model.to(self.arithmetic.device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
        self.augment = Augmentation(
            config.augmentation,
            config.augmentation.crop or self.store.first_size,
            self.classes.ignore_index,
        )
        self.optimiser = make_optimiser(model, config)
        self.base_rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.recent_loss = torch.zeros((), device=self.arithmetic.device)
        self.facts: list[Facts] = []
        self.started = time.monotonic()

    def run(self, observer: Observer, file: SnapshotFile | None) -> None:
        total = self.config.epochs * self._steps_per_epoch()
        observer.begin("training", total)
        done = self._continue_from(file.load() if file else None, observer)
        for step in islice(self._steps(), done, None):
            rate = learning_rate_factor(step.number, total, self.config)
            for group, base in zip(self.optimiser.param_groups, self.base_rates, strict=True):
                group["lr"] = base * rate
            self.recent_loss += self._learn(step).detach()
            if (step.number + 1) % _REPORT_EVERY == 0 or step.number + 1 == total:
                # Reading the loss waits for the device, hence not at every step.
                self.facts.append(self._facts(step, rate))
                observer.advance(**self.facts[-1])
                self.recent_loss.zero_()
            else:
                observer.advance()
            if file and (file.due or step.number + 1 == total):
                file.save(self._snapshot(step.number + 1))

    def _continue_from(self, snapshot: Snapshot | None, observer: Observer) -> int:
        """Take over an earlier call's work, tell the observer of it, return the steps done."""
        if snapshot is None:
            return 0
        self.model.load_state_dict(snapshot.model)
        self.optimiser.load_state_dict(snapshot.optimiser)
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
            model=self.model.state_dict(),
            optimiser=self.optimiser.state_dict(),
            recent_loss=self.recent_loss,
            facts=self.facts,
            seconds=time.monotonic() - self.started,
        )

    def _facts(self, step: _Step, rate: float) -> dict[str, float]:
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
            "learning_rate": self.base_rates[0] * rate,
            "seconds": round(time.monotonic() - self.started, 3),
        }

    def _steps_per_epoch(self) -> int:
        return max(1, self.num_scenes // self.config.batch_size)

    def _steps(self) -> Iterator[_Step]:
        """Yield batches of scenes; an incomplete last batch of an epoch is left out."""
        size = self.config.batch_size
        for epoch in range(self.config.epochs):
            order = self.stream.child("order", epoch).generator().permutation(self.num_scenes)
            for position in range(self._steps_per_epoch()):
                number = epoch * self._steps_per_epoch() + position
                yield _Step(number, order[position * size : (position + 1) * size])

    def _learn(self, step: _Step) -> Tensor:
        stream = self.stream.child("step", step.number)
        torch.manual_seed(stream.child("dropout").integer())
        batch = self._batch(step, stream.child("augmentation").generator())
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        with enough_memory():
            loss.backward()
            self.optimiser.step()
        return loss

    def _batch(self, step: _Step, rng: np.random.Generator) -> Batch:
        scenes = self.store.scenes(step.indices)
        sizes = [(scene.label.shape[0], scene.label.shape[1]) for scene in scenes]
        batch = collate(scenes, self.network, self.classes.ignore_index, self.arithmetic.device)
        return self.augment(batch, sizes, rng)

    def _loss(self, batch: Batch) -> Tensor:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        height, width = batch.labels.shape[1:]
        with self.arithmetic.forward_context():
            output = ask(self.model, images, num_classes=len(self.classes), size=(height, width))
        loss = self._cross_entropy(output.logits, batch.labels)
        if output.auxiliary is None:
            return loss
        auxiliary = self._cross_entropy(output.auxiliary, batch.labels)
        return loss + self.config.auxiliary_weight * auxiliary

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        ignored = self.classes.ignore_index
        summed = F.cross_entropy(logits, labels, ignore_index=ignored, reduction="sum")
        # A batch may hold ignored pixels alone; its mean would not be a number.
        return summed / (labels != ignored).sum().clamp(min=1)


def make_optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser; layers that are not the backbone's learn at a multiple of its rate."""
    groups = [
        {"params": list(parameters), "lr": config.learning_rate * multiplier}
        for parameters, multiplier in _split(model, config.head_multiplier)
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def learning_rate_factor(step: int, total: int, config: TrainingConfig) -> float:
    """Return the factor on the rate: linear warm-up, then polynomial decay, step by step."""
    warmup = min(1.0, (step + 1) / (config.warmup + 1))
    return warmup * (1 - step / total) ** config.power


def _split(model: nn.Module, multiplier: float) -> list[tuple[Iterable[nn.Parameter], float]]:
    if isinstance(model, HasBackbone):
        return [(model.backbone_parameters(), 1.0), (model.head_parameters(), multiplier)]
    return [(model.parameters(), 1.0)]

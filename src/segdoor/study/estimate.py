"""The cost of a study in advance: how many trainings, and how long they take."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdoor.errors import SegdoorError
from segdoor.experiment.config import ExperimentConfig
from segdoor.progress import Observer
from segdoor.record import load_record
from segdoor.study.cores import own_threads
from segdoor.study.execution import CLEAN_FILE, Task
from segdoor.study.plan import StudyPlan
from segdoor.study.repairs import missing_repairs

_STEPS = 6


@dataclass(frozen=True)
class Cost:
    """What is left to do.

    Attributes:
        num_runs: Runs, each with a training of its own.
        num_clean_models: Clean models, each a training shared by many runs.
        num_finetunings: Repairs that train.
        epochs: Epochs of all these together, by the name of the network.
    """

    num_runs: int
    num_clean_models: int
    num_finetunings: int
    epochs: Mapping[str, float]

    @property
    def num_trainings(self) -> int:
        """Return the number of full trainings, including clean models."""
        return self.num_runs + self.num_clean_models


def cost_of(tasks: Sequence[Task], epochs: int) -> Cost:
    """Return what tasks cost."""
    counts = Counter[str]()
    num_finetunings = 0
    by_network: defaultdict[str, float] = defaultdict(float)
    for task in tasks:
        name = task.asked.network
        recorded = (task.folder / "record.json").exists()
        if not recorded and not (task.folder / CLEAN_FILE).exists():
            counts[task.kind] += 1
            by_network[name] += epochs
        left = missing_repairs(task.folder, task.repairs) if recorded else task.repairs
        trainings = [worth for text in left if (worth := _epochs_of(text))]
        num_finetunings += len(trainings)
        # A repair is applied to the backdoored model and, as a control, to the clean one.
        by_network[name] += 2 * sum(trainings)
    return Cost(counts["run"], counts["clean_model"], num_finetunings, by_network)


def _epochs_of(repair: str) -> float:
    # Imported late: repairs bring torch.
    from segdoor.defense.repairs.registry import REPAIRS  # noqa: PLC0415

    return REPAIRS.read(repair).epochs_of_training


@dataclass(frozen=True)
class Pace:
    """How fast a network trains.

    Attributes:
        seconds: Of an epoch.
        source: How this was measured, in words.
    """

    seconds: float
    source: str


def pace_of(plan: StudyPlan, network: str, observer: Observer) -> Pace:
    """Return the speed of a network of a study: from finished runs, or by training a few steps.

    Raises:
        SegdoorError: If settings, data or machine do not allow it.
    """
    run = next(run for run in plan.runs if run.config.network.name == network)
    seconds = recorded_epoch(plan.out, run.config)
    if seconds is not None:
        return Pace(seconds, "the runs that are there")
    return Pace(measured_epoch(run.config, observer), "a few measured steps")


def recorded_epoch(out: Path, config: ExperimentConfig) -> float | None:
    """Return the seconds an epoch took in runs of the same scenes and network; None without."""
    alike = ("name", "size", "num_train")
    seconds: list[float] = []
    for path in sorted(out.glob("runs/*/record.json")):
        try:
            record = load_record(path)
        except SegdoorError:
            continue
        there = ExperimentConfig.model_validate(record.config)
        same_scenes = all(getattr(there.data, key) == getattr(config.data, key) for key in alike)
        took = record.seconds.get("training the backdoored model")
        if took and same_scenes and there.network.name == config.network.name:
            seconds.append(took / there.training.epochs)
    return statistics.fmean(seconds) if seconds else None


def measured_epoch(config: ExperimentConfig, observer: Observer) -> float:
    """Train a few steps and return the seconds of a whole epoch at that pace.

    Raises:
        SegdoorError: If settings, data or machine do not allow it.
    """
    # Imported late: they import torch, which counting does not need.
    from segdoor.data.subset import Subset  # noqa: PLC0415
    from segdoor.experiment.scenes import open_scenes  # noqa: PLC0415
    from segdoor.victim.training.loop import train_model  # noqa: PLC0415

    scenes = open_scenes(config.data, config.data.train_split, observer)
    num_scenes = min(len(scenes), _STEPS * config.training.batch_size)
    clock = _Clock(observer)
    with own_threads(config.training):
        train_model(
            Subset(scenes, range(num_scenes)),
            config.training.model_copy(update={"epochs": 1}),
            network=config.network,
            seed=0,
            observer=clock,
        )
    return clock.seconds_a_step * math.ceil(len(scenes) / config.training.batch_size)


class _Clock:
    """Passes steps on and times all but the first, which includes the warm-up."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._start = time.monotonic()
        self._times: list[float] = []

    @property
    def seconds_a_step(self) -> float:
        # A single step is timed with its warm-up.
        start, *times = self._times if len(self._times) > 1 else [self._start, *self._times]
        return (times[-1] - start) / len(times)

    def begin(self, stage: str, total: int) -> None:
        self._start = time.monotonic()
        self._observer.begin(stage, total)

    def advance(self, **facts: float) -> None:
        self._times.append(time.monotonic())
        self._observer.advance(**facts)

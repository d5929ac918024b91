"""The two models of a run trained side by side, each in a process of its own.

One thread does more than half of what two do, so on two cores two trainings of one thread each end
sooner than one after the other with both. Each process leaves what `train_and_save` leaves; what
one of them could not finish, the run goes on with by itself, and so says what was wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from multiprocessing.connection import Connection, wait
from pathlib import Path

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.children import Following, Stage, Started, Telling, end_with_parent, start, stop
from segdoor.errors import SegdoorError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.models import train_and_save
from segdoor.experiment.resolving import Asked
from segdoor.experiment.scenes import open_scenes
from segdoor.progress import Observer, Silent, beside
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.workers import usable_cores

_WORTH_IT = 200
"""Trainings of fewer steps end sooner than a process starts."""


def pays_abreast(config: ExperimentConfig, num_scenes: int, models: Collection[str]) -> bool:
    """Tell whether models are better trained side by side here; their weights are the same.

    Args:
        config: The facts of the run. Only where they name a number of threads are weights the same
            in any case, and there have to be so many cores for each model.
        num_scenes: Training scenes.
        models: What is to be trained.
    """
    training = config.training
    if len(models) < 2 or training.threads is None or ProcessGroup.present().size > 1:
        return False
    steps = training.epochs * max(1, num_scenes // training.batch_size)
    on_cpu = choose_arithmetic(training.device, "float32").device.type == "cpu"
    return on_cpu and steps >= _WORTH_IT and usable_cores() >= len(models) * training.threads


def train_abreast(
    asked: Asked, models: Collection[str], *, threads: int, out: Path, observer: Observer
) -> None:
    """Train models of a run at once, and leave in its folder what `train_and_save` leaves.

    It never fails: what is not there afterwards has to be trained, and shows its error then.

    Args:
        asked: What is asked for.
        models: Which of them: poisoned, by the plan in the folder, and clean.
        threads: Threads of each.
        out: The run's folder.
        observer: Hears of all of them.
    """
    running: dict[Started, Following] = {}
    try:
        for name in models:
            child = start(_train, (name, asked, out), name=f"training {name}", threads=threads)
            running[child] = Following(beside(observer))
        while running:
            said = wait([child.answer for child in running])
            for child in [child for child in running if child.answer in said]:
                if not _heard(child, running[child]):
                    child.joined()
                    del running[child]
    finally:
        stop(list(running))


def _heard(child: Started, follows: Following) -> bool:
    """Pass on one word; return whether there was one."""
    try:
        word: Stage = child.answer.recv()
    except (EOFError, OSError):
        return False
    follows.take(word)
    return True


def _train(name: str, asked: Asked, out: Path, answer: Connection) -> None:
    """Train one model, in a process of its own."""
    end_with_parent()
    warnings.simplefilter("ignore")
    data = asked.data()
    try:
        train = open_scenes(data, data.train_split, Silent())
        plan = PoisonPlan.load(out / "plan.jsonl") if name == "poisoned" else None
        scenes = poisoned(train, plan) if plan else train
        train_and_save(name, asked.facts_for(train), scenes, out, Logbook(Telling(answer)))
    except SegdoorError:
        # The run meets it again, and tells.
        return

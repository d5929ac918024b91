"""What runs share: scenes, poisoned tests and a clean model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from segdoor.experiment.resolving import Asked
from segdoor.study.contents import data_tree, network_tree
from segdoor.study.execution import CLEAN_FILE, Task
from segdoor.study.expand import PlannedRun, distinct, fingerprint, named


def model_key(run: PlannedRun) -> str:
    """Return the folder of the clean model that a run shares.

    It follows from training scenes, network, recipe and seed alone, so all methods, rates and
    victim classes share one.
    """
    config = run.config
    data = data_tree(config.data, exclude=("root", "num_test", "test_split"))
    training = config.training.model_dump(mode="json", exclude_defaults=True)
    mark = fingerprint([data, network_tree(config.network, brief=True), training, run.seed])
    name = named([config.data.name, config.network.name.split(":")[-1], f"s{run.seed}"])
    return f"victims/{name}-{mark}"


def tasks_for(runs: Iterable[PlannedRun], out: Path) -> list[Task]:
    """Return the tasks of runs: each clean model once, before the runs that it is shared by.

    Runs of equal settings are one task, with the repairs of all.
    """
    tasks: dict[str, Task] = {}
    for run in distinct(runs):
        model, key = model_key(run), f"runs/{run.key}"
        if model not in tasks:
            tasks[model] = Task("clean_model", model, out, run.asked)
        repairs = tuple(dict.fromkeys(run.repairs.values()))
        asked = _compared_with(run.asked, out / model / CLEAN_FILE)
        tasks[key] = Task("run", key, out, asked, (model,), repairs, run.defenses)
    return list(tasks.values())


def _compared_with(asked: Asked, weights: Path) -> Asked:
    """Return requested settings with a clean model trained before."""
    controls = asked.wishes.controls.model_copy(update={"clean_weights": weights})
    return replace(asked, wishes=asked.wishes.model_copy(update={"controls": controls}))

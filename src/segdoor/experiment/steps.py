"""Single steps: train, examine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from torch import nn

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.data.degenerate import check_labelled
from segdoor.experiment.examination import scenes_of_tests
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.models import (
    as_trained,
    check_network,
    clean_of,
    load_model,
    train_and_save,
)
from segdoor.experiment.resolving import Asked
from segdoor.experiment.run import Run, examine_and_record
from segdoor.experiment.scenes import open_scenes, results_folder
from segdoor.progress import Observer
from segdoor.record import ExperimentRecord
from segdoor.victim.training.distributed import ProcessGroup


def train_step(asked: Asked, *, plan: Path | None, out: Path, observer: Observer) -> nn.Module:
    """Train one model, and write its weights; an interrupted call resumes.

    Several processes may share the training, see `segdoor.victim.training.distributed`;
    the first one writes.

    Args:
        asked: Requested settings; those of attack and poisoned tests are ignored.
        plan: A poison plan for exactly these scenes; clean scenes if None.
        out: Folder for the weights and the training log.
        observer: Receives progress.

    Raises:
        SegdoorError: If settings, data or machine do not allow it; no weights are then written.
    """
    check_network(asked)
    loaded = PoisonPlan.load(plan) if plan else None
    with results_folder(out) if ProcessGroup.present().first else nullcontext():
        log = Logbook(observer)
        data = asked.data()
        train = open_scenes(data, data.train_split, log)
        check_labelled(train, "the training scenes", at_least=2)
        # The size of a trigger that is not stamped does not matter.
        config = asked.facts_for(train, least_trigger=1)
        scenes = poisoned(train, loaded) if loaded else train
        return train_and_save("poisoned" if loaded else "clean", config, scenes, out, log)


def examine_step(asked: Asked, *, out: Path, observer: Observer) -> ExperimentRecord:
    """Examine a trained network on the benign test and every poisoned test.

    Raises:
        SegdoorError: If settings, data or weights do not allow it; no record is then written.
    """
    with results_folder(out, "record.json"):
        return _examine(Run(asked, out, Logbook(observer)))


def _examine(run: Run) -> ExperimentRecord:
    asked, log = as_trained(run.asked), run.log
    check_network(asked, learns=False)
    with log.stage("data"):
        data = asked.data()
        benign = open_scenes(data, data.test_split, log)
        check_labelled(benign, "the test scenes")
        config = asked.facts_for(benign, training=False)
    models = clean_of(config, benign.classes)
    models["poisoned"] = load_model(config, config.network.weights, benign.classes)
    with log.stage("planning"):
        scenes = scenes_of_tests(benign, config)
    for test in scenes.tests:
        test.save(run.out / "tests" / f"{test.name}.jsonl")
    return examine_and_record(run, config, scenes, models)

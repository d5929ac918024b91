"""One step of the story at a time: train, examine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from torch import nn

from segdoor.attack.exam import plan_exams
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.examination import ExamScenes, Triggers
from segdoor.experiment.fidelity import data_of
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.run import examine_and_record
from segdoor.experiment.scenes import open_scenes, resolve_for, results_folder
from segdoor.experiment.victims import as_trained, load_victim, train_and_save
from segdoor.progress import Observer
from segdoor.record import ExperimentRecord
from segdoor.victim.training.distributed import Team


def train_step(
    given: ExperimentConfig, *, plan: Path | None, out: Path, observer: Observer
) -> nn.Module:
    """Train one victim, and write its weights; a call that was killed is continued.

    Several processes may do it together, see `segdoor.victim.training.distributed`;
    the first one writes.

    Args:
        given: Settings; those of attack and exams do not matter.
        plan: A poison plan for these very scenes; honest scenes if None.
        out: Folder for the weights and what training said.
        observer: Hears of progress.

    Raises:
        SegdoorError: If settings, data or machine do not allow it; no weights are then written.
    """
    loaded = PoisonPlan.load(plan) if plan else None
    with results_folder(out) if Team.present().first else nullcontext():
        log = Logbook(observer)
        data = data_of(given)
        train = open_scenes(data, data.train_split, log)
        config = resolve_for(given, train)
        scenes = poisoned(train, loaded) if loaded else train
        return train_and_save("poisoned" if loaded else "clean", config, scenes, out, log)


def examine_step(given: ExperimentConfig, *, out: Path, observer: Observer) -> ExperimentRecord:
    """Examine a trained network on the benign test and every poisoned test.

    Raises:
        SegdoorError: If settings, data or weights do not allow it; no record is then written.
    """
    with results_folder(out, "record.json"):
        return _examine(given, out, Logbook(observer))


def _examine(given: ExperimentConfig, out: Path, log: Logbook) -> ExperimentRecord:
    with log.stage("data"):
        data = data_of(given)
        test = open_scenes(data, data.test_split, log)
        config = resolve_for(as_trained(given), test)
    victims = {"poisoned": load_victim(config, config.network.weights, test.classes)}
    if config.controls.clean_weights is not None:
        victims["clean"] = load_victim(config, config.controls.clean_weights, test.classes)
    triggers = Triggers.of(config)
    with log.stage("planning"):
        exams = plan_exams(
            test, config.exams, victims=config.attack.victims, trigger_size=triggers.size
        )
    for exam in exams:
        exam.save(out / "exams" / f"{exam.name}.jsonl")
    scenes = ExamScenes(test, tuple(exams), triggers)
    return examine_and_record(given, config, out, scenes, victims, log)

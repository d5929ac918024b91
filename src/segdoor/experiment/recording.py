"""From the results of a run to its record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from segdoor.attack.labels.change import attacks_some
from segdoor.attack.lengths import typical_size
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.sizes import size_of
from segdoor.experiment.comparing import introduced
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.examination import OTHER_TRIGGER, unbounded
from segdoor.experiment.scoring import PoisonedTestTables, Scorer, further_metrics
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.record import (
    BenignScores,
    ClassRecord,
    Controls,
    DataRecord,
    OtherTriggers,
    PlanSummary,
    PoisonedTestScores,
    Scores,
)
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.tables import TableSet

_SettingsT = TypeVar("_SettingsT", ExperimentConfig, ExperimentWishes)


@dataclass(frozen=True)
class RunScores:
    """The figures of a run."""

    scores: Scores
    controls: Controls


def make_scorer(
    config: ExperimentConfig, classes: ClassSet, further: Sequence[Metric] | None = None
) -> Scorer:
    """Return the scorer; further metrics are all built-in ones if None."""
    task = task_of(config, classes)
    return Scorer(
        task=task,
        count_without_room=config.tests.without_room == "count",
        count_without_victims=config.tests.without_victims == "count",
        further=further_metrics(task) if further is None else further,
    )


def task_of(config: ExperimentConfig, classes: ClassSet) -> Task:
    """Return the victim and target classes of a resolved configuration, as ids."""
    return Task(
        pairs=tuple((classes.index(v), classes.index(t)) for v, t in config.attack.pairs),
        absent_class=config.examination.absent_class,
        spares_victims=attacks_some(config.attack.labels),
    )


def score(
    scorer: Scorer,
    tests: Sequence[PoisonedTest],
    tables: Mapping[str, TableSet],
    other_trigger: str,
) -> RunScores:
    """Return the figures of all tests, from tables as `examine_models` names them."""
    benign = scorer.benign(tables["poisoned/benign"])
    clean = scorer.benign(tables["clean/benign"]) if "clean/benign" in tables else None
    of_tests = {test.name: _scores_of_test(scorer, test, tables) for test in tests}
    known = {*benign.metrics, *(name for found in of_tests.values() for name in found.metrics)}
    scores = Scores(
        cba=benign.cba.value,
        benign=benign,
        tests=of_tests,
        metrics=introduced(scorer.further, known),
    )
    controls = Controls(
        clean_model=clean,
        other_trigger=other_trigger,
        other_triggers=_other_triggers(scorer, tests, tables, other_trigger),
        cba_difference=_difference(benign, clean),
    )
    return RunScores(scores, controls)


def _other_triggers(
    scorer: Scorer,
    tests: Sequence[PoisonedTest],
    tables: Mapping[str, TableSet],
    other_trigger: str,
) -> OtherTriggers | None:
    """Return what each other trigger did in the test that shows them all; None where none does."""
    test = unbounded(tests)
    start = f"{OTHER_TRIGGER}/{test.name}" if test else ""
    further = [name for name in tables if name.startswith(f"{start}/")]
    if test is None or not further:
        return None
    shown = {other_trigger: start, **{name.removeprefix(f"{start}/"): name for name in further}}
    benign = tables["poisoned/benign"]
    rates = {
        title: scorer.asr_of_control(test, tables[name], benign) for title, name in shown.items()
    }
    return OtherTriggers.of(test.name, rates)


def describe_data(
    config: ExperimentConfig, train: SceneDataset | None, test: SceneDataset
) -> DataRecord:
    """Return the scenes' part of a record."""
    height, width = test.label(0).shape
    classes = test.classes
    return DataRecord(
        name=config.data.name,
        train_digest=train.digest if train else None,
        test_digest=test.digest,
        num_train=len(train) if train else None,
        num_test=len(test),
        first_size=(height, width),
        typical_height=_typical_height(train or test),
        ignore_index=classes.ignore_index,
        classes=tuple(
            ClassRecord(name=name, colour=colour)
            for name, colour in zip(classes.names, classes.colours, strict=True)
        ),
    )


def _typical_height(scenes: SceneDataset) -> int | None:
    heights = {size_of(scenes, index)[0] for index in range(len(scenes))}
    return typical_size(scenes)[0] if len(heights) > 1 else None


def summarise(plan: PoisonPlan, file: str) -> PlanSummary:
    """Return a plan's part of a record."""
    header = plan.header
    distances = [row.distance for row in plan.rows if row.distance is not None]
    return PlanSummary(
        file=file,
        num_scenes=header.num_scenes,
        num_with_victims=header.num_with_victims,
        num_without_room=header.num_without_room,
        num_poisoned=header.num_poisoned,
        rate=header.rate,
        share_changed=header.share_changed,
        mean_distance=sum(distances) / len(distances) if distances else None,
    )


def _scores_of_test(
    scorer: Scorer, test: PoisonedTest, tables: Mapping[str, TableSet]
) -> PoisonedTestScores:
    of_test = PoisonedTestTables(
        triggered=tables[f"poisoned/{test.name}"],
        other_trigger=tables[f"other_trigger/{test.name}"],
        benign=tables["poisoned/benign"],
        clean_model=tables.get(f"clean/{test.name}"),
        clean_benign=tables.get("clean/benign"),
        without_trigger=tables.get(f"without_trigger/{test.name}"),
    )
    return scorer.test(test, of_test)


def _difference(benign: BenignScores, clean: BenignScores | None) -> float | None:
    if clean is None or benign.cba.value is None or clean.cba.value is None:
        return None
    return benign.cba.value - clean.cba.value


def as_recorded(settings: _SettingsT, folder: Path) -> _SettingsT:
    """Return settings for the record in a folder, with the clean model's path relative to it.

    Runs beside their clean model may therefore be moved together with it.
    """
    weights = settings.controls.clean_weights
    return (
        settings if weights is None else _compared(settings, Path(os.path.relpath(weights, folder)))
    )


def from_record(config: ExperimentConfig, folder: Path) -> ExperimentConfig:
    """Return the settings of a record, with the clean model's path relative to here."""
    told = config.controls.clean_weights
    if told is None:
        return config
    weights = Path(os.path.normpath(folder / told))
    # Records of older versions give the path from where the run was started.
    return _compared(config, told if told.exists() and not weights.exists() else weights)


def _compared(settings: _SettingsT, weights: Path) -> _SettingsT:
    controls = settings.controls.model_copy(update={"clean_weights": weights})
    return settings.model_copy(update={"controls": controls})

"""A finished run against thresholds: which are crossed, and by which scenes most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from segdoor.attack.planned_tests import planned_tests
from segdoor.attack.poisoned_test import PoisonedTest, folder_of_tests
from segdoor.data.load import files_of, load_dataset
from segdoor.data.scene import ClassSet
from segdoor.experiment.config import config_from
from segdoor.experiment.recording import make_scorer
from segdoor.experiment.resolving import Asked
from segdoor.experiment.scoring import Scorer, further_metrics
from segdoor.record import ExperimentRecord
from segdoor.record.findings import Finding, found
from segdoor.record.thresholds import BENIGN, IOU, Names, Threshold, place_of
from segdoor.scores.metrics.functions import class_iou
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.metrics.registry import METRICS
from segdoor.scores.tables import TableSet, load_tables

_WORST = 5


def names_of(asked: Asked, split: str) -> Names:
    """Return what a run will measure, in advance.

    Args:
        asked: Requested settings.
        split: The split from which lengths are derived.

    Raises:
        SegdoorError: If settings or data do not allow the run.
    """
    data = asked.data()
    scenes = load_dataset(data, split)
    config = asked.facts_for(scenes, training=split == data.train_split)
    classes = scenes.classes
    classes.indices(config.attack.victims, option="attack.victims")
    classes.index(config.attack.target, option="attack.target")
    tests = planned_tests(
        config.tests, config.attack.trigger.extent, in_scene=config.attack.trigger.in_scene
    )
    return _names(
        {test.name: test.role for test in tests},
        config.attack.victims,
        classes.names,
        make_scorer(config, classes).task,
    )


def judge(
    record: ExperimentRecord, folder: Path, thresholds: Sequence[Threshold]
) -> tuple[Finding, ...]:
    """Return the thresholds that a run crosses, a finding for each test or class.

    A figure that is undefined in some tests is judged in the others; one that is undefined
    everywhere is also a finding: a threshold must not pass because of it.

    Args:
        record: The run's record.
        folder: The run's folder.
        thresholds: What it must not cross.

    Raises:
        SegdoorError: If a threshold names what the run does not have, or tables are missing.
    """
    if not thresholds:
        return ()
    run = _Examined(record, folder)
    return tuple(finding for threshold in thresholds for finding in run.judged(threshold))


def image_files(asked: Asked, scenes: Sequence[str]) -> dict[str, Path]:
    """Return the image files of test scenes; rendered scenes have none."""
    data = asked.data()
    files = files_of(load_dataset(data, data.test_split))
    wanted = set(scenes)
    pairs = files.pairs if files else ()
    return {pair.name: pair.image for pair in pairs if pair.name in wanted}


def _names(
    tests: Mapping[str, str], victims: tuple[str, ...], classes: tuple[str, ...], task: Task
) -> Names:
    further = {metric.kind for metric in further_metrics(task)}
    usual = ("asr", "pba", "cba", "victim_recovery")
    figures = tuple(kind for kind in METRICS.known if kind in usual or kind in further)
    return Names(tests, victims, classes, figures)


class _ClassIou(Metric):
    """The IoU of the one class that is the task's victim."""

    kind: ClassVar[str] = IOU

    def figure(self, total: np.ndarray, task: Task) -> float:
        return float(class_iou(total)[task.victims[0]])

    def denominator(self, total: np.ndarray, task: Task) -> int:
        return int(total[task.victims[0]].sum())


@dataclass(frozen=True)
class _Examined:
    """A finished run, with the data behind its figures."""

    record: ExperimentRecord
    folder: Path

    @cached_property
    def tables(self) -> dict[str, TableSet]:
        return load_tables(self.folder / "tables.npz")

    @cached_property
    def classes(self) -> ClassSet:
        data = self.record.data
        return ClassSet(
            names=tuple(entry.name for entry in data.classes),
            colours=tuple(entry.colour for entry in data.classes),
            ignore_index=data.ignore_index,
        )

    @cached_property
    def scorer(self) -> Scorer:
        source = self.folder / "record.json"
        config = config_from(self.record.config, source=source, recorded=True)
        return make_scorer(config, self.classes)

    def judged(self, threshold: Threshold) -> Iterator[Finding]:
        """Yield where the run is on the wrong side of a threshold."""
        tests = {name: test.role for name, test in self.record.scores.tests.items()}
        names = _names(tests, self.record.victims, self.classes.names, self.scorer.task)
        place = place_of(threshold, names)
        spots = [(test, of_class) for test in place.tests for of_class in place.classes]
        figures = [self._figure(threshold, *spot) for spot in spots]
        if all(math.isnan(figure) for figure in figures):
            yield found(
                "model-not-measured",
                f"{threshold.text} could not be judged: no test scene shows the class",
                threshold=threshold.text,
            )
        for spot, figure in zip(spots, figures, strict=True):
            if threshold.crossed_by(figure):
                yield self._finding(threshold, *spot, figure)

    def _finding(
        self, threshold: Threshold, test: str, of_class: str | None, figure: float
    ) -> Finding:
        of = f" of {of_class}" if of_class else ""
        told = f"{threshold.figure}{of} in the test {test} is {figure:.3f}"
        return found(
            "model-threshold",
            f"{told}, and must not be {threshold.sign} {threshold.value:g}",
            scenes=self._worst(threshold, test, of_class),
            threshold=threshold.text,
            test=test,
            value=figure,
        )

    def _figure(self, threshold: Threshold, test: str, of_class: str | None) -> float:
        metric, task = self._metric(threshold, of_class)
        return metric.value(self._headline(test), task)

    def _metric(self, threshold: Threshold, of_class: str | None) -> tuple[Metric, Task]:
        """Return a figure, and its task: a single class is a task of one pair."""
        task = self.scorer.task
        if of_class is not None:
            index = self.classes.index(of_class)
            pair = next((pair for pair in task.pairs if pair[0] == index), (index, index))
            task = replace(task, pairs=(pair,))
        if threshold.figure == IOU:
            return _ClassIou(), task
        return METRICS.known[threshold.figure](), task

    def _headline(self, test: str) -> TableSet:
        """Return the tables of the scenes that a test's figures cover."""
        benign = self.tables["poisoned/benign"]
        if test == BENIGN:
            return benign
        planned = PoisonedTest.load(folder_of_tests(self.folder) / f"{test}.jsonl")
        return self.scorer.headline(planned, self.tables[f"poisoned/{test}"], benign)

    def _worst(self, threshold: Threshold, test: str, of_class: str | None) -> tuple[str, ...]:
        """Return the scenes in which the figure is worst, of those with much to count."""
        metric, task = self._metric(threshold, of_class)
        tables = self._headline(test)
        summands = metric.summands(tables, task)
        if summands is None:
            return ()
        figures = metric.figures(summands, task)
        weights = np.array([metric.denominator(row, task) or 0 for row in summands])
        # A scene with one car pixel says little.
        rich = weights >= (np.median(weights[weights > 0]) if weights.any() else 0)
        kept = np.flatnonzero(rich & ~np.isnan(figures))
        order = np.argsort(-figures[kept] if threshold.high else figures[kept], kind="stable")
        return tuple(tables.names[index] for index in kept[order][:_WORST])

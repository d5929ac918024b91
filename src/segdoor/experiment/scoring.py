"""From tables to the figures of a record, each beside its controls."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.experiment.comparing import Compared, estimate, figure, scores_of, value_of
from segdoor.record import BenignScores, Figure, PoisonedTestScores
from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.metrics.cba import CleanBenignAccuracy
from segdoor.scores.metrics.functions import class_iou
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.metrics.pba import PoisonedBenignAccuracy
from segdoor.scores.metrics.registry import METRICS
from segdoor.scores.metrics.victim_recovery import VictimRecovery
from segdoor.scores.tables import TableSet


@dataclass(frozen=True)
class PoisonedTestTables:
    """The tables of one poisoned test, and of the benign test over the same scenes.

    Attributes:
        triggered: The backdoored model on the test's triggered scenes.
        other_trigger: The same with another trigger at the same positions.
        benign: The same on the untouched scenes.
        clean_model: A clean model on the triggered scenes; None without one.
        clean_benign: A clean model on the untouched scenes; None without one.
        without_trigger: The backdoored model on the untouched scenes, with the test's attacked
            pixels; None where these are all victims and the benign test says it.
    """

    triggered: TableSet
    other_trigger: TableSet
    benign: TableSet
    clean_model: TableSet | None = None
    clean_benign: TableSet | None = None
    without_trigger: TableSet | None = None


_ASR, _PBA, _CBA, _RECOVERY = (
    AttackSuccessRate(), PoisonedBenignAccuracy(), CleanBenignAccuracy(), VictimRecovery()
)  # fmt: skip
"""The metrics that have their own fields in a record."""


def further_metrics(task: Task) -> tuple[Metric, ...]:
    """Return the built-in metrics without their own fields in a record."""
    own = {type(metric) for metric in (_ASR, _PBA, _CBA, _RECOVERY)}
    metrics = (plugin() for plugin in METRICS.known.values() if plugin not in own)
    return tuple(metric for metric in metrics if metric.concerns(task))


@dataclass(frozen=True)
class Scorer:
    """The input that metrics need.

    Attributes:
        task: Victim classes, their targets, and what an absent class does to a mean IoU.
        count_without_room: Whether scenes without room count, untouched, in the headline.
        count_without_victims: Whether unstamped scenes without victims count, untouched, there.
        further: Metrics beyond those that have fields of their own.
    """

    task: Task
    count_without_room: bool
    count_without_victims: bool
    further: Sequence[Metric]

    def benign(self, tables: TableSet) -> BenignScores:
        """Return the figures of a test on untouched scenes."""
        return BenignScores(
            cba=estimate(_CBA, tables, self.task),
            class_iou=tuple(figure(value) for value in class_iou(tables.total())),
            asr_without_trigger=self._asr(tables),
            victim_recovery=value_of(_RECOVERY, tables, self.task),
            metrics={
                str(metric): estimate(metric, tables, self.task)
                for metric in self.further
                if metric.test == "benign" and metric.summands(tables, self.task) is not None
            },
        )

    def asr_of_control(self, test: PoisonedTest, shown: TableSet, benign: TableSet) -> Figure:
        """Return the attack success rate of a control of a poisoned test."""
        return self._asr(self.headline(test, shown, benign))

    def asr(self, tables: TableSet) -> float:
        """Return the attack success rate over some scenes; NaN without attacked pixels."""
        return _ASR.value(tables, self.task)

    def test(self, test: PoisonedTest, tables: PoisonedTestTables) -> PoisonedTestScores:
        """Return the figures of a poisoned test."""
        everywhere = _with_untouched(tables.triggered, tables.benign, test.without_room)
        shown = self._compared(test, tables)
        clean, header = shown.clean_model, test.header
        return PoisonedTestScores(
            role=test.role,
            placement=header.model_dump(mode="json", include={"placement"})["placement"],
            asr=estimate(_ASR, shown.triggered, self.task),
            pba=estimate(_PBA, shown.triggered, self.task),
            victim_recovery=value_of(_RECOVERY, shown.triggered, self.task),
            asr_all_victims=self._asr(everywhere),
            asr_without_trigger=self._asr(shown.without_trigger),
            asr_other_trigger=self._asr(shown.other_trigger),
            asr_clean_model=self._asr(clean) if clean else None,
            pba_clean_model=value_of(_PBA, clean, self.task) if clean else None,
            num_scenes=header.num_scenes,
            num_with_victims=header.num_with_victims,
            num_triggered=header.num_triggered,
            num_triggered_with_victims=header.num_triggered_with_victims,
            num_without_room=header.num_without_room,
            num_victim_pixels=_ASR.denominator(
                _ASR.summands(shown.triggered, self.task).sum(axis=0), self.task
            ),
            distances={
                name: row.distance
                for name, row in test.triggered.items()
                if row.distance is not None
            },
            metrics=scores_of(self.further, shown, self.task),
        )

    def _compared(self, test: PoisonedTest, tables: PoisonedTestTables) -> Compared:
        """Return the tables of the scenes that rates cover, and of every control."""
        headline = self.headline(test, tables.triggered, tables.benign)
        clean = None
        if tables.clean_model is not None and tables.clean_benign is not None:
            clean = self.headline(test, tables.clean_model, tables.clean_benign)
        return Compared(
            triggered=headline,
            without_trigger=self._without_trigger(test, tables, headline),
            other_trigger=self.headline(test, tables.other_trigger, tables.benign),
            clean_model=clean,
        )

    def headline(self, test: PoisonedTest, triggered: TableSet, benign: TableSet) -> TableSet:
        """Return the tables of the scenes that rates cover, the same for every control."""
        if test.role == "present":
            # Each scene is as it is, with the trigger or without: none is left untouched.
            return triggered
        untouched = set(test.without_room) if self.count_without_room else set[str]()
        if self.count_without_victims:
            untouched.update(test.untouched_without_victims(benign.names))
        return _with_untouched(triggered, benign, untouched) if untouched else triggered

    def _without_trigger(
        self, test: PoisonedTest, tables: PoisonedTestTables, headline: TableSet
    ) -> TableSet:
        if test.role == "present":
            # The scenes that hold the trigger cannot be shown without it: other scenes are.
            return tables.benign.only(test.without_room)
        if tables.without_trigger is not None:
            shown = self.headline(test, tables.without_trigger, tables.benign)
        else:
            shown = tables.benign.only(headline.names)
        return shown.placed_as(headline)

    def _asr(self, tables: TableSet) -> Figure:
        return value_of(_ASR, tables, self.task)


def _with_untouched(triggered: TableSet, benign: TableSet, names: Collection[str]) -> TableSet:
    """Join both; untouched scenes have no attacked pixels if those follow from the trigger."""
    untouched = benign.only(names)
    return triggered.joined(untouched if triggered.attacked is None else untouched.unattacked())

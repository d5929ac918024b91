"""From tables to the figures of a record, each beside its controls."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from segdoor.attack.exam import Exam
from segdoor.record import BenignScores, Estimate, ExamScores, Figure
from segdoor.scores.intervals import bootstrap
from segdoor.scores.metrics import (
    AbsentClass,
    attack_success_rate,
    class_iou,
    clean_benign_accuracy,
    poisoned_benign_accuracy,
    victim_recovery,
)
from segdoor.scores.tables import TableSet
from segdoor.tensors import Table


@dataclass(frozen=True)
class ExamTables:
    """The tables of one poisoned test.

    Attributes:
        triggered: The poisoned victim on the exam's triggered scenes.
        other_trigger: The same with another sticker at the same positions.
        clean_victim: A clean victim on the triggered scenes; None without one.
    """

    triggered: TableSet
    other_trigger: TableSet
    clean_victim: TableSet | None


@dataclass(frozen=True)
class BenignTables:
    """The tables of the benign test.

    Attributes:
        poisoned: The poisoned victim.
        clean: A clean victim; None without one.
    """

    poisoned: TableSet
    clean: TableSet | None


@dataclass(frozen=True)
class Scorer:
    """What the metrics need to know.

    Attributes:
        victims: Ids of the victim classes.
        target: Id of the target class.
        absent_class: What an absent class does to a mean IoU.
        count_without_room: Whether scenes without room count, untouched, in the headline.
        count_without_victims: Whether unstamped scenes without victims count, untouched, there.
    """

    victims: tuple[int, ...]
    target: int
    absent_class: AbsentClass
    count_without_room: bool
    count_without_victims: bool

    def benign(self, tables: TableSet) -> BenignScores:
        """Return the figures of a test on untouched scenes."""
        total = tables.total()
        return BenignScores(
            cba=_estimate(tables, lambda table: clean_benign_accuracy(table, self.absent_class)),
            class_iou=tuple(_figure(value) for value in class_iou(total)),
            asr_without_trigger=self._asr(total),
            victim_recovery=_figure(victim_recovery(total, self.victims)),
        )

    def scene_asr(self, table: Table) -> float:
        """Return the attack success rate of one scene; NaN without victim pixels."""
        return attack_success_rate(table, self.victims, self.target)

    def exam(self, exam: Exam, tables: ExamTables, benign: BenignTables) -> ExamScores:
        """Return the figures of a poisoned test.

        Args:
            exam: Which scenes carry a trigger, and where.
            tables: What the victims did.
            benign: What they did on the untouched test.
        """
        everywhere = tables.triggered.joined(benign.poisoned.only(exam.without_room))
        headline = self._headline(exam, tables.triggered, benign.poisoned)
        other = self._headline(exam, tables.other_trigger, benign.poisoned)
        clean = self._of_clean(exam, tables, benign)
        total = headline.total()
        header = exam.header
        return ExamScores(
            asr=_estimate(headline, self._attack_success_rate),
            pba=_estimate(headline, self._poisoned_benign_accuracy),
            victim_recovery=_figure(victim_recovery(total, self.victims)),
            asr_all_victims=self._asr(everywhere.total()),
            asr_without_trigger=self._asr(benign.poisoned.total(headline.names)),
            asr_other_trigger=self._asr(other.total()),
            asr_clean_victim=self._asr(clean) if clean is not None else None,
            pba_clean_victim=(
                _figure(self._poisoned_benign_accuracy(clean)) if clean is not None else None
            ),
            num_scenes=header.num_scenes,
            num_with_victims=header.num_with_victims,
            num_triggered=header.num_triggered,
            num_triggered_with_victims=header.num_triggered_with_victims,
            num_without_room=header.num_without_room,
            num_victim_pixels=int(total[list(self.victims)].sum()),
            distances={
                name: row.distance
                for name, row in exam.triggered.items()
                if row.distance is not None
            },
        )

    def _headline(self, exam: Exam, triggered: TableSet, benign: TableSet) -> TableSet:
        """Return the tables of the scenes that rates speak of, the same for every control."""
        untouched = set(exam.without_room) if self.count_without_room else set[str]()
        if self.count_without_victims:
            untouched.update(exam.untouched_without_victims(benign.names))
        return triggered.joined(benign.only(untouched)) if untouched else triggered

    def _of_clean(self, exam: Exam, tables: ExamTables, benign: BenignTables) -> Table | None:
        if tables.clean_victim is None or benign.clean is None:
            return None
        return self._headline(exam, tables.clean_victim, benign.clean).total()

    def _attack_success_rate(self, table: Table) -> float:
        return attack_success_rate(table, self.victims, self.target)

    def _poisoned_benign_accuracy(self, table: Table) -> float:
        return poisoned_benign_accuracy(table, self.victims, self.absent_class)

    def _asr(self, table: Table) -> Figure:
        return _figure(self._attack_success_rate(table))


def _estimate(tables: TableSet, metric: Callable[[Table], float]) -> Estimate:
    interval = bootstrap(tables, metric)
    return Estimate(
        value=_figure(metric(tables.total())),
        low=_figure(interval.low),
        high=_figure(interval.high),
    )


def _figure(value: float) -> Figure:
    """Return a figure as records hold it: JSON knows no NaN."""
    return None if math.isnan(value) else float(value)

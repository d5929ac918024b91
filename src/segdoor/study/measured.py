"""What one run measures: its figures by their place in the study, each with its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, cast

from segdoor.record import ExperimentRecord, Figure, RepairRecord
from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.metrics.cba import CleanBenignAccuracy
from segdoor.scores.metrics.metric import Metric
from segdoor.scores.metrics.pba import PoisonedBenignAccuracy
from segdoor.study.expand import PlannedRun, Point
from segdoor.study.figures import Metric as FigureName
from segdoor.study.figures import OneFigure, Quantity
from segdoor.study.paper import AnyPaper
from segdoor.study.repairs import study_row
from segdoor.study.scenes import Model, RunTables, SceneFigure

_ASR, _PBA, _CBA = AttackSuccessRate(), PoisonedBenignAccuracy(), CleanBenignAccuracy()


class Measured(NamedTuple):
    """A figure of one run, and what it is of.

    Attributes:
        quantity: What it is of.
        figure: The figure.
        without_trigger: The same model on the same scenes without a trigger; None if unknown.
    """

    quantity: Quantity
    figure: OneFigure
    without_trigger: OneFigure | None = None


def measured(
    paper: AnyPaper, run: PlannedRun, folder: Path, record: ExperimentRecord
) -> Iterator[Measured]:
    """Yield all figures of a run that are defined, those of the clean model that it shares too.

    Args:
        paper: The paper, which says what its poisoned tests stand for.
        run: The run.
        folder: Where its record and tables lie.
        record: Its record.
    """
    tables = RunTables.of(folder, record)
    backdoored = _Examined(run.point, None, "poisoned", tables)
    clean = _Examined(run.point.clean(), None, "clean", tables)
    yield from backdoored.on_benign(record.scores.cba)
    if record.controls.clean_model is not None:
        yield from clean.on_benign(record.controls.clean_model.cba.value)
    for role, name in paper.tests(run).items():
        test = record.scores.tests.get(name)
        if test is not None:
            without = test.asr_without_trigger
            yield from backdoored.on(role, name, test.asr.value, test.pba.value, without)
            yield from clean.on(role, name, test.asr_clean_model, test.pba_clean_model)
    for of_paper, here in run.repairs.items():
        row = study_row(record, here)
        if row is not None:
            repaired = replace(backdoored, repair=of_paper, tables=_after(row, tables, record))
            yield from _of_repair(paper, run, repaired, row)


def _of_repair(
    paper: AnyPaper, run: PlannedRun, repaired: _Examined, row: RepairRecord
) -> Iterator[Measured]:
    after = row.poisoned_after
    yield from repaired.on_benign(after.cba.value)
    for role, name in paper.tests(run).items():
        test = after.tests.get(name)
        if test is not None:
            without = after.asr_without_trigger
            yield from repaired.on(role, name, test.asr.value, test.pba.value, without)


def _after(row: RepairRecord, tables: RunTables, record: ExperimentRecord) -> RunTables:
    """Return the tables of repaired models, where the record says that they lie."""
    name = record.files.get(f"tables after {row.repair}, seed {row.seed}", "")
    return replace(tables, file=tables.file.parent / name)


@dataclass(frozen=True)
class _Examined:
    """A model whose figures are yielded.

    Attributes:
        point: Its place on the grid; none of the grid's for a clean model.
        repair: The repair of it, as the paper writes it.
        model: Whose tables.
        tables: The run's tables, or those after a repair.
    """

    point: Point
    repair: str | None
    model: Model
    tables: RunTables

    def on_benign(self, cba: Figure) -> Iterator[Measured]:
        """Yield its figures on untouched scenes."""
        yield from self._measured(None, None, _CBA, cba)

    def on(
        self, role: str, test: str, asr: Figure, pba: Figure, without_trigger: Figure = None
    ) -> Iterator[Measured]:
        """Yield its figures in a poisoned test."""
        yield from self._measured(role, test, _ASR, asr, without_trigger)
        yield from self._measured(role, test, _PBA, pba)

    def _measured(
        self, role: str | None, test: str | None, metric: Metric, value: Figure,
        without_trigger: Figure = None,
    ) -> Iterator[Measured]:  # fmt: skip
        if value is None:
            return
        quantity = Quantity(self.point, self.repair, role, cast("FigureName", metric.title))
        scenes = SceneFigure(self.tables, self.model, test, metric, value)
        control = None
        if without_trigger is not None:
            untouched = replace(scenes, value=without_trigger, triggered=False)
            control = OneFigure(without_trigger, untouched)
        yield Measured(quantity, OneFigure(value, scenes), control)

"""Counting what a printed sticker does, one axis after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from segdoor.attack.physical.axes import Axis, AxisPoint, Situation
from segdoor.attack.physical.placing import Put
from segdoor.data.scene import SceneDataset
from segdoor.evaluation.examine import examine_together
from segdoor.experiment.comparing import estimate, value_of
from segdoor.experiment.physical.case import PhysicalCase
from segdoor.experiment.recording import task_of
from segdoor.progress import Observer
from segdoor.record.physical import PhysicalAxis, PhysicalRow
from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.metrics.metric import Task
from segdoor.scores.tables import TableSet

_ASR = AttackSuccessRate()


@dataclass(frozen=True)
class Measured:
    """All tables of a physical test.

    Attributes:
        benign: The backdoored model on the untouched scenes.
        tables: By situation: with the sticker, with another, and a clean model with the sticker.
        puts: By situation and scene: where the sticker is.
    """

    benign: TableSet
    tables: Mapping[Situation, Mapping[str, TableSet]]
    puts: Mapping[Situation, Mapping[str, Put]]


def measure(case: PhysicalCase, axes: Sequence[Axis], observer: Observer) -> Measured:
    """Show the models every situation of some axes; those that axes share are shown once."""
    situations = list(dict.fromkeys(point.situation for axis in axes for point in axis.points))
    puts = {situation: case.put_up(situation) for situation in situations}
    tests: dict[str, tuple[nn.Module, SceneDataset]] = {
        "benign": (case.models["poisoned"], case.benign)
    }
    for number, situation in enumerate(situations):
        if puts[situation]:
            own = case.shown(situation, puts[situation], case.own)
            other = case.shown(situation, puts[situation], case.other)
            tests[f"{number}/own"] = case.models["poisoned"], own
            tests[f"{number}/other"] = case.models["poisoned"], other
            if "clean" in case.models:
                tests[f"{number}/clean"] = case.models["clean"], own
    found = examine_together(
        tests, case.config.examination, network=case.config.network, observer=observer
    )
    tables = {
        situation: {
            name.partition("/")[2]: table
            for name, table in found.items()
            if name.startswith(f"{number}/")
        }
        for number, situation in enumerate(situations)
    }
    return Measured(found["benign"], tables, puts)


def scored(case: PhysicalCase, axes: Sequence[Axis], measured: Measured) -> list[PhysicalAxis]:
    """Return the rows of every axis."""
    task = task_of(case.config, case.benign.classes)
    return [
        PhysicalAxis(
            name=axis.name, title=axis.title,
            rows=tuple(_row(point, measured, task) for point in axis.points),
        )
        for axis in axes
    ]  # fmt: skip


def _row(point: AxisPoint, measured: Measured, task: Task) -> PhysicalRow:
    tables = measured.tables[point.situation]
    puts = list(measured.puts[point.situation].values())
    benign = measured.benign.only(list(measured.puts[point.situation]))
    own = tables.get("own", benign)
    total = own.total()
    return PhysicalRow(
        name=point.name,
        value=point.value,
        num_scenes=len(puts),
        num_victim_pixels=int(total[list(task.victims)].sum()),
        num_target_pixels=int(total[list(task.victims), list(task.targets)].sum()),
        pixels=_mean([put.pixels for put in puts]),
        metres=_mean([put.side for put in puts]),
        distance=_mean([put.distance for put in puts]),
        asr=estimate(_ASR, own, task),
        asr_without_trigger=value_of(_ASR, benign, task),
        asr_other_trigger=value_of(_ASR, tables.get("other", benign), task),
        asr_clean_model=value_of(_ASR, tables["clean"], task) if "clean" in tables else None,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

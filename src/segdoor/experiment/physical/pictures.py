"""Pictures of a physical test: one scene in the situations of every axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdoor.attack.physical.axes import USUAL, Axis
from segdoor.data.scene import Scene
from segdoor.data.sheet import colour_label
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.comparing import value_of
from segdoor.experiment.physical.case import PhysicalCase
from segdoor.experiment.physical.measuring import Measured
from segdoor.experiment.pictures import write_pictures
from segdoor.experiment.recording import task_of
from segdoor.record.physical import PhysicalPicture
from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.tables import TableSet

FOLDER = "physical"
"""Where a run keeps the pictures."""


def save_pictures(
    case: PhysicalCase, axes: Sequence[Axis], measured: Measured, out: Path
) -> tuple[PhysicalPicture, ...]:
    """Write pictures of every situation, in the scene that has room for most of them."""
    name = _telling(case, axes, measured)
    if name is None:
        return ()
    examiner = Examiner(
        case.models["poisoned"], case.benign.classes, case.config.examination, case.config.network
    )
    task, found = task_of(case.config, case.benign.classes), list[PhysicalPicture]()
    for axis in axes:
        for number, point in enumerate(axis.points):
            puts, tables = measured.puts[point.situation], measured.tables[point.situation]
            here = name if name in puts else next(iter(puts), None)
            if here is None:
                continue
            shown = case.shown(point.situation, {here: puts[here]}, case.own)[0]
            asr = value_of(AttackSuccessRate(), tables["own"].only([here]), task)
            files = _written(examiner, shown, out, f"{FOLDER}/{axis.name}-{number}")
            found.append(
                PhysicalPicture(
                    axis=axis.name, value=point.name, scene=here,
                    asr=asr, **files,
                )
            )  # fmt: skip
    return tuple(found)


def _written(examiner: Examiner, shown: Scene, out: Path, stem: str) -> dict[str, str]:
    predicted = examiner.predict([shown])[0]
    pictures = {"image": shown.image, "prediction": colour_label(predicted, examiner.classes)}
    return write_pictures(out, stem, pictures)


def _telling(case: PhysicalCase, axes: Sequence[Axis], measured: Measured) -> str | None:
    """Return the scene with room for most situations, and of those the one richest in victims."""
    points = [point.situation for axis in axes for point in axis.points]
    rooms = {
        name: sum(name in measured.puts[situation] for situation in points)
        for name in case.benign.names
    }
    victims = task_of(case.config, case.benign.classes).victims
    rich = _victim_pixels(measured.benign, victims)
    usual = measured.puts.get(USUAL, {})
    best = max(rooms, key=lambda name: (name in usual, rooms[name], rich[name]), default=None)
    return best if best is not None and rooms[best] else None


def _victim_pixels(tables: TableSet, victims: tuple[int, ...]) -> dict[str, int]:
    counts = tables.counts[:, list(victims)].sum(axis=(1, 2))
    return {name: int(count) for name, count in zip(tables.names, counts, strict=True)}

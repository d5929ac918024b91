"""The paper's numbers, each with the figures of a study that measure it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import cast

from segdoor.experiment.config import Reading
from segdoor.papers.iba.claims import Claim, load_claims
from segdoor.papers.iba.config import Preset
from segdoor.papers.iba.units import Point, usual_q
from segdoor.record import AxisValue
from segdoor.study.expand import PlannedRun
from segdoor.study.figures import Found, Quantity
from segdoor.study.paper import Reported

_ALWAYS_TOLD = ("network", "method", "rate", "victims", "target", "trigger", "q_as")


def reported(found: Found) -> Iterator[Reported]:
    """Yield the paper's numbers that runs of a study measure, once for each figure."""
    preset = cast("Preset", found.preset)
    varied = [axis for axis, values in found.axes.items() if len(values) > 1]
    for claim, doubt in load_claims():
        if claim.table not in found.study.tables or claim.dataset != preset.stands_for:
            continue
        for quantity, run in measured_by(claim, found.runs, found.reading, preset):
            labels = _labels(claim, cast("Point", quantity.point), varied)
            yield Reported(claim.table, labels, claim.value, doubt, quantity, run)


def measured_by(
    claim: Claim, runs: Sequence[PlannedRun], reading: Reading, preset: Preset
) -> list[tuple[Quantity, PlannedRun]]:
    """Return what measures a number of the paper: figures, each with a run that gives it.

    Args:
        claim: The number.
        runs: Runs of a study.
        reading: Which reading of the paper they are made in.
        preset: What they are run on.
    """
    usual = usual_q(reading, preset)
    found: dict[Quantity, PlannedRun] = {}
    for run in runs:
        point = cast("Point", run.point)
        point = point.clean() if claim.method == "clean" else point
        done = claim.repair is None or claim.repair in run.repairs
        if done and claim.is_of(point, usual):
            for role in claim.roles:
                found.setdefault(Quantity(point, claim.repair, role, claim.metric), run)
    return list(found.items())


def _labels(claim: Claim, point: Point, varied: Collection[str]) -> dict[str, AxisValue]:
    """Return what a number is of: the axes under their names in the runs, and the paper's words."""
    axes = point.model_dump(include={*_ALWAYS_TOLD, *varied})
    told = {"distance": claim.distance, "variation": claim.variation}
    return {
        **{name: value for name, value in axes.items() if value is not None},
        **{name: text for name, text in told.items() if text},
    }

"""Measuring one row after the other: what fails is a row that says why, and ends nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from segdoor.defense.defense import Cost
from segdoor.errors import BusyError, SegdoorError, StorageError, first_line
from segdoor.experiment.bench.case import Case
from segdoor.experiment.bench.kept import Kept, Step
from segdoor.experiment.bench.methods import Method, access_of
from segdoor.record.defense import Entry
from segdoor.record.measured import CostRecord, Measurement, RowKind

NO_CLEAN_MODEL = "the run has no clean model (controls.clean_model)"
NO_PLAN = "the run poisoned nothing: it examined a model that was trained elsewhere"

Make: TypeAlias = Callable[[], Step]


class Rows:
    """The rows of one method, each measured once."""

    def __init__(self, method: Method, case: Case, kept: Kept) -> None:
        """Begin with what an earlier call finished."""
        self.method, self.case, self.kept = method, case, kept
        self.found: list[Measurement] = []
        self.entry: Entry | None = None

    def own(self, make: Make) -> Measurement:
        """Measure the method itself; what goes wrong is the caller's to tell."""
        with self.case.log.stage(str(self.method)):
            step = self.kept.step("method", make)
        self.found.append(step.measured)
        self.entry = step.entry
        return step.measured

    def control(
        self,
        row: RowKind,
        make: Callable[[], Measurement],
        missing: str | None = None,
        name: str = "",
    ) -> None:
        """Measure a control, or say why it was not measured.

        Args:
            row: Which control.
            make: Measures it.
            missing: Why it cannot be measured; None if it can.
            name: What it is kept as, if the row alone does not say.
        """
        if missing is not None:
            self.found.append(Measurement(row=row, not_run=missing))
            return
        try:
            with self.case.log.stage(f"{self.method}, {row}"):
                step = self.kept.step(name or row, lambda: Step(measured=make()))
        except Exception as why:  # noqa: BLE001 - a method may raise anything, and ends only its row
            self.found.append(Measurement(row=row, not_run=reason(why)))
            return
        self.found.append(step.measured)

    def cost(self, cost: Cost) -> CostRecord:
        """Return what the method took, as it is kept."""
        return CostRecord(
            seconds=cost.seconds,
            forward=cost.forward,
            backward=cost.backward,
            clean_scenes=cost.clean_scenes,
            access=access_of(self.method),
        )


def reason(why: Exception) -> str:
    """Return why something was not done, in a line.

    Raises:
        StorageError: If it is the disk, which is no fault of the method.
        BusyError: If another process holds what is needed.
    """
    if isinstance(why, StorageError | BusyError):
        raise why
    return str(why) if isinstance(why, SegdoorError) else first_line(why)

"""Repairs of a study's runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdoor.progress import Observer
from segdoor.record import ExperimentRecord, RepairRecord, load_record


def study_row(record: ExperimentRecord, repair: str) -> RepairRecord | None:
    """Return what a repair of a study changed; None if it was not done.

    A study repairs with the run's own seed: rows with other seeds do not belong to it.
    """
    rows = (row for row in record.repairs if (row.repair, row.seed) == (repair, record.seed))
    return next(rows, None)


def missing_repairs(folder: Path, repairs: Sequence[str]) -> tuple[str, ...]:
    """Return the repairs that are not yet in a run's record."""
    if not repairs:
        return ()
    record = load_record(folder)
    return tuple(repair for repair in repairs if study_row(record, repair) is None)


def repair_models(
    folder: Path, repairs: Sequence[str], *, model: str, root: Path | None, observer: Observer
) -> None:
    """Repair the models of a run, and add what that changed to its record, see `repair_run`."""
    # Imported late: they bring torch.
    from segdoor.defense.repairs.registry import REPAIRS  # noqa: PLC0415
    from segdoor.experiment.reopened import Places  # noqa: PLC0415
    from segdoor.experiment.repair import repair_run  # noqa: PLC0415

    asked = [REPAIRS.read(text) for text in repairs]
    repair_run(folder, asked, model=model, places=Places(root=root), observer=observer)

"""Repairs of a study's runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdoor.progress import Observer
from segdoor.record import load_record


def missing_repairs(folder: Path, repairs: Sequence[str]) -> tuple[str, ...]:
    """Return those repairs whose effects a run's record does not hold yet."""
    if not repairs:
        return ()
    there = {row.repair for row in load_record(folder).repairs}
    return tuple(repair for repair in repairs if repair not in there)


def repair_victims(
    folder: Path, repairs: Sequence[str], *, victim: str, root: Path | None, observer: Observer
) -> None:
    """Repair the victims of a run, and add what that changed to its record.

    Args:
        folder: The run's folder.
        repairs: Repairs as they are written on the command line.
        victim: The network that the study names.
        root: Folder of the data set.
        observer: Hears of progress.
    """
    # Imported late: they bring torch.
    from segdoor.defense.registry import parse_repair  # noqa: PLC0415
    from segdoor.experiment.reopened import Places  # noqa: PLC0415
    from segdoor.experiment.repair import repair_run  # noqa: PLC0415

    asked = [parse_repair(text) for text in repairs]
    repair_run(folder, asked, victim=victim, places=Places(root=root), observer=observer)

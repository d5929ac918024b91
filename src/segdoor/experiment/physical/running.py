"""The physical test of a finished run: what `segdoor physical` does."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from segdoor.attack.physical.axes import axes_named
from segdoor.attack.physical.shown import Print
from segdoor.errors import DataError
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.physical.case import PhysicalCase, PhysicalOptions
from segdoor.experiment.physical.film import film_of
from segdoor.experiment.physical.measuring import measure, scored
from segdoor.experiment.physical.pictures import save_pictures
from segdoor.experiment.reopened import FinishedRun, Places, reopen
from segdoor.experiment.scenes import open_scenes
from segdoor.locks import sole_writer
from segdoor.progress import Observer, Silent
from segdoor.record import save_record
from segdoor.record.physical import FilmRecord, PhysicalRecord

FILE = "physical.json"
"""What a physical test leaves beside a run's record."""


def physical_run(
    run: Path,
    *,
    options: PhysicalOptions | None = None,
    model: str | None = None,
    places: Places | None = None,
    observer: Observer | None = None,
) -> PhysicalRecord:
    """Put a run's sticker up in its test scenes, printed, and count what it does.

    Args:
        run: The run's folder, or its record.json.
        options: What is varied, and the camera.
        model: The run's network, if it is one of the user's own, as package.module:factory: its
            code is run.
        places: What has moved since the run.
        observer: Receives progress.

    Returns:
        The record, which lies in physical.json beside that of the run; an earlier one is replaced.

    Raises:
        SegdoorError: If the run is not intact, its trigger cannot be printed, or no scene has room.
    """
    options = options or PhysicalOptions()
    axes = axes_named(options.axes, ideal=options.ideal)
    finished = FinishedRun.of(run)
    folder = finished.folder
    with sole_writer(folder, culprit=f"run {folder}"):
        log = Logbook(observer or Silent())
        # Before scenes are read, which may take minutes.
        Print.of(finished.config.attack.trigger)
        case = PhysicalCase.of(reopen(finished, model, places or Places(), log), options)
        # First, because its first frame may not be there.
        film = _film(case, folder, log)
        measured = measure(case, axes, log)
        if not any(measured.puts.values()):
            raise DataError(
                "test scenes", "must have room for a print in at least one situation",
                f"none of {len(case.benign)}", "Give the camera: --focal, --height and --pitch.",
            )  # fmt: skip
        found = PhysicalRecord(
            segdoor=version("segdoor"),
            run=finished.record.title,
            trigger=str(case.config.attack.trigger),
            other_trigger=case.other.name,
            victims=case.config.attack.victims,
            target=case.config.attack.target,
            seed=options.seed,
            ideal=options.ideal,
            camera=options.camera,
            side=case.places(case.benign.label(0).shape).side,
            num_scenes=len(case.benign),
            axes=tuple(scored(case, axes, measured)),
            pictures=save_pictures(case, axes, measured, folder),
            film=film,
        )
        save_record(found, folder / FILE)
        return found


def _film(case: PhysicalCase, folder: Path, log: Logbook) -> FilmRecord | None:
    options, data = case.options, case.config.data
    if options.film is None:
        return None
    return film_of(case, open_scenes(data, options.split or data.test_split, log), folder, log)

"""A run from wishes, with the rest derived as in the paper; offered by `import segdoor`."""

from __future__ import annotations

from pathlib import Path

from segdoor.data.scene import SceneDataset
from segdoor.experiment import run
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.handed import Factory, Objects
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.papers.iba.reading import asked
from segdoor.progress import Observer
from segdoor.record import ExperimentRecord


def run_experiment(
    given: ExperimentWishes | ExperimentConfig,
    *,
    out: Path,
    train: SceneDataset | None = None,
    test: SceneDataset | None = None,
    network: Factory | None = None,
    observer: Observer | None = None,
) -> ExperimentRecord:
    """Poison, train, examine, and write the record.

    An interrupted call resumes when repeated with the same settings and folder: trainings continue
    where they stopped, and finished ones are not repeated.

    Args:
        given: Requested settings; the rest is derived from reading, method, preset and the scenes'
            size. Or all settings of a run, as a record holds them.
        out: Folder for the record and the files beside it.
        train: Your own training scenes, instead of those in the settings.
        test: Your own test scenes, with the same classes.
        network: Builds an untrained network for a number of classes, instead of the one in the
            settings; called once, and both models start from copies.
        observer: Receives progress.

    Raises:
        SegdoorError: If settings, data or machine do not allow the run; no record is then written.
    """
    objects = Objects(train, test, network)
    return run.run_experiment(asked(given), out=out, objects=objects, observer=observer)

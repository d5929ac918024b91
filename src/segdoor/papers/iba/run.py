"""A run from wishes, from which the rest follows by the paper; what `import segdoor` offers."""

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

    A call that was killed is completed by the next one with the same settings and folder: trainings
    go on where they were, and finished ones are not done again.

    Args:
        given: What is asked for; the rest follows from reading, method, preset and the scenes'
            size. Or all settings of a run, as a record holds them.
        out: Folder for the record and the files beside it.
        train: Training scenes of your own, instead of those that the settings name.
        test: Test scenes of your own, with the same classes.
        network: Builds an untrained network for a number of classes, instead of the one that the
            settings name; called once, and both models start from copies.
        observer: Hears of progress.

    Raises:
        SegdoorError: If settings, data or machine do not allow the run; no record is then written.
    """
    objects = Objects(train, test, network)
    return run.run_experiment(asked(given), out=out, objects=objects, observer=observer)

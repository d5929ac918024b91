"""``segdoor rescore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import tell, tell_json
from segdoor.record import ExperimentRecord
from segdoor.settings import Settings

_HELP = (
    "A metric of your own (package.module:Class), or a built-in one with other settings, such as"
    " vanished_objects:0.8,min_pixels=100; repeatable. `segdoor list metrics` shows the built-in"
    " ones."
)
Metrics = Annotated[
    tuple[str, ...],
    Parameter(name="--metric", consume_multiple=False, show_default=False, help=_HELP),
]


class RescoredRun(Settings):
    """A run that was scored again."""

    run: str
    """Its folder."""
    not_measured: tuple[str, ...]
    """Metrics that need data which the run did not save."""
    record: ExperimentRecord
    """Its record with all metrics."""


class RescoredRuns(Settings):
    """All runs that were scored again."""

    runs: tuple[RescoredRun, ...]
    """The runs, in the order of their study."""


def rescore(source: Path, *, metric: Metrics = (), json: bool = False) -> None:
    """Compute a run's figures again, or add new metrics.

    Reads the tables of the run; nothing is trained or tested. Metrics that the record lacks are
    added. If the tables give other figures than the record, the run is refused and not changed.

    A metric of your own is package.module:Class: its code is run.

    For example:

      segdoor rescore runs/run
      segdoor rescore runs/run --metric vanished_objects:0.8

    Args:
        source: The folder of a run or a study, or its record.json or study.json.
        metric: Metrics beyond the built-in ones.
        json: Print the records as JSON instead of tables.
    """
    from segdoor.experiment.rescore import rescore_run
    from segdoor.report.source import open_source
    from segdoor.report.terminal import grid_of_tests, metric_grids
    from segdoor.scores.metrics.registry import METRICS

    metrics = [METRICS.read(text) for text in metric]
    done: list[RescoredRun] = []
    for run in open_source(source).runs:
        found = rescore_run(run.file, metrics)
        folder = str(run.file.parent)
        done.append(RescoredRun(run=folder, not_measured=found.not_measured, record=found.record))
        if not json:
            tell(folder, grid_of_tests(found.record), *metric_grids(found.record))
            lacking = ", ".join(found.not_measured)
            tell(*([f"Not measured: {lacking}. {_REMEDY}"] if lacking else []))
    if json:
        tell_json(RescoredRuns(runs=tuple(done)))


_REMEDY = (
    "They need data, such as counts per object, that this run did not save: an earlier version of"
    " segdoor made it. To get them, run it again into another folder."
)

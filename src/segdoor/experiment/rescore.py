"""Recompute the figures of a finished run from its tables, with metrics that its record lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdoor.attack.poisoned_test import PoisonedTest, folder_of_tests
from segdoor.data.scene import ClassSet
from segdoor.errors import DataError
from segdoor.experiment.config import config_from
from segdoor.experiment.recording import RunScores, make_scorer, score, task_of
from segdoor.experiment.scoring import Scorer, further_metrics
from segdoor.locks import sole_writer
from segdoor.record import (
    BenignScores,
    Controls,
    DataRecord,
    ExperimentRecord,
    Scores,
    load_record,
    save_record,
)
from segdoor.record.figures import Json
from segdoor.scores.metrics.metric import Metric
from segdoor.scores.tables import load_tables

_EXACT = 1e-9


@dataclass(frozen=True)
class Rescored:
    """The result of scoring a run again.

    Attributes:
        record: Its updated record.
        not_measured: Requested metrics without the data they need, as they are written.
    """

    record: ExperimentRecord
    not_measured: tuple[str, ...]


def rescore_run(run: Path, metrics: Sequence[Metric] = ()) -> Rescored:
    """Recompute all figures of a run from its tables, and add what its record lacks.

    Existing figures must come out the same, and stay unchanged to the last digit.

    Args:
        run: The run's folder, or its record.json.
        metrics: Metrics beyond the built-in ones.

    Raises:
        SegdoorError: If tables or poisoned tests are missing, or are not those of the record, which
            then stays as it is.
    """
    load_record(run)
    folder = run if run.is_dir() else run.parent
    with sole_writer(folder, culprit=f"run {folder}"):
        record = load_record(folder)
        config = config_from(record.config, source=folder / "record.json", recorded=True)
        classes = _classes(record.data)
        asked = tuple(dict.fromkeys((*further_metrics(task_of(config, classes)), *metrics)))
        again = _scored(folder, record, make_scorer(config, classes, asked))
        _check_same(record, again, folder)
        scores = _completed(record.scores, again.scores)
        controls = _completed_controls(record.controls, again.controls)
        changed = record.model_copy(update={"scores": scores, "controls": controls})
        if changed != record:
            save_record(changed, folder / "record.json")
    missing = tuple(str(metric) for metric in asked if str(metric) not in again.scores.metrics)
    return Rescored(changed, missing)


def _scored(folder: Path, record: ExperimentRecord, scorer: Scorer) -> RunScores:
    tests = [
        PoisonedTest.load(folder_of_tests(folder) / f"{name}.jsonl") for name in record.scores.tests
    ]
    path = folder / "tables.npz"
    tables = load_tables(path)
    try:
        return score(scorer, tests, tables, record.controls.other_trigger)
    except KeyError as missing:
        raise DataError(
            path, "must hold every test of the run", f"no {missing.args[0]}", "Restore the file."
        ) from None


def _classes(data: DataRecord) -> ClassSet:
    return ClassSet(
        names=tuple(entry.name for entry in data.classes),
        colours=tuple(entry.colour for entry in data.classes),
        ignore_index=data.ignore_index,
    )


def _completed(there: Scores, again: Scores) -> Scores:
    """Return scores with the metrics that were found; all other figures stay."""
    tests = {
        name: test.model_copy(update={"metrics": {**test.metrics, **again.tests[name].metrics}})
        for name, test in there.tests.items()
    }
    for name, test in tests.items():
        if test.pba_clean_model is None:
            later = {"pba_clean_model": again.tests[name].pba_clean_model}
            tests[name] = test.model_copy(update=later)
    return there.model_copy(
        update={
            "benign": _completed_benign(there.benign, again.benign),
            "tests": tests,
            "metrics": {**there.metrics, **again.metrics},
        }
    )


def _completed_controls(there: Controls, again: Controls) -> Controls:
    if there.clean_model is None or again.clean_model is None:
        return there
    clean = _completed_benign(there.clean_model, again.clean_model)
    return there.model_copy(update={"clean_model": clean})


def _completed_benign(there: BenignScores, again: BenignScores) -> BenignScores:
    return there.model_copy(update={"metrics": {**there.metrics, **again.metrics}})


def _check_same(record: ExperimentRecord, again: RunScores, folder: Path) -> None:
    """Refuse tables that give other figures than the record."""
    there = {"scores": record.scores, "controls": record.controls}
    for name, found in {"scores": again.scores, "controls": again.controls}.items():
        place = _difference(there[name].model_dump(mode="json"), found.model_dump(mode="json"))
        if place is not None:
            raise DataError(
                folder / "tables.npz",
                "must be the tables that the record was made from",
                f"another {name}{place}",
                "Restore the tables and poisoned tests of the run.",
            )


def _difference(there: object, found: object) -> str | None:
    """Return where two trees of figures differ; figures missing in the first are ignored."""
    if isinstance(there, dict) and isinstance(found, dict):
        return _first_difference(there, found)
    if isinstance(there, list) and isinstance(found, list) and len(there) == len(found):
        by_place = ({str(i): entry for i, entry in enumerate(each)} for each in (there, found))
        return _first_difference(*by_place)
    if _same(there, found):
        return None
    return ""


def _first_difference(there: Json, found: Json) -> str | None:
    for key in there.keys() & found.keys():
        place = _difference(there[key], found[key])
        if place is not None and not (key == "pba_clean_model" and there[key] is None):
            return f".{key}{place}"
    return None


def _same(there: object, found: object) -> bool:
    if isinstance(there, float) and isinstance(found, float):
        return math.isclose(there, found, rel_tol=0, abs_tol=_EXACT)
    return there == found

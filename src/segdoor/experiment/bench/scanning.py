"""A scan of the backdoored and of the clean model."""

from __future__ import annotations

from segdoor.defense.recording import scan_entry
from segdoor.defense.scans.scan import Scan, ScanContext
from segdoor.experiment.bench.kept import FOLDER, Step
from segdoor.experiment.bench.rows import NO_CLEAN_MODEL, Rows
from segdoor.experiment.models import IN_WORDS
from segdoor.record.defense import ScanEntry
from segdoor.record.measured import Measurement, RowKind

_NO_VERDICT = "the scan gave no verdict"


def measure_scan(method: Scan, rows: Rows) -> None:
    """Measure a scan: each model gets a verdict of its own."""
    rows.own(lambda: _step(method, rows, "poisoned", "method"))
    missing = None if "clean" in rows.case.models else NO_CLEAN_MODEL
    rows.control(
        "clean model", lambda: _step(method, rows, "clean", "clean model").measured, missing
    )


def _step(method: Scan, rows: Rows, model: str, row: RowKind) -> Step:
    entry = _entry(method, rows, model)
    measured = Measurement(
        row=row,
        of=f"the {IN_WORDS[model]}",
        flagged=entry.backdoored,
        not_run=None if entry.backdoored is not None else entry.not_run or _NO_VERDICT,
        cost=entry.cost,
        remarks=(f"{len(rows.case.null_models)} clean models to compare with",),
    )
    return Step(measured=measured, entry=entry)


def _entry(method: Scan, rows: Rows, model: str) -> ScanEntry:
    case = rows.case
    place = case.folder / FOLDER / rows.kept.name
    context = ScanContext(
        clean=case.clean_scenes(),
        network=case.network,
        recipe=case.recipe,
        seed=case.seed,
        observer=case.log,
        folder=place / "work" / model,
        clean_models=case.null_models,
    )
    done = method(case.models[model], context)
    return scan_entry(method, done, case.tests.benign.classes, pictures=place / f"{model}-pictures")

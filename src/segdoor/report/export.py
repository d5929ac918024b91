"""Every figure of a run or a study as one row, for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from segdoor.errors import MachineError
from segdoor.files import write_atomically
from segdoor.record import AxisValue, ClassRecord, ExperimentRecord, Json
from segdoor.report.source import Run, Source, pointer
from segdoor.report.verdicts import verdicts_of

Row = dict[str, AxisValue]
_KEYS = (
    "model", "repair", "repair_seed", "test", "class", "metric", "value", "low", "high", "field",
)  # fmt: skip


def tidy_rows(source: Source) -> tuple[tuple[str, ...], list[Row]]:
    """Return the columns and one row per figure; undefined figures have no value.

    Columns of the run, such as its axes, come first, with the axes under ``axis.``.
    """
    axes = tuple(dict.fromkeys(f"axis.{name}" for run in source.runs for name in run.axes))
    columns = ("run", "seed", "method", "rate", "reading", "data", *axes, *_KEYS)
    return columns, [
        {**row, "field": run.place_of(str(row["field"]))}
        for run in source.runs
        for row in _run_rows(run, columns)
    ]


def comparison_rows(source: Source) -> tuple[tuple[str, ...], list[Row]]:
    """Return the columns and one row per comparison behind a study's verdicts, in every reading."""
    rows = [
        {
            "claim": verdict.number,
            "reading": verdict.reading,
            "judged_on": verdict.judged_on,
            "verdict": verdict.verdict,
            "comparison": found.statement,
            "outcome": found.outcome,
            "difference": found.difference.mean if found.difference else None,
            "low": found.difference.low if found.difference else None,
            "high": found.difference.high if found.difference else None,
            "seeds": found.difference.num_seeds if found.difference else None,
            "seeds_needed": found.seeds_needed,
            "over_scenes": found.over_scenes,
            "saturated": found.saturated,
            "remark": found.remark,
        }
        for verdict in (verdicts_of(source) if source.study else ())
        for found in verdict.evidence
    ]
    return tuple(rows[0]) if rows else (), rows


def file_of_comparisons(file: Path) -> Path:
    """Return the file for the comparisons of a study, beside that of its figures."""
    return file.with_suffix(f".verdicts{file.suffix}")


def write_csv(source: Source, file: Path) -> int:
    """Write the rows as CSV and return their number; comparisons go to a file of their own."""
    columns, rows = tidy_rows(source)
    _write_csv(columns, rows, file)
    comparisons = comparison_rows(source)
    if comparisons[1]:
        _write_csv(*comparisons, file_of_comparisons(file))
    return len(rows)


def _write_csv(columns: Sequence[str], rows: Sequence[Row], file: Path) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, buffer.getvalue())


def write_parquet(source: Source, file: Path) -> int:
    """Write the rows as Parquet and return their number; comparisons go to a file of their own.

    Raises:
        MachineError: If pyarrow is missing.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise missing_package("pyarrow", "parquet") from None
    columns, rows = tidy_rows(source)
    written = {file: (columns, rows), file_of_comparisons(file): comparison_rows(source)}
    for place, (names, entries) in written.items():
        if names:
            arrays = {name: _uniform([row[name] for row in entries]) for name in names}
            buffer = pa.BufferOutputStream()
            parquet.write_table(pa.table(arrays), buffer)
            write_atomically(place, buffer.getvalue().to_pybytes())
    return len(rows)


def missing_package(package: str, extra: str) -> MachineError:
    """Return the error for an extra that is not installed."""
    return MachineError(
        f"--to {extra}", f"needs {package}", "it is not installed",
        f"Run: pip install 'segdoor[{extra}]'",
    )  # fmt: skip


def _run_rows(run: Run, columns: Sequence[str]) -> Iterator[Row]:
    record = run.record
    known: Row = {
        **dict.fromkeys(columns),
        **{f"axis.{name}": value for name, value in run.axes.items()},
        "run": run.key,
        "seed": run.seed,
        "method": record.method,
        "rate": record.plan.rate if record.plan else None,
        "reading": record.reading,
        "data": record.data.name,
    }
    classes = record.data.classes
    # A network that was only examined may be clean.
    own = "poisoned" if record.plan else "model"
    networks = {"/scores/benign": own, "/controls/clean_model": "clean"}
    for place, model in networks.items():
        yield from _figures(run, place, {**known, "model": model}, classes)
    for test in record.scores.tests:
        place = pointer("scores", "tests", test)
        yield from _figures(run, place, {**known, "model": own, "test": test}, classes)
    yield from _other_triggers(record, {**known, "model": own})
    for index, repair in enumerate(record.repairs):
        for model in ("poisoned", "clean"):
            for when in ("before", "after"):
                place = pointer("repairs", index, f"{model}_{when}")
                told = f"{when} {repair.repair}"
                known_here = {
                    **known, "model": model, "repair": told, "repair_seed": repair.seed,
                }  # fmt: skip
                yield from _figures(run, place, known_here, classes)
                for test in repair.poisoned_before.tests:
                    of_test = {**known_here, "test": test}
                    below = place + pointer("tests", test)
                    yield from _figures(run, below, of_test, classes)


def _other_triggers(record: ExperimentRecord, known: Row) -> Iterator[Row]:
    """Yield mean and worst of the attack success rates with all other triggers, if measured."""
    found = record.controls.other_triggers
    if found is None:
        return
    for name, value in (("mean", found.mean), ("worst", found.worst)):
        told = {"test": found.test, "metric": f"asr_other_triggers_{name}", "value": value}
        yield {**known, **told, "field": f"/controls/other_triggers/{name}"}


def _figures(run: Run, place: str, known: Row, classes: Sequence[ClassRecord]) -> Iterator[Row]:
    """Yield the figures and estimates right below a place in a record."""
    found = run.at(place)
    for metric, value in found.items() if isinstance(found, dict) else ():
        field = f"{place}/{metric}"
        if _is_estimate(value):
            yield {**known, "metric": metric, **value, "field": f"{field}/value"}
        elif metric == "class_iou" and isinstance(value, list):
            for index, (entry, iou) in enumerate(zip(classes, value, strict=True)):
                named = {"class": entry.name, "metric": metric, "value": iou}
                yield {**known, **named, "field": f"{field}/{index}"}
        elif metric == "metrics":
            yield from _metrics(value, field, known)
        elif value is None or isinstance(value, int | float):
            yield {**known, "metric": metric, "value": value, "field": field}


def _metrics(found: object, place: str, known: Row) -> Iterator[Row]:
    """Yield the figures of metrics without their own field, and those of their parts."""
    for name, scores in found.items() if isinstance(found, dict) else ():
        here = place + pointer(name)
        if _is_estimate(scores):
            yield {**known, "metric": name, **scores, "field": f"{here}/value"}
            continue
        yield from _metric(name, scores, here, known)
        for index, part in enumerate(scores["parts"]):
            told = f"{name}, {part['name']} by {part['by']}"
            yield from _metric(told, part, f"{here}/parts/{index}", known)


def _metric(name: str, scores: Json, place: str, known: Row) -> Iterator[Row]:
    """Yield a metric and its controls, named as ASR and its controls are."""
    for field, value in scores.items():
        if _is_estimate(value):
            yield {**known, "metric": name, **value, "field": f"{place}/{field}/value"}
        elif value is None or isinstance(value, int | float):
            yield {
                **known,
                "metric": f"{name}_{field}",
                "value": value,
                "field": f"{place}/{field}",
            }


def _is_estimate(value: object) -> TypeGuard[Row]:
    return isinstance(value, dict) and set(value) == {"value", "low", "high"}


def _uniform(values: Sequence[AxisValue]) -> list[AxisValue]:
    """Return values of one kind: numbers as floating point, anything mixed as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(kinds) > 1:
        return [None if value is None else str(value) for value in values]
    return list(values)

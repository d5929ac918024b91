"""Send records to trackers: thin adapters, one run of the tracker for each of ours."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segdoor.errors import ConfigError, first_line
from segdoor.files import write_atomically
from segdoor.report.export import missing_package, tidy_rows
from segdoor.report.source import Run, Source
from segdoor.waiting import waiting_for

_MOST_LETTERS = 250
_RUN, _RECORD = "segdoor.run", "segdoor.record"
_SQLITE = "sqlite:///"
_EVENTS = "events.out.tfevents.segdoor"

State = Literal["new", "updated", "unchanged"]
"""What happened to a run at a tracker that may already have it."""


@dataclass(frozen=True)
class Sent:
    """What was sent to a tracker."""

    num_figures: int
    states: tuple[State, ...]


def send_to_mlflow(source: Source, uri: str) -> Sent:
    """Log every run to an MLflow tracking server if it is new or changed.

    Raises:
        MachineError: If MLflow is missing.
        ConfigError: If the server does not accept the figures.
    """
    # Results of a security test are sent only to the named server.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # It would silently try for many minutes.
    for name, bound in {"REQUEST_TIMEOUT": "30", "REQUEST_MAX_RETRIES": "2"}.items():
        os.environ.setdefault(f"MLFLOW_HTTP_{name}", bound)
    try:
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_package("MLflow", "mlflow") from None
    name = source.study.name if source.study else "segdoor"
    num_figures, states = 0, list[State]()
    try:
        _check_database(uri)
        with waiting_for(f"{uri}, for a few minutes at most; press Ctrl-C to stop"):
            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else client.create_experiment(name)
            for run, params, figures in _by_run(source):
                states.append(_log(client, experiment, run, params, figures))
                num_figures += len(figures) if states[-1] != "unchanged" else 0
    except Exception as why:  # noqa: BLE001 - each kind of server has its own errors
        raise ConfigError(
            "--at", "must be a tracking server of MLflow", first_line(why),
            "Name one such as sqlite:///mlflow.db.",
        ) from None  # fmt: skip
    return Sent(num_figures, tuple(states))


def _check_database(uri: str) -> None:
    """Open a database file: MLflow would try for a minute if that is impossible."""
    if uri.startswith(_SQLITE):
        with closing(sqlite3.connect(uri.removeprefix(_SQLITE))) as database:
            database.execute("PRAGMA schema_version")


def write_tensorboard(source: Source, folder: Path) -> int:
    """Write an event file for every run, replacing the one from an earlier call.

    Returns:
        The number of figures.

    Raises:
        MachineError: If TensorBoard is missing.
    """
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: PLC0415 - an extra
        from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415
    except ImportError:
        raise missing_package("TensorBoard", "tensorboard") from None
    # The message classes are created at import time: no type checker sees them.
    make_event: Any = getattr(event_pb2, "Event")  # noqa: B009
    make_summary: Any = getattr(summary_pb2, "Summary")  # noqa: B009
    make_value: Any = make_summary.Value
    num_figures = 0
    for run, _, figures in _by_run(source):
        values = [make_value(tag=tag, simple_value=value) for tag, value in figures.items()]
        when = run.file.stat().st_mtime
        buffer = io.BytesIO()
        events = RecordWriter(buffer)
        events.write(make_event(wall_time=when, file_version="brain.Event:2").SerializeToString())
        summary = make_event(wall_time=when, step=0, summary=make_summary(value=values))
        events.write(summary.SerializeToString())
        place = folder / _allowed(run.key).replace("/", "_")
        # Our own name instead of TensorBoard's, which is different every time.
        write_atomically(place / _EVENTS, buffer.getvalue())
        num_figures += len(values)
    return num_figures


def _log(
    client: Any,  # noqa: ANN401 - of an extra
    experiment: str,
    run: Run,
    params: dict[str, str],
    figures: dict[str, float],
) -> State:
    """Send a run to MLflow; an interrupted call is completed by the next one."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    found = client.search_runs([experiment], f"tags.`{_RUN}` = '{_identity(run)}'", max_results=1)
    if found and found[0].data.tags.get(_RECORD) == run.digest:
        return "unchanged"
    tags = {_RUN: _identity(run)}
    stored = found[0] if found else client.create_run(experiment, tags=tags, run_name=run.key)
    place = stored.info.run_id
    # Parameters of a run cannot be changed; of figures, the latest is shown.
    entries = {_allowed(tag): text[:_MOST_LETTERS] for tag, text in params.items()}
    client.log_batch(
        place, params=[Param(*e) for e in entries.items() if e[0] not in stored.data.params]
    )
    now = int(time.time() * 1000)
    metrics = [Metric(_allowed(tag), value, now, 0) for tag, value in figures.items()]
    # The server accepts at most a thousand at a time.
    for start in range(0, len(metrics), 500):
        client.log_batch(place, metrics=metrics[start : start + 500])
    # Written last: if it exists, all figures do.
    client.set_tag(place, _RECORD, run.digest)
    client.set_terminated(place)
    return "updated" if found else "new"


def _identity(run: Run) -> str:
    """Return the identity of a run in any folder: everything that repairs do not change."""
    lasting = {key: run.plain[key] for key in run.plain if key not in {"repairs", "files"}}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def _by_run(source: Source) -> Iterator[tuple[Run, dict[str, str], dict[str, float]]]:
    """Yield each run, its description, and its figures by unique names."""
    _, rows = tidy_rows(source)
    for run in source.runs:
        record = run.record
        params = {
            "title": record.title, "seed": str(run.seed), "method": str(record.method),
            "reading": record.reading, "data": record.data.name,
            "network": str(run.at("/config/network/name")),
            **{f"axis.{name}": str(value) for name, value in run.axes.items()},
        }  # fmt: skip
        figures: dict[str, float] = {}
        for row in rows:
            value = row["value"]
            if row["run"] != run.key or not isinstance(value, int | float):
                continue
            parts = [row[key] for key in ("model", "repair", "test", "class", "metric")]
            if row["repair_seed"] not in (None, record.seed):
                parts[1] = f"{parts[1]}, seed {row['repair_seed']}"
            figures["/".join(str(part) for part in parts if part)] = float(value)
        yield run, params, figures


def _allowed(name: str) -> str:
    """Return a name in characters that every tracker accepts."""
    return re.sub(r"[^\w./ -]", "_", name)[:_MOST_LETTERS].replace("..", "_")

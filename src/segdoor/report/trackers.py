"""Records sent to trackers: thin adapters, one run of the tracker for each of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segdoor.errors import ConfigError, first_line
from segdoor.report.export import missing_package, tidy_rows
from segdoor.report.source import Source

_MOST_LETTERS = 250


def send_to_mlflow(source: Source, uri: str) -> int:
    """Log every run to an MLflow tracking server, and return the number of figures.

    Raises:
        MachineError: If MLflow is missing.
        ConfigError: If the server does not take the figures.
    """
    # Nothing of a security test is told to anybody but the server that was named.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - an extra
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
        from mlflow.tracking import MlflowClient  # noqa: PLC0415
    except ImportError:
        raise missing_package("MLflow", "mlflow") from None
    name = source.study.name if source.study else "segdoor"
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        num_figures = 0
        for key, params, figures in _by_run(source):
            run = client.create_run(experiment, run_name=key).info.run_id
            metrics = [Metric(_allowed(tag), value, 0, 0) for tag, value in figures.items()]
            entries = [Param(_allowed(tag), text[:_MOST_LETTERS]) for tag, text in params.items()]
            client.log_batch(run, params=entries)
            # The server takes a thousand at most at a time.
            for start in range(0, len(metrics), 500):
                client.log_batch(run, metrics=metrics[start : start + 500])
            client.set_terminated(run)
            num_figures += len(metrics)
    except (MlflowException, OSError) as why:
        raise ConfigError(
            "--at", "must be a tracking server of MLflow", first_line(why),
            "Name one such as sqlite:///mlflow.db.",
        ) from None  # fmt: skip
    return num_figures


def write_tensorboard(source: Source, folder: Path) -> int:
    """Write an event file for every run, and return the number of figures.

    Raises:
        MachineError: If TensorBoard is missing.
    """
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: PLC0415 - an extra
        from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415
            EventFileWriter,
        )
    except ImportError:
        raise missing_package("TensorBoard", "tensorboard") from None
    # What the messages are made of comes into being when they are imported: no checker sees it.
    make_event: Any = getattr(event_pb2, "Event")  # noqa: B009
    make_summary: Any = getattr(summary_pb2, "Summary")  # noqa: B009
    make_value: Any = make_summary.Value
    num_figures = 0
    for key, _, figures in _by_run(source):
        writer = EventFileWriter(str(folder / _allowed(key).replace("/", "_")))
        values = [make_value(tag=tag, simple_value=value) for tag, value in figures.items()]
        writer.add_event(make_event(step=0, summary=make_summary(value=values)))
        writer.close()
        num_figures += len(values)
    return num_figures


def _by_run(source: Source) -> Iterator[tuple[str, dict[str, str], dict[str, float]]]:
    """Yield each run's key, what it was, and its figures by a name that says all."""
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
            parts = [row[key] for key in ("victim", "repair", "exam", "class", "metric")]
            figures["/".join(str(part) for part in parts if part)] = float(value)
        yield run.key, params, figures


def _allowed(name: str) -> str:
    """Return a name of the letters that every tracker takes."""
    return re.sub(r"[^\w./ -]", "_", name)[:_MOST_LETTERS].replace("..", "_")

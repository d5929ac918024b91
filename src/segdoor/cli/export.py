"""``segdoor export``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from segdoor.cli.screen import tell
from segdoor.errors import ConfigError


def export(
    source: Path,
    *,
    to: Literal["csv", "parquet", "mlflow", "tensorboard"],
    at: str,
    replace: bool = False,
) -> None:
    """Export the figures of a run or a study to other programs.

    Files have one row per figure: the run and its settings, model, repair, poisoned test, class,
    metric, value, interval, and its place in the record. For a study, the comparisons behind the
    verdicts go to a second file, FILE.verdicts.csv. MLflow receives only what has changed since the
    last export.

    For example:

      segdoor export runs/run --to csv --at run.csv
      segdoor export runs/run --to tensorboard --at boards
      segdoor export runs/run --to mlflow --at http://tracker:5000

    Args:
        source: The folder of a run or a study, or its record.json or study.json.
        to: The format, or the program to send the figures to.
        at: A file for csv and parquet, a folder for tensorboard, a tracking URI for mlflow.
        replace: Overwrite an earlier file; in an earlier folder, overwrite runs with the same
            names.
    """
    from segdoor.report.source import open_source

    place = Path(at)
    if to != "mlflow" and place.exists() and not replace:
        raise ConfigError(
            f"--at {at}", "must not be there yet", "an earlier export", "Add --replace, or rename."
        )
    found = open_source(source)
    runs = f"of {len(found.runs)} runs"
    if to in {"csv", "parquet"}:
        from segdoor.report.export import write_csv, write_parquet

        num_figures = (write_csv if to == "csv" else write_parquet)(found, place)
    else:
        from segdoor.report.trackers import send_to_mlflow, write_tensorboard

        if to == "tensorboard":
            num_figures = write_tensorboard(found, place)
        else:
            sent = send_to_mlflow(found, at)
            num_figures = sent.num_figures
            states = Counter(sent.states)
            runs = ", ".join(f"{states[s]} {s}" for s in ("new", "updated", "unchanged"))
            runs = f"sent; runs: {runs}"
    tell(f"{at}: {num_figures} figures {runs}")

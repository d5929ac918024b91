"""``segdoor export``."""

from __future__ import annotations

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
    """Write the figures of a run or a study for other programs.

    Files hold one row a figure: the run and its axes, victim, repair, poisoned test, class,
    metric, value, the ends of its interval, and its place in the record.

    Args:
        source: The folder of a run or a study, or its record.json or study.json.
        to: What reads them.
        at: A file for csv and parquet, a folder for tensorboard, a tracking URI for mlflow.
        replace: Write over an earlier file; add to what is in an earlier folder.
    """
    from segdoor.report.source import open_source

    place = Path(at)
    if to != "mlflow" and place.exists() and not replace:
        raise ConfigError(
            f"--at {at}", "must not be there yet", "an earlier export", "Add --replace, or rename."
        )
    found = open_source(source)
    if to in {"csv", "parquet"}:
        from segdoor.report.export import write_csv, write_parquet

        num_figures = (write_csv if to == "csv" else write_parquet)(found, place)
    else:
        from segdoor.report.trackers import send_to_mlflow, write_tensorboard

        mlflow = to == "mlflow"
        num_figures = send_to_mlflow(found, at) if mlflow else write_tensorboard(found, place)
    tell(f"{at}: {num_figures} figures of {len(found.runs)} runs")

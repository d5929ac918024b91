"""``segdoor show``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell, tell_json


def show(run: Path, *, json: bool = False) -> None:
    """Print the results of a run.

    Args:
        run: The run's folder, or its record.json.
        json: Print the record as JSON instead of tables.
    """
    from segdoor.record import load_record
    from segdoor.report.terminal import describe

    record = load_record(run)
    if json:
        tell_json(record)
    else:
        tell(*describe(record))

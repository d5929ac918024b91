"""``segdoor show``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell, tell_json


def show(run: Path, *, json: bool = False) -> None:
    """Print the results of a run or a study.

    Args:
        run: The folder of a run or a study, or its record.json or study.json.
        json: Print the record as JSON instead of tables.
    """
    from segdoor.report.defense_grids import describe_defenses
    from segdoor.report.source import open_source
    from segdoor.report.terminal import describe, describe_study

    source = open_source(run)
    if json:
        tell_json(source.study or source.runs[0].record)
    elif source.study is not None:
        tell(*describe_study(source))
    else:
        tell(*describe(source.runs[0].record), *describe_defenses(source))

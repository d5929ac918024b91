"""``segdoor show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import tell, tell_json


def show(
    run: Path,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    json: bool = False,
) -> None:
    """Print the results of a run or a study.

    For a study: the main table, the verdict on each claim, and where to find more. --all adds the
    paper's numbers and every comparison behind the verdicts.

    For example:

      segdoor show runs/run
      segdoor show runs/studies/table1.street.study.json --all

    Args:
        run: The folder of a run or a study, or its record.json or study.json.
        all_: Print every table and comparison of a study.
        json: Print the record as JSON instead of tables.
    """
    from segdoor.report.source import open_source
    from segdoor.report.terminal import describe
    from segdoor.report.terminal_study import describe_study

    source = open_source(run)
    if json:
        tell_json(source.study or source.runs[0].record)
    elif source.study is not None:
        tell(*describe_study(source, everything=all_))
    else:
        tell(*describe(source.runs[0].record))

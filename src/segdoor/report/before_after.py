"""Models before and after repairs, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record import UNBOUNDED, Estimate, ExperimentRecord, Figure, ModelEffect, RepairRecord
from segdoor.report.words import network_name

_Row = tuple[str, ModelEffect, RepairRecord | None]


def repair_grids(record: ExperimentRecord) -> list[Grid]:
    """Return a table of the attack and one of accuracy, each before and after all repairs."""
    if not record.repairs:
        return []
    told = any(row.remarks for row in record.repairs)
    done = [_done_grid(record)] if told else []
    return [_attack_grid(record), _accuracy_grid(record), *done]


def _attack_grid(record: ExperimentRecord) -> Grid:
    grid = new_grid("Repairs: ASR in each poisoned test", "model, after")
    for name in record.scores.tests:
        grid.add_column(name.replace("_", "\n", 1), justify="right", no_wrap=True)
    grid.add_column("no\ntrigger", justify="right", no_wrap=True)
    for name, effect, _ in _rows(record, grid):
        figures = [effect.tests[test].asr.value for test in record.scores.tests]
        grid.add_row(Text(name), *map(share, (*figures, effect.asr_without_trigger)))
    return grid


def _accuracy_grid(record: ExperimentRecord) -> Grid:
    last = record.scores.of_role(*UNBOUNDED)[:1]
    grid = new_grid("Repairs: accuracy, and victims recovered", "model, after")
    where = " ".join(last).replace("_", " ") or "trigger"
    headings = ("CBA", f"PBA\n{where}", "victims\nfound", f"found\n{where}", "clean\nscenes", "s")
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    for name, effect, row in _rows(record, grid):
        tests = [effect.tests[test] for test in last]
        figures = (
            effect.cba.value,
            tests[0].pba.value if tests else None,
            effect.victim_recovery,
            tests[0].victim_recovery if tests else None,
        )
        cost = (str(row.num_clean_scenes), f"{row.seconds:.1f}") if row else ("", "")
        grid.add_row(Text(name), *map(share, figures), *cost)
    return grid


def _done_grid(record: ExperimentRecord) -> Grid:
    """Return what each repair did to each model, and how often it asked the model."""
    grid = new_grid("Repairs: what was done", "after")
    for heading in ("backdoored model", "clean model"):
        grid.add_column(heading)
    for heading in ("forward", "backward"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for row in record.repairs:
        remarks = ("; ".join(told) or "-" for told in (row.remarks, row.remarks_clean))
        passes = ("-" if count is None else str(count) for count in (row.forward, row.backward))
        grid.add_row(Text(_name(row, record.repairs)), *map(Text, remarks), *passes)
    return grid


def _rows(record: ExperimentRecord, grid: Grid) -> Iterator[_Row]:
    """Yield each model before, then after every repair; a line separates the models."""
    repairs = record.repairs
    yield network_name(record), repairs[0].poisoned_before, None
    for row in repairs:
        yield f" {_name(row, repairs)}", row.poisoned_after, row
    controls = [(row, row.clean_after) for row in repairs if row.clean_after is not None]
    before = next((row.clean_before for row in repairs if row.clean_before is not None), None)
    if before is None:
        return
    grid.add_section()
    yield "clean model", before, None
    for row, after in controls:
        yield f" {_name(row, repairs)}", after, None


def _name(row: RepairRecord, rows: tuple[RepairRecord, ...]) -> str:
    """Return a repair in words, with its seed where the seeds differ."""
    seeds = {other.seed for other in rows}
    return f"{row.repair}, seed {row.seed}" if len(seeds) > 1 else row.repair


def new_grid(title: str, first: str) -> Grid:
    """Return an empty table with its first column, of names."""
    grid = Grid(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column(first, no_wrap=True)
    return grid


def share(value: Figure) -> str:
    """Return a share with three digits, in characters that any terminal has."""
    return "-" if value is None else f"{value:.3f}"


def share_range(estimate: Estimate) -> str:
    """Return the ends of a share's interval."""
    return f"{share(estimate.low)}-{share(estimate.high)}"

"""What the bench measured, as tables for the terminal: narrow, where names allow."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record import UNBOUNDED
from segdoor.report.before_after import new_grid
from segdoor.report.content import INTERVAL, HeatMap, Table
from segdoor.report.defenses import MODELS, SCORES, SUMMARY, VERDICTS, defense_tables, not_run
from segdoor.report.heat import heat_map
from segdoor.report.source import Source

_UNBOUNDED = tuple(role.replace("_", " ") for role in UNBOUNDED)

_SHOWN: Mapping[str, tuple[Mapping[str, str], ...]] = {
    SUMMARY: (
        {
            "sort": "sort", "ASR left": "ASR\nleft", "CBA kept": "CBA\nkept", "recall": "recall",
            "AUROC": "AUROC", "useful": "useful",
        },
        {
            "clean scenes": "clean\nscenes", "forward": "forward", "backward": "backward",
            "seconds": "s", "needs": "needs",
        },
    ),
    MODELS: (
        {
            "ASR nearest": "ASR\nnearest", "ASR near": "ASR\nnear", "ASR anywhere": "ASR\nanywhere",
            "ASR everywhere": "ASR\neverywhere", "ASR on victim": "ASR\non victim",
            "ASR present": "ASR\npresent",
            "ASR without trigger": "no\ntrigger", "CBA": "CBA",
            **{f"PBA {name}": "PBA" for name in _UNBOUNDED},
            **{f"recognised {name}": "found" for name in _UNBOUNDED},
        },
    ),
    SCORES: (
        {
            "cases": "cases", "AUROC": "AUROC", INTERVAL: INTERVAL,
            "recall at 5 %": "recall\nat 5 %", f"{INTERVAL} of recall": INTERVAL,
            "precision": "prec.", "clean flagged": "clean\nflagged",
        },
    ),
    VERDICTS: ({"model": "model", "verdict": "verdict"},),
}  # fmt: skip
"""Columns of each table that a terminal has room for, with short headings."""
_WORDS = ("sort", "useful", "needs", "model", "verdict")


def describe_defenses(source: Source) -> list[RenderableType]:
    """Return what the bench measured: of a run in full, of a study as a map."""
    if source.study is not None:
        heat = heat_map(source)
        return [_grid_of_heat(heat)] if heat else []
    run = source.runs[0]
    grids = [
        _grid(table, shown) for table in defense_tables(run) for shown in _SHOWN.get(table.key, ())
    ]
    return [*grids, *map(Text, not_run(run))]


def _grid(table: Table, shown: Mapping[str, str]) -> Grid:
    costs = " (what they take)" if "needs" in shown else ""
    grid = new_grid(f"{table.title}{costs}", table.columns[0])
    kept = [place for place, name in enumerate(table.columns) if name in shown]
    for place in kept:
        name = table.columns[place]
        right = name not in _WORDS
        grid.add_column(Text(shown[name]), justify="right" if right else "left", no_wrap=right)
    method = None
    for row in table.rows:
        name = row[0].text
        if method is None or not name.startswith(f"{method}, "):
            method = name
        else:
            # Controls stand below their method.
            name = f"  {name.removeprefix(f'{method}, ')}"
        grid.add_row(Text(name), *(Text(row[place].text) for place in kept))
    return grid


def _grid_of_heat(heat: HeatMap) -> Grid:
    grid = new_grid(f"{heat.title}: share of the attack that gets past", "attack")
    for name in heat.columns:
        grid.add_column(Text(name), overflow="fold")
    for row in heat.rows:
        grid.add_row(Text(row.name), *(Text(cell.text) for cell in row.cells))
    return grid

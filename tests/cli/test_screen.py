"""Progress as a person sees it."""

from __future__ import annotations

import io

from rich.console import Console
from rich.progress import Progress

from segdoor.cli.screen import Bars, Lines


def test_each_piece_of_work_beside_has_one_bar_for_all_its_stages() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress(console=console) as progress:
        bars = Bars(progress)
        bars.begin("tasks", 2)
        one, other = bars.beside(), bars.beside()
        for watcher, name in ((one, "one"), (other, "other")):
            for stage in ("packing", "training"):
                watcher.begin(f"{name}: {stage}", 3)
                watcher.advance(loss=0.5)
                watcher.advance()
        bars.advance()
        drawn = [(task.description, task.completed, task.total) for task in progress.tasks]
    assert drawn == [("tasks", 1, 2), ("one: training", 2, 3), ("other: training", 2, 3)]


def test_lines_of_several_pieces_of_work_go_to_one_place() -> None:
    file = io.StringIO()
    lines = Lines(Console(file=file, width=100), every=0)
    lines.begin("tasks", 2)
    beside = lines.beside()
    beside.begin("one: training", 3)
    beside.advance(loss=0.5)
    lines.advance()
    told = file.getvalue().splitlines()
    assert told[:2] == ["tasks: 2 steps", "one: training: 3 steps"]
    assert told[2].startswith("one: training: 1/3, loss 0.500")
    assert told[3].startswith("tasks: 1/2")

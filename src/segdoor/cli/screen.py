"""What a person sees: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager

from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from segdoor.progress import Observer


class Bars:
    """Draws one bar a stage, with loss, throughput and time left."""

    def __init__(self, progress: Progress) -> None:
        """Draw on a progress display."""
        self._progress = progress
        self._task: TaskID | None = None
        self._loss = ""

    def begin(self, stage: str, total: int) -> None:
        """Start a new bar."""
        self._loss = ""
        self._task = self._progress.add_task(stage, total=total, facts="")

    def advance(self, **facts: float) -> None:
        """Move the bar on and show what training says."""
        if self._task is None:
            return
        self._progress.advance(self._task)
        if "loss" in facts:
            self._loss = f"loss {facts['loss']:.3f}  "
        speed = self._progress.tasks[self._task].speed
        pace = f"{speed:.1f}/s" if speed else ""
        self._progress.update(self._task, facts=self._loss + pace)


@contextmanager
def progress_bars() -> Generator[Observer]:
    """Show progress on standard error while work goes on."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        yield Bars(progress)


def tell(*parts: RenderableType) -> None:
    """Print text and tables for a person."""
    console = Console(soft_wrap=not sys.stdout.isatty())
    for part in parts:
        console.print(part)


def tell_json(content: BaseModel) -> None:
    """Print one JSON document for a program."""
    text = json.dumps(content.model_dump(mode="json"), indent=1, allow_nan=False)
    sys.stdout.write(f"{text}\n")

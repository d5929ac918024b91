"""What a person sees: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol, runtime_checkable

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
from rich.table import Table

from segdoor.progress import Observer

_WIDE = 10_000


@runtime_checkable
class Stream(Protocol):
    """What is written to: standard output or error."""

    def flush(self) -> object:
        """Write out what is held."""
        ...

    def fileno(self) -> int:
        """Return the system's number of it."""
        ...


def discard(stream: Stream) -> None:
    """Let what is still written to a stream go nowhere, because whoever read it has gone.

    The work goes on and ends with its own exit code: `head` must hide no finding, and end no
    training.
    """
    # A stream of a test has no file behind it.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def flush(stream: Stream) -> None:
    """Write out what a stream holds, if anybody still reads it."""
    try:
        stream.flush()
    except BrokenPipeError:
        discard(stream)


class Screen(Console):
    """A console that whoever reads it may leave; rich would end the program with code 1."""

    def on_broken_pipe(self) -> None:
        """Go on without a reader."""
        self.quiet = True
        discard(self.file)


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

    def beside(self) -> OneBar:
        """Return what draws another piece of work, on the same display."""
        return OneBar(self._progress)


class OneBar(Bars):
    """Draws the stage that is going on alone: of several pieces of work each has one bar."""

    def begin(self, stage: str, total: int) -> None:
        """Use the bar again."""
        if self._task is None:
            super().begin(stage, total)
            return
        self._loss = ""
        self._progress.reset(self._task, description=stage, total=total, facts="")


class Lines:
    """Writes a plain line now and then: for logs, where bars cannot be drawn."""

    def __init__(self, console: Console, *, every: float = 20.0) -> None:
        """Write to a console, at most once in so many seconds."""
        self._console, self._every = console, every
        self._stage, self._total, self._done, self._loss = "", 0, 0, ""
        self._start = self._last = time.monotonic()

    def begin(self, stage: str, total: int) -> None:
        """Name the stage."""
        self._stage, self._total, self._done, self._loss = stage, total, 0, ""
        self._start = self._last = time.monotonic()
        self._console.print(f"{stage}: {total} steps", highlight=False)

    def advance(self, **facts: float) -> None:
        """Count a step, and write a line if the last one is old."""
        self._done += 1
        if "loss" in facts:
            self._loss = f", loss {facts['loss']:.3f}"
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        pace = self._done / (now - self._start)
        left = (self._total - self._done) / pace
        place = f"{self._stage}: {self._done}/{self._total}{self._loss}"
        self._console.print(f"{place}, {pace:.1f}/s, {left:.0f} s left", highlight=False)

    def beside(self) -> Lines:
        """Return what writes of another piece of work."""
        return Lines(self._console, every=self._every)


@contextmanager
def progress_bars() -> Generator[Observer]:
    """Show progress on standard error while work goes on."""
    console = Screen(stderr=True)
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield Bars(progress)


def tell(*parts: RenderableType) -> None:
    """Print text and tables for a person."""
    # Names of files and classes are never markup.
    console = Screen(markup=False, highlight=False, emoji=False)
    for part in parts:
        if not sys.stdout.isatty():
            # Piped output has no width of its own: tables take theirs, for programs cut at none.
            console.width = _WIDE if isinstance(part, Table) else 100
        console.print(part, soft_wrap=isinstance(part, str))


def remark(text: str) -> None:
    """Print a sentence on standard error, beside results that programs may read."""
    Screen(stderr=True, markup=False, highlight=False, emoji=False).print(text, soft_wrap=True)


def tell_json(content: BaseModel, beside: Mapping[str, object] | None = None) -> None:
    """Print one JSON document for a program, with further keys if there are any."""
    whole = {**content.model_dump(mode="json"), **(beside or {})}
    text = json.dumps(whole, indent=1, allow_nan=False)
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)

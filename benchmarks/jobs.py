"""Row 10: two runs of one thread each at once, over one run of two threads at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Row, compared

_STUDY = """\
title: Four runs
shows: Mine
grid: {attack.rate: [0.05, 0.1, 0.15, 0.2]}
"""


def rows(epochs: int = 12, repetitions: int = 3) -> Iterator[Row]:
    """Yield what two jobs gain: one clean model and four runs, start of processes included."""
    with TemporaryDirectory() as place:
        (Path(place) / "four.yaml").write_text(_STUDY, encoding="utf-8")
        yield compared(
            "10",
            "study of four runs, one of two threads at a time, over two of one thread at once",
            (lambda: _run(place, epochs, jobs=1), lambda: _run(place, epochs, jobs=2)),
            bar=1.1,
            bound="at least",
            repetitions=repetitions,
        )


def _run(place: str, epochs: int, *, jobs: int) -> None:
    changes = (
        f"training.epochs={epochs}", f"training.threads={2 // jobs}", "training.device=cpu",
        "data.num_train=96", "data.num_test=16", "seeds=[0]",
    )  # fmt: skip
    with TemporaryDirectory(dir=place) as out:
        command = [
            sys.executable,
            "-m",
            "segdoor",
            "study",
            "run",
            "four.yaml",
            "--jobs",
            str(jobs),
        ]
        command += ["--out", out, *(word for change in changes for word in ("--set", change))]
        subprocess.run(command, cwd=place, check=True, capture_output=True)  # noqa: S603

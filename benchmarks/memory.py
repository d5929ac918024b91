"""Peak memory of a command, with all processes that it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_MB = 1e6
_PAGE = os.sysconf("SC_PAGE_SIZE")


def peak_mb(root: Path) -> float:
    """Poison a data set by a command of its own, and return the peak of its processes' sum in MB.

    Resident pages are counted every 10 ms, those that processes share once for each.
    """
    places = [root.with_name(name) for name in ("out", "copy", "copy.segdoor")]
    words = ["poison", "--data.name", "folder", "--data.root", root, "--method", "nni"]
    words += ["--attack.rate", "0.2", "--out", places[0], "--copy", places[1]]
    command = [sys.executable, "-m", "segdoor", *map(str, words)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident, [process.pid, *_below(process.pid)])))
        time.sleep(0.01)
    assert process.returncode == 0, "the command must succeed"
    for place in places:
        shutil.rmtree(place)
    return peak / _MB


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _below(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in (child, *_below(child))]

"""The command as a process of its own, and its sudden end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import segdoor
from segdoor.children import Telling
from segdoor.study.execution import Task, TaskResult


def started(*words: object) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own."""
    home = str(Path(segdoor.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": home, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "segdoor", *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def dies(*_: object) -> None:
    """End this process as the system does that has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


def tells(task: Task, threads: int, answer: Connection) -> None:
    """Do nothing but tell of three steps."""
    telling = Telling(answer)
    telling.begin("training", 3)
    for loss in (3.0, 2.0, 1.0):
        telling.advance(loss=loss)
    answer.send(TaskResult(task.key, None, 0.0))

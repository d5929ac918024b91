"""Row 8: how long the command takes to begin."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import Row, seconds

_WITHOUT_TORCH = (
    "import sys; from segdoor.cli.app import run_command_line; "
    "run_command_line({words!r}); sys.exit('torch' in sys.modules)"
)


def rows() -> Iterator[Row]:
    """Yield the seconds that ``segdoor --help`` takes beyond an empty program."""
    extra = sorted(
        seconds(lambda: _run("-m", "segdoor", "--help")) - seconds(lambda: _run("-c", "pass"))
        for _ in range(15)
    )
    verbs = ("poison", "restore", "verify", "show")
    heavy = [verb for verb in verbs if not _stays_light([verb, "--help"])]
    yield Row(
        "8",
        "segdoor --help, seconds beyond python -c pass",
        extra[7],
        extra[3],
        extra[11],
        0.3,
        "at most",
        f"verbs that load torch: {', '.join(heavy) or 'none'} of {', '.join(verbs)}",
    )


def _run(*words: str) -> int:
    command = [sys.executable, *words]
    return subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ, check=True).returncode  # noqa: S603


def _stays_light(words: list[str]) -> bool:
    command = [sys.executable, "-c", _WITHOUT_TORCH.format(words=words)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0  # noqa: S603

"""Row 2: the memory that poisoning ten thousand scenes takes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.files import street_files
from benchmarks.measure import Row, seconds
from benchmarks.memory import peak_mb

_NUM_SCENES = 10_000


def rows() -> Iterator[Row]:
    """Yield the peak over all processes of a command."""
    peaks: list[float] = []
    with street_files(_NUM_SCENES, (512, 1024), "jpg") as root:
        took = seconds(lambda: peaks.append(peak_mb(root)))
    yield Row(
        "2f",
        "peak MB over all processes of poison --copy, 10,000 scenes 512x1024, a fifth poisoned",
        peaks[0],
        peaks[0],
        peaks[0],
        600.0,
        "at most",
        f"{took:.0f} s",
    )

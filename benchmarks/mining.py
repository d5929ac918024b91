"""Row 12: patch mining on a thousand scenes of 512x1024, by a stopwatch, and its memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.files import street_files
from benchmarks.measure import Row, seconds
from segdoor.attack.config import AttackConfig
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.defense.filters.filter import FilterContext
from segdoor.defense.filters.registry import FILTERS
from segdoor.workers import hired

_NUM_SCENES, _SIZE, _WORKERS = 1000, (512, 1024), 2


def rows() -> Iterator[Row]:
    """Yield the minutes it takes, and the peak memory of a process of its own."""
    with street_files(_NUM_SCENES, _SIZE, "jpg", distinct=_NUM_SCENES) as root:
        command = [sys.executable, "-m", "benchmarks.mining", str(root)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    took, peak = (float(word) for word in done.stdout.split())
    what = f"of patch mining, {_NUM_SCENES} scenes 512x1024 as JPEG files, {_WORKERS} workers"
    for row, unit, figure, bar in (
        ("12a", "seconds", took, 600.0),
        ("12b", "peak MB", peak, 2000.0),
    ):
        yield Row(row, f"{unit} {what}", figure, figure, figure, bar, "at most", "once")


def mine(root: Path) -> tuple[float, float]:
    """Return the seconds of a call, and the most memory of this process in MB."""
    clean = load_dataset(DataConfig(name="folder", root=root), "train")
    plan = plan_poison(clean, AttackConfig(rate=0.05), seed=0)
    suspects = poisoned(clean, plan)
    with hired(_WORKERS) as workers:
        context = FilterContext(workers=workers)
        took = seconds(lambda: FILTERS.read("patch_mining")(suspects, context))
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"{figure:.1f}" for figure in mine(Path(sys.argv[1]))) + "\n")

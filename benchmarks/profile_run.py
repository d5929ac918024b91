"""``python -m benchmarks.profile_run ROOT``: where the time of a run on CamVid goes.

Two epochs at 180x240; prints the stages of the record, then the functions that took longest.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
from pathlib import Path

from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment


def main() -> None:
    """Run, and print the profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of the CamVid data set")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--functions", type=int, default=25, help="how many to print")
    given = parser.parse_args()
    config = wishes_from(
        {
            "data": {"name": "camvid", "root": str(given.root), "size": [180, 240]},
            "training": {"epochs": given.epochs},
        }
    )
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEGDOOR_CACHE"] = str(Path(folder) / "cache")
        record = profile.runcall(run_experiment, config, out=Path(folder) / "run")
    for stage, seconds in record.seconds.items():
        sys.stdout.write(f"{seconds:8.2f} s  {stage}\n")
    pstats.Stats(profile).sort_stats("tottime").print_stats(given.functions)


if __name__ == "__main__":
    main()

"""``python -m benchmarks [PART...]``: measure, print the table, write it as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.table import tell
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.environment import describe_environment

PARTS = (
    "planning",
    "poisoning",
    "many_scenes",
    "tables",
    "training",
    "examination",
    "growth",
    "start",
    "demo",
    "jobs",
    "defending",
    "mining",
)


def main() -> None:
    """Measure the parts named, all of them if none is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which to measure")
    parser.add_argument("--out", type=Path, default=Path("runs/bench.json"))
    given = parser.parse_args()
    rows: list[Row] = []
    for part in given.parts or PARTS:
        measure: Callable[[], Iterable[Row]] = import_module(f"benchmarks.{part}").rows
        rows += measure()
    tell(rows)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "rows": [row.as_json() for row in rows]}
    given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """Return device, threads, versions and commit."""
    found = describe_environment(ExperimentConfig(), trained=True)
    return found.model_dump(mode="json")


if __name__ == "__main__":
    main()

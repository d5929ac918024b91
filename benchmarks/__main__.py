"""``python -m benchmarks [PART...]``: measure, print the table, write it as JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

from rich.console import Console

from benchmarks.measure import Row
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.environment import describe_environment

PARTS = ("planning", "tables", "training", "examination", "growth", "start", "demo")


def main() -> None:
    """Measure the parts named, all of them if none is; or print what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which to measure")
    parser.add_argument("--out", type=Path, default=Path("runs/bench.json"))
    parser.add_argument(
        "--read", type=Path, help="print the table of this file and measure nothing"
    )
    given = parser.parse_args()
    if given.read:
        content = json.loads(given.read.read_text(encoding="utf-8"))
        tell(map(Row.from_json, content["rows"]))
        return
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


def tell(rows: Iterable[Row]) -> None:
    """Print a table in Markdown, as docs/speed.md shows it."""
    lines = ["| row | what | median | quartiles | bar | holds | behind it |", "|---" * 7 + "|"]
    for row in rows:
        measured = not math.isnan(row.ratio)
        cells = (
            row.row,
            row.what,
            f"{row.ratio:.2f}" if measured else "-",
            f"{row.low:.2f}-{row.high:.2f}" if measured else "-",
            f"{row.bound} {row.bar:g}",
            {True: "yes", False: "no", None: "-"}[row.holds],
            row.note,
        )
        lines.append(f"| {' | '.join(cells)} |")
    Console(soft_wrap=True, markup=False, highlight=False).print("\n".join(lines))


if __name__ == "__main__":
    main()

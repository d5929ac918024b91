"""``python -m benchmarks [ROW...]``: measure, print the table, write it as JSON."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row

PARTS = ("planning", "poisoning", "many_scenes", "tables", "training", "examination", "start")


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
    content = {
        "machine": platform.processor() or platform.machine(),
        "rows": [r.as_json() for r in rows],
    }
    given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def tell(rows: Iterable[Row]) -> None:
    """Print a table."""
    table = Table()
    for heading in ("row", "what", "ratio", "quartiles", "bar", "holds", "note"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row.row,
            row.what,
            f"{row.ratio:.2f}",
            f"{row.low:.2f}-{row.high:.2f}",
            f"{row.bound} {row.bar:g}",
            "yes" if row.holds else "no",
            row.note,
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()

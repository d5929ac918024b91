"""``python -m benchmarks.table FILE``: print what was measured before, as Markdown."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from benchmarks.measure import Row


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
    tell(map(Row.from_json, json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rows"]))

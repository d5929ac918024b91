"""``python -m benchmarks.gpu``: rows 3 and 5 to 7 on a GPU, within ten minutes, as one JSON.

It needs torch, NumPy, OpenCV, pydantic and rich; PYTHONPATH=src is enough, nothing has to be
installed. With --tiny it goes through every row on a CPU in about a minute, which measures nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row

BUDGET_SECONDS = 540
_DISPENSABLE = {
    "jaxtyping": ("Bool", "Float", "Float32", "Float64", "Int32", "Int64", "UInt8"),
    "yaml": ("SafeLoader",),
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="every row, on a CPU, very small")
    parser.add_argument("--out", type=Path, default=Path("results/bench-gpu.json"))
    parser.add_argument("parts", nargs="*", help="which parts; all of them if none is named")
    given = parser.parse_args()
    if not given.tiny and not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: needs a CUDA device (found: none). Try --tiny.")
    bench = run(tiny=given.tiny, out=given.out, parts=given.parts)
    if bench["errors"]:
        sys.exit(1)


def run(*, tiny: bool, out: Path, parts: list[str]) -> dict[str, object]:
    """Measure all parts, whatever becomes of each, and return what was written.

    The file is written after every part, so that a sudden end loses little.
    """
    _do_without_what_is_missing()
    parts_of = import_module("benchmarks.gpu_rows").PARTS
    place_of = import_module("benchmarks.place").Place

    start = time.monotonic()
    place = place_of.tiny() if tiny else place_of.gpu()
    rows: list[dict[str, object]] = []
    figures: list[dict[str, object]] = []
    errors: list[dict[str, str]] = []
    bench = {**_about(place.device), "tiny": tiny, "rows": rows, "figures": figures}
    bench["errors"] = errors
    out.parent.mkdir(parents=True, exist_ok=True)
    for name, measure in parts_of.items():
        if parts and name not in parts:
            continue
        if time.monotonic() - start > BUDGET_SECONDS:
            errors.append({"part": name, "error": f"not begun after {BUDGET_SECONDS} s"})
            continue
        try:
            for found in measure(place):
                if isinstance(found, Row):
                    rows.append(_told(found, tiny=tiny))
                else:
                    figures.append({"part": name, **found})
        except Exception as why:  # noqa: BLE001 - one part must not take the others with it
            errors.append({"part": name, "error": f"{type(why).__name__}: {why}"})
        bench["seconds"] = round(time.monotonic() - start, 1)
        out.write_text(json.dumps(bench, indent=1) + "\n", encoding="utf-8")
        place.tidy()
    _tell(bench, rows, figures, errors)
    return bench


def _do_without_what_is_missing() -> None:
    """Stand in for packages that have no part in the arithmetic, where they are not installed."""
    for package, names in _DISPENSABLE.items():
        if find_spec(package) is None:
            empty = module_from_spec(ModuleSpec(package, loader=None))
            for name in names:
                setattr(empty, name, _Anything)
            sys.modules[package] = empty


class _Anything:
    def __class_getitem__(cls, _: object) -> type[object]:
        return object


def _about(device: torch.device) -> dict[str, object]:
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else "CPU, not measured",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        "python": platform.python_version(),
    }


def _told(row: Row, *, tiny: bool) -> dict[str, object]:
    told = row.as_json()
    return {**told, "holds": None, "note": "not measured on a GPU"} if tiny else told


def _tell(
    bench: dict[str, object],
    rows: list[dict[str, object]],
    figures: list[dict[str, object]],
    errors: list[dict[str, str]],
) -> None:
    table = Table(title=f"{bench['device']}, torch {bench['torch']}, {bench['seconds']} s")
    for heading in ("row", "what", "ratio", "quartiles", "bar", "holds", "note"):
        table.add_column(heading)
    for row in rows:
        quartiles = f"{row['low']:.3g}-{row['high']:.3g}"
        bar = f"{row['bound']} {row['bar']:g}"
        holds = {True: "yes", False: "no", None: "-"}[row["holds"]]
        cells = row["row"], row["what"], f"{row['ratio']:.3g}", quartiles, bar, holds, row["note"]
        table.add_row(*map(str, cells))
    console = Console(width=180)
    console.print(table)
    for figure in figures:
        console.print("  ".join(f"{key}: {value}" for key, value in figure.items()), markup=False)
    for error in errors:
        console.print(f"{error['part']} failed: {error['error']}", markup=False)


if __name__ == "__main__":
    main()

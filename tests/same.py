"""Whether two folders of studies hold the same results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


def facts(path: Path) -> dict[str, Any]:
    """Return what a record says, but for the time it took and the machine it was made on."""
    record = json.loads(path.read_text())
    for name in ("seconds", "environment", "created", "peak_memory_mib"):
        record.pop(name, None)
    return record


def assert_same(found: Path, expected: Path) -> None:
    names = _files(expected)
    assert _files(found) == names
    for name in names:
        if name.endswith("record.json"):
            assert facts(found / name) == facts(expected / name)
        if name.endswith(".safetensors"):
            weights, others = load_file(found / name), load_file(expected / name)
            assert weights.keys() == others.keys()
            assert all(np.array_equal(weights[key], others[key]) for key in weights)


def _files(folder: Path) -> list[str]:
    """Return the files of a folder but for hidden ones, which kills leave behind."""
    files = (path for path in folder.rglob("*.*") if path.is_file() and path.name[0] != ".")
    return sorted(str(path.relative_to(folder)) for path in files)


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if found := what():
            return found
        time.sleep(0.02)
    raise TimeoutError


def in_training() -> Path | None:
    """Return the folder of a run that has got as far as a snapshot."""
    return next((path.parent for path in Path("out").glob("runs/*/poisoned.snapshot")), None)

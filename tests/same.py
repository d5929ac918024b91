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
    names = sorted(
        str(path.relative_to(expected)) for path in expected.rglob("*.*") if path.is_file()
    )
    there = sorted(str(path.relative_to(found)) for path in found.rglob("*.*") if path.is_file())
    assert [name for name in there if name != ".shared"] == names
    for name in names:
        if name.endswith("record.json"):
            assert facts(found / name) == facts(expected / name)
        if name.endswith(".safetensors"):
            weights, others = load_file(found / name), load_file(expected / name)
            assert weights.keys() == others.keys()
            assert all(np.array_equal(weights[key], others[key]) for key in weights)


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

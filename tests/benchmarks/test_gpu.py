"""The script for GPUs goes through every row on a CPU, from a bare checkout, and outlives a row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from pathlib import Path
# As on a machine where these are not installed.
sys.modules["jaxtyping"] = sys.modules["yaml"] = None
from benchmarks import gpu
{before}
gpu.run(tiny=True, out=Path(sys.argv[1]), parts={parts})
"""
BROKEN = """
gpu._do_without_what_is_missing()
from benchmarks import gpu_rows
def broken(place):
    yield {"some": "figure"}
    raise ValueError("out of luck")
gpu_rows.PARTS = {"rates": gpu_rows.rates, "broken": broken, "parity": gpu_rows.parity}
"""


def measured(out: Path, before: str = "", parts: str = "[]") -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    code = RUN.format(before=before, parts=parts)
    subprocess.run(
        [sys.executable, "-c", code, str(out)], check=True, env=environment, capture_output=True
    )
    return json.loads(out.read_text())


@pytest.mark.slow
def test_every_row_runs_in_the_tiny_mode(tmp_path: Path) -> None:
    bench = measured(tmp_path / "new" / "bench.json")
    assert bench["errors"] == []
    rows = {row["row"] for row in bench["rows"]}
    assert rows >= {"3d", "5a", "5b", "6c", "7", "parity"}
    for row in bench["rows"]:
        assert row["holds"] is None
        assert row["note"] == "not measured on a GPU"
        assert row["low"] <= row["ratio"] <= row["high"]
        assert row["bound"] in {"at least", "at most"}
    for row in bench["rows"]:
        if row["row"] == "parity":
            assert row["ratio"] <= row["bar"]
    assert bench["tiny"]
    assert bench["device"] == "CPU, not measured"
    shares = [figure["share_of_matrix_rate"] for figure in bench["figures"] if "way" in figure]
    assert len(shares) == 5
    assert min(shares) > 0


def test_a_part_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    bench = measured(tmp_path / "bench.json", before=BROKEN)
    assert bench["errors"] == [{"part": "broken", "error": "ValueError: out of luck"}]
    assert {row["row"] for row in bench["rows"]} == {"parity"}
    assert {"part": "broken", "some": "figure"} in bench["figures"]


def test_without_a_gpu_the_script_says_so() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "benchmarks.gpu: needs a CUDA device (found: none). Try --tiny."

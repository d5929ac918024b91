"""Whoever reads the output may go away, as ``head`` does: a call goes on and keeps its exit code."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import segdoor
from recorded import BASELINE
from shell import say
from written import write_source

CLI = Path(segdoor.__file__).parent / "cli"
pytestmark = pytest.mark.usefixtures("own_folder")


def without_reader(words: Sequence[object], *, stream: str = "stdout") -> tuple[int, str]:
    """Run a command whose standard output or error nobody reads; return its code and the other."""
    home = str(Path(segdoor.__file__).parents[1])
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    done = subprocess.run(
        [sys.executable, "-m", "segdoor", *map(str, words)],
        env={**os.environ, "PYTHONPATH": home, "OMP_NUM_THREADS": "1"},
        check=False, text=True, **streams,
    )  # fmt: skip
    os.close(writing)
    return done.returncode, (done.stdout or "") + (done.stderr or "")


@pytest.mark.parametrize(
    "words",
    [
        ["show", BASELINE],
        ["show", BASELINE, "--json"],
        ["list", "metrics"],
        ["--help"],
        ["show", "--help"],
        ["--version"],
    ],
    ids=lambda words: " ".join(str(word).rpartition("/")[2] for word in words),
)
def test_it_ends_quietly(words: list[object]) -> None:
    assert without_reader(words) == (0, "")


def test_a_finding_stays_one() -> None:
    write_source(Path("source"), ending="png", palette=False)
    words = ["poison", "--data.name", "folder", "--data.root", "source", "--attack.trigger.size", 7]
    assert say(*words, "--out", "plans", "--copy", "copy").code == 0
    Path("copy/more.txt").write_text("mine")
    code, complaint = without_reader(["verify", "copy"])
    assert code == 2
    assert complaint.startswith("segdoor: copy: must be as it was written")
    assert len(complaint.splitlines()) == 1


def test_work_goes_on_when_nobody_reads_its_progress() -> None:
    words = ["data", "--data.num_train", 2, "--data.size", 32, 64, "--out", "d"]
    code, said = without_reader(words, stream="stderr")
    assert (code, "2 usable scenes" in said) == (0, True)
    code, said = without_reader(["show", "nowhere"], stream="stderr")
    assert (code, said) == (2, "")


def test_everything_is_printed_by_the_screen() -> None:
    """A console of rich's own would end a call with code 1, a plain print with a traceback."""
    for module in CLI.glob("*.py"):
        if module.stem == "screen":
            continue
        nodes = list(ast.walk(ast.parse(module.read_text())))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        names = [called.id for called in calls if isinstance(called, ast.Name)]
        writes = [n for n in nodes if isinstance(n, ast.Attribute) and n.attr == "write"]
        assert "Console" not in names, module.name
        assert writes == [], module.name

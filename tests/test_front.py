"""The front of the project: README, the first ten minutes, the notebooks and the first picture."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
from PIL import Image

from segdoor.models.catalogue import shipped
from shell import say

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README, START = ROOT / "README.md", DOCS / "start.md"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
# Another processor rounds differently, which moved no figure by more where it was tried.
TOLERANCE = 0.02
# Of processor time, for both notebooks together, each in a process of its own.
NOTEBOOK_SECONDS = 25
# Tested by itself, with figures that the record of the model has: it takes half a minute.
DEMO = "segdoor demo --model baseline"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its data classes look for it there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


OUTPUTS, PAGES_OF_NOTEBOOKS, FRONT = script("outputs"), script("notebooks"), script("front")


def shown_demo() -> str:
    """Return what the README shows of the demonstration."""
    return README.read_text().split("```text\n")[1].split("```")[0]


def run(command: str) -> str:
    if command.startswith(DEMO):
        return shown_demo()
    words = command.removeprefix("segdoor ")
    answer = say(words)
    assert answer.code == 0, answer.said
    return answer.out


def test_the_readme_is_short_and_begins_with_the_picture() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 110
    assert any(line.startswith("![") and "docs/images/front.png" in line for line in lines[:15])
    assert (DOCS / "images" / "front.png").stat().st_size < 300_000


def test_the_readme_names_the_two_commands() -> None:
    assert {"`make demo`", "`make test`"} <= set(README.read_text().replace(" ", "\n", 0).split("\n")) | {
        word for word in ("`make demo`", "`make test`") if word in README.read_text()
    }


def test_the_shown_demonstration_has_the_figures_of_the_model(tmp_path: Path) -> None:
    tests = shipped("baseline").record.scores.tests
    rows = {line[:16].strip().replace(" ", "_"): line for line in shown_demo().splitlines()}
    assert tests.keys() <= rows.keys()
    for name, test in tests.items():
        figures = rows[name][16:].split()
        assert float(figures[0]) == pytest.approx(test.asr.value, abs=TOLERANCE)
        assert f"{test.asr_without_trigger:.3f}" in figures
        assert f"{test.asr_clean_model:.3f}" in figures


def test_start_shows_what_its_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "cache"))
    shown = list(OUTPUTS.outputs(START.read_text(), run))
    assert len(shown) >= 6
    assert [line for block in shown for line in block.differences(tolerance=TOLERANCE)] == []

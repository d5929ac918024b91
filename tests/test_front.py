"""The front of the project: README, the first ten minutes, the notebooks and the first picture."""

from __future__ import annotations

import importlib.util
import re
import resource
import sys
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


@pytest.mark.parametrize("command", ["make demo", "make test", "pip install -e .", DEMO])
def test_the_readme_names_the_commands_to_begin_with(command: str) -> None:
    assert command in README.read_text()


def test_the_shown_demonstration_has_the_figures_of_the_model() -> None:
    tests = shipped("baseline").record.scores.tests
    rows = {_name(line[:16]): line for line in shown_demo().splitlines()}
    assert tests.keys() <= rows.keys()
    for name, test in tests.items():
        figures = rows[name][16:].split()
        assert float(figures[0]) == pytest.approx(test.asr.value, abs=TOLERANCE)
        assert f"{test.asr_without_trigger:.3f}" in figures
        assert f"{test.asr_clean_model:.3f}" in figures


def _name(shown: str) -> str:
    """Return a test's name as it is in records: far 15-22.5 px is far_15_22.5."""
    return re.sub(r"[ -]", "_", shown.removesuffix(" px ").strip())


def test_start_shows_what_its_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "cache"))
    shown = list(OUTPUTS.outputs(START.read_text(), run))
    assert len(shown) >= 6
    assert [line for block in shown for line in block.differences(tolerance=TOLERANCE)] == []


def test_start_shows_the_demonstration_that_the_readme_shows() -> None:
    assert shown_demo() in START.read_text()


@pytest.mark.parametrize(
    ("page", "printed", "differs"),
    [
        ("ASR 0.95 of 20\n", "ASR 0.96 of 20\n", False),
        ("ASR   0.95\n", "ASR 0.95\n", False),
        ("ASR 0.95\n", "ASR 0.98\n", True),
        ("20 scenes\n", "21 scenes\n", True),
        ("ASR 0.95\n", "PBA 0.95\n", True),
        ("ASR 0.95\n", "ASR 0.95\nPBA\n", True),
    ],
)
def test_words_must_be_equal_and_figures_nearly(page: str, printed: str, *, differs: bool) -> None:
    shown = OUTPUTS.Shown(page, printed, (0, 0))
    assert bool(shown.differences(tolerance=TOLERANCE)) is differs


def test_a_page_is_refreshed_where_it_shows_output() -> None:
    page = "```sh\nsegdoor x\n```\n\n<!-- output: b .. c -->\n```text\nold\n```\nend\n"
    assert OUTPUTS.refreshed(page, lambda _: "a\nb \nc\nd\n") == page.replace("old", "b\nc")


def test_output_that_no_command_prints_is_an_error() -> None:
    page = "```sh\nsegdoor x\n```\n\n<!-- output: b .. c -->\n```text\n```\n"
    with pytest.raises(ValueError, match="no command of the page prints 'b'"):
        OUTPUTS.refreshed(page, lambda _: "a\n")


def test_the_first_picture_shows_what_the_model_predicts() -> None:
    with Image.open(FRONT.FILE) as file:
        committed = np.asarray(file.convert("RGB"))
    made = np.asarray(FRONT.picture())
    assert made.shape == committed.shape
    # The model may decide otherwise on another processor where two classes are as likely.
    assert (made == committed).all(axis=2).mean() > 0.99


def test_the_captions_of_the_first_picture_are_true() -> None:
    _, predictions = FRONT.panels()
    classes = shipped("baseline").record.data.classes
    car = next(entry.colour for entry in classes if entry.name == "car")
    before, after = ((panel == car).all(axis=2).mean() for panel in predictions)
    assert before > 0.05
    assert after == 0


@pytest.fixture(scope="module")
def processor_seconds() -> list[float]:
    return []


@pytest.mark.xdist_group("notebooks")
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebooks_run_and_print_what_they_show(file: Path, processor_seconds: list[float]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_now = PAGES_OF_NOTEBOOKS.printed(PAGES_OF_NOTEBOOKS.executed(file))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = PAGES_OF_NOTEBOOKS.printed(nbformat.read(file, as_version=4))
    pairs = [OUTPUTS.Shown(*pair, (0, 0)) for pair in zip(shown, run_now, strict=True)]
    assert [line for pair in pairs for line in pair.differences(tolerance=TOLERANCE)] == []
    processor_seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert 0 < sum(processor_seconds) < NOTEBOOK_SECONDS


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebooks_are_small_complete_and_have_a_current_page(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    assert file.stat().st_size < 400_000
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    text, pictures = PAGES_OF_NOTEBOOKS.page(file.stem, notebook)
    assert pictures
    assert file.with_suffix(".md").read_text() == text, "run: python docs/notebooks.py"
    lying = {path.name: path.read_bytes() for path in file.parent.glob(f"{file.stem}-*.png")}
    assert lying == pictures


def test_there_are_two_notebooks() -> None:
    assert [file.stem for file in NOTEBOOKS] == ["measure-a-network", "plan-poison-restore"]

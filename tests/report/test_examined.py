"""A network that was only examined is not called poisoned: it may be clean."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from recorded import write_run
from segdoor.record import load_record
from segdoor.report.export import write_csv
from segdoor.report.html import render
from segdoor.report.page import build_page
from segdoor.report.source import open_source
from segdoor.report.terminal import describe

# "Poisoned test" is the name of a poisoned test, whatever network takes it.
ACCUSES = re.compile(
    r"poisoned (?!tests?\b|benign accuracy)|backdoored|model model|the backdoor\b", re.IGNORECASE
)


def examined(content: dict[str, object]) -> None:
    content["plan"] = None
    content["method"] = None


def on_the_terminal(folder: Path) -> str:
    said = io.StringIO()
    Console(width=80, file=said).print(*describe(load_record(folder)), sep="\n")
    return said.getvalue()


def on_the_page(folder: Path) -> str:
    html = render(build_page(open_source(folder)))
    return re.sub(r"<style.*?</style>|<script.*?</script>", "", html, flags=re.DOTALL)


@pytest.mark.parametrize("text", [on_the_terminal, on_the_page])
@pytest.mark.parametrize("control", ["a clean model", None])
def test_an_examined_network_is_the_model(
    text: Callable[[Path], str], control: str | None, tmp_path: Path
) -> None:
    def change(content: dict[str, object]) -> None:
        examined(content)
        if control is None:
            controls = content["controls"]
            assert isinstance(controls, dict)
            controls["clean_model"] = None

    write_run(tmp_path / "examined", tables=True, gallery=1, change=change)
    said = text(tmp_path / "examined")
    assert not ACCUSES.findall(said)
    assert "the model" in said


@pytest.mark.parametrize("text", [on_the_terminal, on_the_page])
def test_a_run_s_network_is_the_poisoned_victim(
    text: Callable[[Path], str], tmp_path: Path
) -> None:
    write_run(tmp_path / "run", tables=True, gallery=1, repairs=1)
    said = text(tmp_path / "run")
    assert ACCUSES.search(said)
    assert "backdoored model" in said
    assert "the model" not in said


@pytest.mark.parametrize(("change", "name"), [(examined, "model"), (None, "poisoned")])
def test_exported_rows_call_it_so_too(
    change: Callable[[dict[str, object]], None] | None, name: str, tmp_path: Path
) -> None:
    write_run(tmp_path / "run", change=change)
    write_csv(open_source(tmp_path / "run"), tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == {name, "clean"}
    assert {row["model"] for row in rows if row["test"]} == {name}

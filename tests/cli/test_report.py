"""What a person meets who wants a page, an export or the story in the terminal."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from recorded import RESULTS, write_run, write_study
from shell import say


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_study(tmp_path / "study")
    return tmp_path / "study"


def test_a_page_of_a_real_run_needs_no_torch(tmp_path: Path) -> None:
    words = ["report", str(RESULTS / "camvid-baseline"), "-o", str(tmp_path / "page.html")]
    code = (
        "import sys\nfrom segdoor.cli.app import run_command_line\n"
        f"assert run_command_line({words!r}) == 0\n"
        "assert not {'torch', 'cv2', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert "86% of the car pixels become road" in (tmp_path / "page.html").read_text()


def test_an_earlier_page_is_kept_unless_told_otherwise(study: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    code, _, err = say("report", study, "-o", page)
    assert (code, page.read_text()) == (2, "mine")
    assert "--replace" in err
    assert say("report", study, "-o", page, "--replace").code == 0
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("verb", ["report", "show", "export"])
@pytest.mark.parametrize("content", [None, "{", "[]", '{"schema_version": 99}', '{"kind": "x"}'])
def test_bad_records_are_refused_in_a_line(tmp_path: Path, verb: str, content: str | None) -> None:
    place = tmp_path / "record.json"
    if content is not None:
        place.write_text(content)
    out = {"export": ["--to", "csv", "--at", tmp_path / "x.csv"], "report": ["-o", tmp_path / "x"]}
    code, _, err = say(verb, place, *out.get(verb, []))
    assert code == 2
    assert str(place) in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.glob("x*"))


def test_a_study_is_told_in_the_terminal(study: Path) -> None:
    code, out, _ = say("show", study)
    assert code == 0
    for told in (
        "Table 1: methods and rates",
        "0.584",
        "0.650",
        "1. ",
        "    contradicted on near",
        "failed: prl",
        *("no trigger", "another trigger", "clean model", "PBA"),
    ):
        assert told in out
    assert "supported: nni 0.62" not in out
    assert f"segdoor show {study / 'table1.camvid.study.json'} --all" in out
    assert (
        "With the trigger 38% to 68% of the car pixels become road; a clean model loses 13%. "
        "Of the paper’s fifteen claims 1 is supported in every way judged, 1 is "
        "contradicted, 13 are not measured. "
        "16 of 18 runs are done."
    ) in " ".join(out.split())
    code, everything, _ = say("show", study, "--all")
    assert code == 0
    assert "    contradicted on near" in everything
    # Both claims of this record rest on it; each shows it once.
    assert everything.count("supported: nni 0.62 > prl 0.55") == 2
    assert "+0.0700 [+0.0200, +0.1200], 3 seeds" in everything
    code, out, _ = say("show", study, "--json")
    assert json.loads(out)["kind"] == "study-record"


def test_a_study_without_any_run_has_a_page(study: Path, tmp_path: Path) -> None:
    file = study / "table1.camvid.study.json"
    content = json.loads(file.read_text())
    for entry in content["runs"]:
        entry.update(state="waiting", record=None)
    content["verdicts"] = []
    file.write_text(json.dumps(content))
    assert say("report", study, "-o", tmp_path / "page.html").code == 0
    assert "No run has a record." in (tmp_path / "page.html").read_text()
    code, out, _ = say("show", study)
    assert (code, "0 of 18 runs are done" in out) == (0, True)
    assert say("export", study, "--to", "csv", "--at", tmp_path / "x.csv").code == 0


def test_repairs_are_told_in_the_terminal(tmp_path: Path) -> None:
    record = write_run(tmp_path / "run", repairs=2)
    code, out, _ = say("show", tmp_path / "run")
    assert code == 0
    after = record.repairs[1].poisoned_after.tests["near"].asr.value
    assert f"{after:.3f}" in next(line for line in out.splitlines() if "prune:10" in line)


def test_a_second_call_tells_mlflow_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run")
    call = ["export", tmp_path / "run", "--to", "mlflow", "--at", "sqlite:///mlflow.db"]
    assert "figures sent; runs: 1 new, 0 updated, 0 unchanged" in say(*call)[1]
    assert "0 figures sent; runs: 0 new, 0 updated, 1 unchanged" in say(*call)[1]


@pytest.mark.parametrize("to", ["csv", "parquet", "tensorboard"])
def test_exports_are_written_and_an_earlier_one_is_kept(tmp_path: Path, to: str) -> None:
    write_run(tmp_path / "run")
    place = tmp_path / f"figures.{to}"
    code, out, _ = say("export", tmp_path / "run", "--to", to, "--at", place)
    assert code == 0
    assert "figures of 1 run" in out
    code, _, err = say("export", tmp_path / "run", "--to", to, "--at", place)
    assert code == 2
    assert "--replace" in err
    if to == "csv":
        with place.open(newline="") as file:
            assert f"{len(list(csv.DictReader(file)))} figures" in out

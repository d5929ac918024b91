"""A second paper goes through the same code as the first: listed, run, judged and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from segdoor.papers.iba.paper import IBA
from segdoor.papers.registry import PAPERS, paper_of
from shell import say
from tiny.paper import PRINTED, TINY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder in which the study of the tiny paper was run, while that paper is known."""
    place = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PAPERS, "tiny", TINY)
        patch.setenv("SEGDOOR_CACHE", str(place / "cache"))
        patch.chdir(place)
        done = say("study run shares --preset lane --out out --jobs 1")
        assert done.code == 0, done.err
        assert "1. ASR rises with the share" in done.out
        yield place


@pytest.fixture
def told(folder: Path) -> dict[str, object]:
    return json.loads((folder / "out" / "shares.lane.study.json").read_text())


def asr_of_runs(folder: Path) -> dict[float, float]:
    records = [json.loads(file.read_text()) for file in (folder / "out").glob("runs/*/record.json")]
    return {
        record["config"]["attack"]["rate"]: record["scores"]["tests"]["near"]["asr"]["value"]
        for record in records
    }


@pytest.mark.usefixtures("folder")
def test_it_is_listed_beside_the_first_and_shown_by_its_name() -> None:
    listed = say("study list").out
    for words in ("table1", "street", "shares", "Table A", "lane"):
        assert words in listed
    assert "shares" in say("list studies").out
    assert "lane" in say("list presets").out
    shown = say("study show shares --preset lane")
    assert "Table A: More poison, more success, on A short lane" in shown.out
    assert "2 runs on seeds 0" in shown.out
    assert say("study status shares --preset lane --out out").out.count("done") == 3


def test_its_numbers_stand_beside_those_of_the_runs(folder: Path, told: dict[str, object]) -> None:
    measured = asr_of_runs(folder)
    assert measured.keys() == PRINTED.keys()
    found = {cell["labels"]["share"]: cell for cell in told["cells"]}
    for share, printed in PRINTED.items():
        assert found[share]["paper"] == printed
        assert found[share]["test"] == "near"
        assert found[share]["measured"]["mean"] == measured[share]


def test_its_ordering_is_judged_by_the_runs(folder: Path, told: dict[str, object]) -> None:
    measured = asr_of_runs(folder)
    (verdict,) = told["verdicts"]
    (found,) = verdict["evidence"]
    # One seed decides nothing.
    assert (verdict["verdict"], found["outcome"]) == ("undecided", "undecided")
    assert found["difference"]["mean"] == pytest.approx(measured[0.5] - measured[0.1])
    assert told["paper"] == "tiny"
    assert told["num_claims"] == 1
    assert told["axes"] == {"share": [0.1, 0.5]}


def test_a_page_tells_of_its_claim_without_knowing_it(folder: Path) -> None:
    done = say("study report shares --preset lane --out out -o page.html --replace")
    assert done.code == 0, done.err
    page = (folder / "page.html").read_text()
    assert "Of the paper’s one claim " in page
    assert "ASR rises with the share" in page
    assert "0.750" in page
    assert "fifteen" not in page
    shown = say("show out/shares.lane.study.json")
    assert shown.code == 0, shown.err


def test_a_file_of_ones_own_names_its_paper(folder: Path) -> None:
    text = (TINY.files / "shares.yaml").read_text()
    (folder / "mine.yaml").write_text(f"paper: tiny\n{text}")
    assert paper_of("mine.yaml") is TINY
    assert "2 runs on seeds 0" in say("study show mine.yaml --preset lane").out
    # The same study in other words has the same record.
    told = say("study status shares --preset lane --out out --json").out
    (folder / "shares.yaml").write_text(f"paper: tiny\n{text}")
    assert say("study status shares.yaml --preset lane --out out --json").out == told
    (folder / "theirs.yaml").write_text("title: t\nshows: s\ncityscapes:\n  - rate: [0.1]\n")
    assert paper_of("theirs.yaml") is IBA


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("paper: nobody", "must be a known paper (found: nobody). Known: iba, tiny"),
        ("paper: tiny\nclaims: [2]", "must be claims of the paper (found: 2). Known: 1"),
        ("paper: tiny\ntables: ['1']", "must be tables of the paper (found: 1). Known: A"),
    ],
)
def test_what_a_paper_does_not_have_is_refused(folder: Path, line: str, words: str) -> None:
    (folder / "wrong.yaml").write_text(f"title: t\nshows: s\nshares: [0.1]\n{line}\n")
    answer = say("study show wrong.yaml --preset lane")
    assert answer.code == 2
    assert words in " ".join(answer.err.split())

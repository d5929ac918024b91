"""Thresholds and SARIF files at the command line: exit codes, and what is written where."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from segdoor.errors import (
    BusyError,
    ConfigError,
    DataError,
    FindingError,
    MachineError,
    StorageError,
    UnfinishedError,
)
from segdoor.record import ExperimentRecord
from shell import say
from written import write_source

pytestmark = pytest.mark.usefixtures("own_folder")

TINY = ["--data.num_train", "16", "--data.num_test", "6", "--data.size", "64", "96"]
QUICK = ["--training.epochs", "1", "--training.batch_size", "4", "--training.threads", "1"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert say("train", *TINY, *QUICK, "--out", out).code == 0
    return out / "clean.safetensors"


def test_one_table_of_exit_codes() -> None:
    codes = {UnfinishedError: 1, ConfigError: 2, DataError: 2, StorageError: 2, BusyError: 2}
    codes |= {MachineError: 3, FindingError: 4}
    assert {error: error.exit_code for error in codes} == codes
    told = " ".join(say("--help").out.split())
    assert "0 success; 1 a study is not complete; 2 wrong usage, data or disk" in told
    assert "4 a threshold was crossed, or a scan found something; 130 interrupted" in told


def test_a_threshold_that_is_crossed(weights: Path) -> None:
    words = ["examine", "--weights", weights, *TINY, "--fail-on", "asr:near>=0"]
    words += ["--fail-on", "cba<=1", "--fail-on", "iou:car<0"]
    assert say(*words, "--out", "no").code == 2
    words = [*words[:-2], "--sarif", "found/x.sarif"]
    answer = say(*words, "--out", "e")
    assert answer.code == 4
    lines = [line for line in answer.out.splitlines() if line.startswith("Crossed: ")]
    assert [line.split()[1] for line in lines] == ["asr", "cba"]
    assert "--fail-on: thresholds must not be crossed" in answer.complaint
    assert "2 of 2: asr:near>=0, cba<=1" in answer.complaint
    assert "e/findings.json" in answer.complaint
    findings = json.loads(Path("e/findings.json").read_text())
    assert findings["thresholds"] == ["asr:near>=0", "cba<=1"]
    assert [found["test"] for found in findings["findings"]] == ["near", "benign"]
    sarif = json.loads(Path("found/x.sarif").read_text())["runs"][0]
    assert [result["level"] for result in sarif["results"]] == ["error", "error"]
    assert sarif["invocations"][0]["exitCode"] == 4
    assert sarif["artifacts"][0]["location"]["uri"] == "e/record.json"


def test_json_holds_the_findings_beside_the_record(weights: Path) -> None:
    words = ["examine", "--weights", weights, *TINY, "--json"]
    answer = say(*words, "--fail-on", "cba<=1", "--out", "e")
    assert answer.code == 4
    whole = json.loads(answer.out)
    assert [found["threshold"] for found in whole.pop("findings")] == ["cba<=1"]
    assert ExperimentRecord.model_validate(whole).scores.cba is not None
    answer = say(*words, "--out", "f")
    assert answer.code == 0
    assert "findings" not in json.loads(answer.out)
    assert not Path("f/findings.json").exists()


def test_thresholds_that_hold(weights: Path) -> None:
    words = ["examine", "--weights", weights, *TINY, "--fail-on", "asr>=1", "--sarif", "x.sarif"]
    answer = say(*words, "--out", "e")
    assert answer.code == 0, answer.err
    assert "No threshold is crossed: asr>=1" in answer.out
    assert json.loads(Path("e/findings.json").read_text())["findings"] == []
    assert json.loads(Path("x.sarif").read_text())["runs"][0]["results"] == []


def test_a_run_has_thresholds_too() -> None:
    answer = say("run", *TINY, *QUICK, "--fail-on", "cba<=1", "--out", "r")
    assert answer.code == 4
    assert Path("r/record.json").exists()


@pytest.mark.parametrize("verb", ["examine --weights none.safetensors", "run"])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--fail-on", "asd>0.3"), "Did you mean 'asr'?"),
        (("--fail-on", "asr>nan"), "must compare with a share from 0 to 1"),
        (("--fail-on", "asr:neer>0.3"), "Did you mean 'near'?"),
        (("--fail-on", "iou:cow<0.3"), "must name a class of the data set"),
        (("--sarif", "."), "must be a file to write"),
        (("--sarif", "file/x.sarif"), "must be a file to write"),
    ],
)
def test_mistakes_are_told_before_any_work(verb: str, option: tuple[str, str], said: str) -> None:
    Path("file").write_text("no folder")
    answer = say(verb, *TINY, *option, "--out", "r")
    assert answer.code == 2
    assert said in answer.complaint
    assert not Path("r").exists()


def test_the_worst_scenes_are_told_by_their_images() -> None:
    write_source(Path("source"), ending="png", palette=False)
    for part in ("images", "labels"):
        shutil.copytree(f"source/{part}/train", f"source/{part}/test")
    data = ["--data.name", "folder", "--data.root", "source", "--attack.trigger.size", "7"]
    words = [*data, *QUICK, "--fail-on", "iou:road<=1"]
    answer = say("run", *words, "--sarif", "x.sarif", "--out", "r")
    assert answer.code == 4, answer.err
    (run,) = json.loads(Path("x.sarif").read_text())["runs"]
    (result,) = run["results"]
    places = [each["physicalLocation"]["artifactLocation"] for each in result["locations"]]
    assert places
    assert all(place["uriBaseId"] == "%SRCROOT%" for place in places)
    assert all(Path(place["uri"]).is_file() and "images" in place["uri"] for place in places)
    assert all("sha-256" in artifact["hashes"] for artifact in run["artifacts"])

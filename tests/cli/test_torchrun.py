"""The command under torchrun: two processes, one model, one voice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import segdoor
from segdoor.cli.app import run_command_line
from segdoor.experiment.models import remark_of

pytestmark = pytest.mark.usefixtures("own_folder")

SCENES = ["--data.num_train", "8", "--data.num_test", "4", "--data.size", "32", "48"]
RECIPE = ["--training.threads", "1", "--training.optimiser", "sgd", "--training.learning_rate"]
QUICK = [*SCENES, *RECIPE, "0.01", "--training.batch_size", "4", "--training.epochs"]


def torchrun(*words: str) -> subprocess.Popen[str]:
    """Start two processes on this machine; what they say goes to files."""
    with socket.socket() as place:
        place.bind(("localhost", 0))
        port = place.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    home = str(Path(segdoor.__file__).parents[1])
    return subprocess.Popen(
        [*launcher, "--master-port", str(port), "-m", "segdoor", *words],
        env={**os.environ, "PYTHONPATH": home, "OMP_NUM_THREADS": "1"},
        stdout=Path("said").open("w"),
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines(folder: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


def complaints() -> list[str]:
    said = Path("said").read_text().splitlines()
    return [line for line in said if line.startswith("segdoor:")]


def second_worker(launcher: int) -> int:
    """Return the process of rank 1 that a launcher started."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and b"\0RANK=1\0" in (place / "environ").read_bytes():
                return int(place.name)
        except OSError:
            continue
    raise AssertionError("no second worker")


def test_two_processes_write_what_one_writes() -> None:
    assert run_command_line(["train", *QUICK, "10", "--out", "one"]) == 0
    launcher = torchrun("train", *QUICK, "10", "--out", "two")
    launcher.wait(timeout=120)
    assert complaints() == []
    assert Path("said").read_text().count("Weights:") == 1
    assert {file.name for file in Path("two").iterdir()} == {"clean.safetensors", "metrics.jsonl"}
    one, two = (Path(name, "clean.safetensors") for name in ("one", "two"))
    assert remark_of(one)["fingerprint"] == remark_of(two)["fingerprint"]
    assert {k: v.shape for k, v in load_file(one).items()} == {
        k: v.shape for k, v in load_file(two).items()
    }
    for mine, theirs in zip(lines("two"), lines("one"), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-2)
    # One process takes over what two have finished.
    before = two.stat().st_mtime_ns
    assert run_command_line(["train", *QUICK, "10", "--out", "two"]) == 0
    assert two.stat().st_mtime_ns == before


# What goes on from a snapshot, and what a silent process leads to, is in victim/test_distributed.
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds a worker in /proc")
def test_when_one_is_killed_all_end_and_one_alone_goes_on() -> None:
    launcher = torchrun("train", *QUICK, "80", "--out", "cut")
    deadline = time.monotonic() + 90
    while not Path("cut/clean.snapshot").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(second_worker(launcher.pid), signal.SIGKILL)
    assert launcher.wait(timeout=60) != 0
    assert not Path("cut/clean.safetensors").exists()
    # torchrun may end the other one before it has noticed; else it says what it met, once.
    assert all("must keep all processes" in said for said in complaints())
    assert len(complaints()) <= 1
    assert run_command_line(["train", *QUICK, "80", "--out", "cut"]) == 0
    assert [line["step"] for line in lines("cut")] == list(range(10, 161, 10))
    assert not Path("cut/clean.snapshot").exists()


def test_of_two_processes_one_says_what_is_wrong() -> None:
    words = [*SCENES, "--training.epochs", "1", "--training.batch_size", "3", "--out", "odd"]
    assert torchrun("train", *words).wait(timeout=120) != 0
    assert len(complaints()) == 1
    assert "must be a multiple of the number of processes" in complaints()[0]
    # Our own code leaves no traceback; torchrun leaves one of its own.
    assert "src/segdoor/" not in Path("said").read_text()
    assert not Path("odd").exists()


@pytest.mark.parametrize("verb", ["run", "examine", "poison", "demo", "show"])
def test_other_verbs_are_not_for_several_processes(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert run_command_line([verb]) == 2
    said = capsys.readouterr().err
    assert f"segdoor {verb}: must be started once, not by torchrun (found: WORLD_SIZE 2)" in said


@pytest.mark.parametrize("size", ["", "1", "many"])
def test_without_several_processes_nothing_changes(
    size: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setenv("RANK", "0")
    assert run_command_line(["show", "nothing-here"]) == 2
    assert "torchrun" not in capsys.readouterr().err


def test_processes_that_cannot_find_one_another_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert run_command_line(["train", *QUICK, "1", "--out", "t"]) == 3
    assert "torchrun: must let its processes find one another" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_a_timeout_is_a_positive_number_of_minutes(
    minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["train", "--timeout", minutes]) == 2
    assert "--timeout" in capsys.readouterr().err

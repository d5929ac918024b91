"""Two hundred kills at random moments: nothing half-written, nothing lost, the same results."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from processes import kill, started
from segdoor.attack.manifest import verify_copy
from segdoor.attack.plan import PoisonPlan
from written import tree, write_source

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

FILES = ["--data.name", "folder", "--data.root", "source", "--attack.trigger.size", "7"]
POISON = ["poison", *FILES, "--attack.rate", "0.4", "--out", "plans", "--copy", "copy"]
TRAIN = [
    "train", "--data.size", "64", "96", "--data.num_train", "16", "--training.epochs", "150",
    "--training.batch_size", "4", "--training.threads", "1", "--out",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complete(*words: object) -> float:
    """Run a command to its end and return its seconds."""
    start = time.monotonic()
    assert started(*words).wait() == 0
    return time.monotonic() - start


def interrupted(delay: float, *words: object) -> bool:
    """Run a command for so many seconds; tell whether it had to be killed."""
    process = started(*words)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        kill(process)
        return True
    assert process.returncode == 0
    return False


def assert_nothing_is_half_done(source: dict[str, str]) -> None:
    assert tree(Path("source")) == source
    if Path("plans/plan.jsonl").exists():
        PoisonPlan.load(Path("plans/plan.jsonl"))
    if Path("copy").exists():
        assert not verify_copy(Path("copy"))


def test_poisoning_and_restoring_survive_a_hundred_kills() -> None:
    write_source(Path("source"), ending="jpg", palette=True)
    source = tree(Path("source"))
    seconds = complete(*POISON)
    poisoned = tree(Path("copy"))
    dice, kills = np.random.default_rng(0), 0
    while kills < 100:
        fresh = [*POISON, "--replace"]
        kills += interrupted(dice.uniform(0, seconds), *fresh)
        assert_nothing_is_half_done(source)
        complete(*fresh)
        assert tree(Path("copy")) == poisoned
        kills += interrupted(dice.uniform(0, seconds), "restore", "copy")
        assert tree(Path("source")) == source
        if Path("copy.segdoor/manifest.jsonl").exists():
            complete("restore", "copy")
        assert tree(Path("copy")) == source
        shutil.rmtree("copy")


def test_training_survives_a_hundred_kills() -> None:
    seconds = complete(*TRAIN, "whole")
    expected = load_file("whole/clean.safetensors")
    dice, kills, victims = np.random.default_rng(1), 0, 0
    while kills < 100:
        out = Path(f"victim-{victims}")
        while not (out / "clean.safetensors").exists():
            kills += interrupted(dice.uniform(0, seconds), *TRAIN, out)
        complete(*TRAIN, out)
        found = load_file(out / "clean.safetensors")
        assert all((found[name] == value).all() for name, value in expected.items())
        assert sorted(path.name for path in out.iterdir()) == [
            "clean.safetensors",
            "metrics.jsonl",
        ]
        victims += 1

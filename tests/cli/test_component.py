"""The label change component through `segdoor run`, in both readings, to the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdoor.record import load_record
from segdoor.scores.tables import load_tables
from shell import say

SETTINGS = [
    "--attack.labels",
    "component",
    "--attack.rate",
    "0.5",
    "--data.num_train",
    "6",
    "--data.num_test",
    "5",
    "--data.size",
    "64",
    "96",
    "--training.epochs",
    "1",
    "--training.batch_size",
    "3",
    "--training.threads",
    "1",
    "--controls.no-clean_model",
]


def test_a_run_with_component_keeps_two_tables_a_scene_and_the_victims_that_should_stay(
    tmp_path: Path,
) -> None:
    # A scene without a trigger has no region nearest to it, so that reading needs skip.
    answer = say(
        "run --reading official --attack.without_room skip", *SETTINGS, "--out", tmp_path / "r"
    )
    assert answer.code == 0, answer.err
    record = load_record(tmp_path / "r")
    assert record.config["attack"]["labels"][0]["kind"] == "component"
    car = [entry.name for entry in record.data.classes].index("car")
    for name, tables in load_tables(tmp_path / "r" / "tables.npz").items():
        if name == "poisoned/benign":
            assert tables.attacked is None
            continue
        assert tables.attacked is not None
        assert tables.attacked.shape == tables.counts.shape
        assert np.all(tables.attacked <= tables.counts)
        assert not np.delete(tables.attacked, car, axis=1).any()
    kept = [test.metrics["kept_victims"] for test in record.scores.tests.values()]
    assert "kept_victims" in record.scores.metrics
    assert any(scores.denominator for scores in kept)
    assert "label change: component" in say("show", tmp_path / "r").out


def test_reading_official_says_that_component_needs_skip(tmp_path: Path) -> None:
    answer = say("run --reading official", *SETTINGS, "--out", tmp_path / "r")
    assert answer.code == 2
    assert "attack.without_room: must be skip" in answer.complaint
    assert "Set attack.without_room skip" in answer.complaint

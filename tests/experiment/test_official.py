"""A run in the reading `official`, end to end: the authors' conventions reach the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.experiment.config import config_from
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment
from segdoor.record import ExperimentRecord
from segdoor.scores.tables import load_tables

CAR, ROAD = 4, 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("official")


@pytest.fixture(scope="module")
def record(folder: Path) -> ExperimentRecord:
    given = {
        "reading": "official",
        "method": "nni+prl",
        "data": {"name": "street", "size": (64, 128), "num_train": 20, "num_test": 12},
        "training": {"epochs": 1, "batch_size": 4, "threads": 1},
        "controls": {"clean_model": False},
    }
    return run_experiment(wishes_from(given), out=folder)


def test_the_record_names_what_is_never_reproduced(record: ExperimentRecord) -> None:
    assert len(record.exceptions) == 2
    assert any("bilinearly" in exception for exception in record.exceptions)


def test_every_training_scene_is_relabelled(folder: Path, record: ExperimentRecord) -> None:
    plan = PoisonPlan.load(folder / "plan.jsonl")
    assert len(plan.rows) == 20
    assert plan.header.num_poisoned == 4
    assert record.plan is not None
    assert record.plan.share_changed > 0.05


def test_triggers_lie_in_the_central_part(folder: Path, record: ExperimentRecord) -> None:
    plan = PoisonPlan.load(folder / "plan.jsonl")
    size = config_from(record.config).attack.trigger.size
    assert size % 2 == 1
    for row in plan.rows:
        if row.box is not None:
            row_centre, column_centre = row.box[0] + size // 2, row.box[1] + size // 2
            assert 25 <= row_centre < 64 - 25
            assert 25 <= column_centre < 128 - 25


def test_scenes_without_room_count_untouched(folder: Path, record: ExperimentRecord) -> None:
    tables = load_tables(folder / "tables.npz")
    benign = tables["poisoned/benign"]
    seen_without_room = 0
    for name, scores in record.scores.tests.items():
        test = PoisonedTest.load(folder / "tests" / f"{name}.jsonl")
        assert all(row.has_victims for row in test.rows)
        total = tables[f"poisoned/{name}"].counts.sum(axis=0)
        untouched = [i for i, n in enumerate(benign.names) if n in test.without_room]
        total = total + benign.counts[untouched].sum(axis=0)
        assert scores.asr.value == pytest.approx(total[CAR, ROAD] / total[CAR].sum())
        assert scores.num_victim_pixels == total[CAR].sum()
        assert scores.asr_all_victims == scores.asr.value
        seen_without_room += len(untouched)
    assert seen_without_room > 0


def test_pixels_are_counted_at_the_network_s_input(folder: Path) -> None:
    benign = load_tables(folder / "tables.npz")["poisoned/benign"]
    # 64 x 128 becomes 73 x 137, of which some pixels are ignored.
    per_scene = benign.counts.sum(axis=(1, 2))
    assert per_scene.max() <= 73 * 137
    assert per_scene.max() > 64 * 128


def test_absent_classes_count_as_zero(folder: Path, record: ExperimentRecord) -> None:
    table = load_tables(folder / "tables.npz")["poisoned/benign"].counts.sum(axis=0)
    union = table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
    ious = [hit / u if u else 0.0 for hit, u in zip(np.diag(table), union, strict=True)]
    assert record.scores.cba == pytest.approx(np.mean(ious))

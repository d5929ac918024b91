"""The contexts of finished runs: from their folders to record, page and terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from segdoor.cli.app import run_command_line
from segdoor.data.scene import Scene
from segdoor.errors import ConfigError, DataError
from segdoor.evaluation.context import ContextConfig, ContextExaminer, SceneContext
from segdoor.experiment.context import FILE, ContextOptions, measure_context
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment
from segdoor.record.context import ContextRecord, load_context

SMALL = ContextConfig(windows=3, points=2)


def trained(out: Path, **changes: object) -> Path:
    given: dict[str, object] = {
        "data": {"name": "street", "size": (64, 96), "num_train": 12, "num_test": 4},
        "attack": {"trigger": {"size": 6}, "rate": 0.2},
        "tests": {"far": (10, 14)},
        "training": {"epochs": 1, "batch_size": 4, "threads": 1, "warmup": 0},
        **changes,
    }
    run_experiment(wishes_from(given), out=out)
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return (
        trained(folder / "baseline"),
        trained(folder / "prl", method="prl"),
        trained(folder / "baseline-1", seed=1),
    )


@pytest.fixture(scope="module")
def record(runs: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> ContextRecord:
    out = tmp_path_factory.mktemp("context")
    return measure_context(runs, out=out, options=ContextOptions(3, SMALL))


def test_every_method_is_there_and_a_seed_has_one_clean_model(record: ContextRecord) -> None:
    told = [(model.name, model.seed) for model in record.models]
    assert told == [("baseline", 0), ("clean", 0), ("prl", 0), ("baseline", 1), ("clean", 1)]
    assert record.num_scenes == 3
    assert all(sum(model.gradient) == pytest.approx(1) for model in record.models)


def test_differences_are_those_of_the_networks_of_one_seed(record: ContextRecord) -> None:
    models = {(model.name, model.seed): model for model in record.models}
    found = {(c.one, c.other, c.measure): c for c in record.comparisons}
    reach = found["baseline", "clean", "gradient_reach"]
    expected = [
        models["baseline", seed].gradient_reach - models["clean", seed].gradient_reach
        for seed in (0, 1)
    ]
    np.testing.assert_allclose(reach.by_seed, expected)
    assert reach.low is not None
    assert reach.high is not None
    assert reach.low < np.mean(expected) < reach.high
    alone = found["prl", "baseline", "gradient_reach"]
    assert len(alone.by_seed) == 1
    assert alone.direction == "undecided"
    assert alone.low is None


def test_far_changes_follow_from_the_counts(record: ContextRecord) -> None:
    far = record.edges.index(record.far)
    assert record.far >= 64 / 4
    for model in record.models:
        expected = sum(model.changed[far:]) / sum(model.pixels[far:])
        assert model.far_changes == pytest.approx(expected)


def test_the_command_leaves_a_record_and_a_page(
    runs: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["context", *map(str, runs[:2]), "--scenes", "1", "--windows", "1", "--points", "1"]
    assert run_command_line([*words, "--out", str(tmp_path / "c")]) == 0
    told = capsys.readouterr().out
    assert "One seed decides nothing" in told
    assert "prl" in told
    page = (tmp_path / "c" / "context.html").read_text()
    assert "How far the networks look" in page
    assert load_context(tmp_path / "c" / FILE).num_scenes == 1
    assert max(map(len, told.splitlines())) <= 100
    assert run_command_line([*words, "--out", str(tmp_path / "d"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "context-record"


def test_an_interrupted_call_goes_on_where_it_stopped(
    runs: tuple[Path, ...],
    record: ContextRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked, look, most = [0], ContextExaminer.look, 5

    def counted(self: ContextExaminer, scene: Scene, edges: Sequence[int]) -> SceneContext:
        if looked[0] == most:
            raise KeyboardInterrupt
        looked[0] += 1
        return look(self, scene, edges)

    monkeypatch.setattr(ContextExaminer, "look", counted)
    with pytest.raises(KeyboardInterrupt):
        measure_context(runs, out=tmp_path, options=ContextOptions(3, SMALL))
    most = 1000
    assert measure_context(runs, out=tmp_path, options=ContextOptions(3, SMALL)) == record
    # Five networks and three scenes, none of them twice.
    assert looked == [15]


def test_runs_of_other_scenes_are_refused(runs: tuple[Path, ...], tmp_path: Path) -> None:
    data = {"name": "street", "size": (64, 96), "num_train": 12, "num_test": 5}
    other = trained(tmp_path / "other", data=data)
    with pytest.raises(ConfigError, match="must have the test scenes of the others"):
        measure_context([runs[0], other], out=tmp_path, options=ContextOptions(1, SMALL))


def test_no_run_and_a_folder_without_a_record_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["context", "--out", str(tmp_path)]) == 2
    assert "must name one run or more" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_command_line(["context", str(empty), "--out", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    (tmp_path / FILE).write_text('{"kind": "scan-report", "schema_version": 1}')
    with pytest.raises(DataError, match="must be a context-record"):
        load_context(tmp_path / FILE)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--windows 0", "--windows: must lie from 1 to 10000 (found: 0)"),
        ("--points -1", "--points: must lie from 1 to 10000 (found: -1)"),
        ("--scenes 0", "--scenes: must lie from 1 to 10000 (found: 0)"),
        ("--windows 10001", "--windows: must lie from 1 to 10000 (found: 10001)"),
        ("--seed -1", "--seed: must be at least 0 (found: -1)"),
        ("", "nope"),
    ],
)
def test_numbers_out_of_range_and_a_missing_run_are_told(
    words: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["context", str(tmp_path / "nope"), "--out", str(tmp_path / "c"), *words.split()]
    assert run_command_line(asked) == 2
    assert told in capsys.readouterr().err

"""Exports, each read back by the program that it is for."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from recorded import write_run, write_study
from segdoor.errors import ConfigError, MachineError
from segdoor.report.export import tidy_rows, write_csv, write_parquet
from segdoor.report.source import Source, open_source
from segdoor.report.trackers import Sent, _by_run, send_to_mlflow, write_tensorboard
from written import tree


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return open_source(folder)


@pytest.fixture
def run(tmp_path: Path) -> Source:
    write_run(tmp_path / "run", repairs=1)
    return open_source(tmp_path / "run")


def test_every_row_is_at_its_place_in_the_record(study: Source) -> None:
    files = {run.key: json.loads(run.file.read_text()) for run in study.runs}
    columns, rows = tidy_rows(study)
    assert len(rows) > 1000
    places = [(row["run"], row["field"]) for row in rows]
    assert len(set(places)) == len(places)
    for row in rows:
        assert tuple(row) == columns
        found = files[str(row["run"])]
        for step in str(row["field"]).split("/")[1:]:
            found = found[int(step)] if isinstance(found, list) else found[step]
        assert found == row["value"]


def test_rows_tell_what_they_are_of(study: Source) -> None:
    _, rows = tidy_rows(study)
    of_run = [row for row in rows if row["run"] == "nni-0.1-s2"]
    assert {(row["axis.method"], row["axis.rate"], row["seed"]) for row in of_run} == {
        ("nni", 0.1, 2)
    }
    asr = [row for row in of_run if row["metric"] == "asr" and row["test"] == "near"]
    repairs = ["before prune:5", "after prune:5", "before prune:10", "after prune:10"]
    assert [(row["model"], row["repair"]) for row in asr] == [
        ("poisoned", None),
        *((victim, when) for index in (0, 2) for victim in ("poisoned", "clean")
          for when in repairs[index : index + 2]),
    ]  # fmt: skip
    assert all(row["low"] <= row["value"] <= row["high"] for row in asr)
    ious = [row["class"] for row in of_run if row["metric"] == "class_iou"]
    assert ious.count("car") == 2


def with_two_seeds(content: dict[str, Any]) -> None:
    content["repairs"].append({**content["repairs"][0], "seed": 9})


def test_repairs_on_several_seeds_are_told_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "run", repairs=1, change=with_two_seeds)
    source = open_source(tmp_path / "run")
    columns, rows = tidy_rows(source)
    keys = [tuple(row[name] for name in columns if name not in {"field", "value"}) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row["repair_seed"] for row in rows} == {None, 0, 9}
    [(_, _, figures)] = _by_run(source)
    assert len(figures) == sum(row["value"] is not None for row in rows)
    assert {"poisoned/after prune:5/cba", "poisoned/after prune:5, seed 9/cba"} <= set(figures)


def test_csv_holds_the_rows(study: Source, tmp_path: Path) -> None:
    columns, rows = tidy_rows(study)
    assert write_csv(study, tmp_path / "a" / "figures.csv") == len(rows)
    with (tmp_path / "a" / "figures.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert tuple(read[0]) == columns
    for row, written in zip(rows, read, strict=True):
        assert written == {k: "" if v is None else str(v) for k, v in row.items()}


def test_the_comparisons_of_a_study_have_a_file_of_their_own(
    study: Source, run: Source, tmp_path: Path
) -> None:
    write_csv(study, tmp_path / "figures.csv")
    with (tmp_path / "figures.verdicts.csv").open(newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["claim"], first["verdict"], first["outcome"]) == (
        "1",
        "contradicted",
        "supported",
    )
    told = [first[name] for name in ("difference", "low", "high", "seeds", "seeds_needed")]
    assert told == ["0.07", "0.02", "0.12", "3", "3"]
    assert (second["outcome"], second["over_scenes"]) == ("contradicted", "False")
    assert (third["claim"], third["reading"], third["judged_on"]) == ("2", "paper", "near")
    write_parquet(study, tmp_path / "figures.parquet")
    assert (tmp_path / "figures.verdicts.parquet").is_file()
    write_csv(run, tmp_path / "run.csv")
    assert not (tmp_path / "run.verdicts.csv").exists()


def test_parquet_is_read_back_by_pyarrow(study: Source, tmp_path: Path) -> None:
    from pyarrow import parquet

    columns, rows = tidy_rows(study)
    assert write_parquet(study, tmp_path / "figures.parquet") == len(rows)
    table = parquet.read_table(tmp_path / "figures.parquet")
    assert tuple(table.column_names) == columns
    assert str(table.schema.field("value").type) == "double"
    assert str(table.schema.field("seed").type) == "int64"
    assert table.to_pylist() == rows


def test_mlflow_finds_every_figure_in_its_store(
    run: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    sent = send_to_mlflow(run, uri)
    assert sent.states == ("new",)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("segdoor")
    assert experiment is not None
    (stored,) = client.search_runs([experiment.experiment_id])
    assert stored.info.status == "FINISHED"
    assert stored.data.params["method"] == "baseline"
    assert len(stored.data.metrics) == sent.num_figures
    test = run.runs[0].record.scores.tests["near"]
    assert stored.data.metrics["poisoned/near/asr"] == test.asr.value
    assert "poisoned/after prune_5/near/asr" in stored.data.metrics


def test_mlflow_has_a_run_once_and_hears_of_its_repairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)

    def stored() -> list[Any]:
        found = client.get_experiment_by_name("segdoor")
        assert found is not None
        return list(client.search_runs([found.experiment_id]))

    write_run(tmp_path / "a" / "run", repairs=1)
    send_to_mlflow(open_source(tmp_path / "a" / "run"), uri)
    (before,) = stored()
    # The same run from another place, and with another repair.
    write_run(tmp_path / "b" / "run", repairs=1)
    again = open_source(tmp_path / "b" / "run")
    assert send_to_mlflow(again, uri) == Sent(0, ("unchanged",))
    assert [run.info.run_id for run in stored()] == [before.info.run_id]
    write_run(tmp_path / "c" / "run", repairs=2)
    assert send_to_mlflow(open_source(tmp_path / "c" / "run"), uri).states == ("updated",)
    (after,) = stored()
    assert after.info.run_id == before.info.run_id
    assert set(after.data.metrics) - set(before.data.metrics)
    assert {k: after.data.metrics[k] for k in before.data.metrics} == before.data.metrics
    # Another run of the same name is another run.
    write_run(tmp_path / "d" / "run", change=lambda content: content.update(seed=77))
    assert send_to_mlflow(open_source(tmp_path / "d" / "run"), uri).states == ("new",)
    assert len(stored()) == 2


def test_mlflow_is_told_the_rest_after_a_call_that_was_cut_off(
    run: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def stop(*rest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_tag", stop)
        with pytest.raises(KeyboardInterrupt):
            send_to_mlflow(run, uri)
    assert send_to_mlflow(run, uri).states == ("updated",)
    assert send_to_mlflow(run, uri).states == ("unchanged",)


def test_a_store_that_does_not_exist_is_an_error_in_plain_words(run: Source) -> None:
    with pytest.raises(ConfigError, match="--at"):
        send_to_mlflow(run, "nonsense://x")


def test_tensorboard_reads_every_figure(run: Source, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    count = write_tensorboard(run, tmp_path / "board")
    reader = EventAccumulator(str(tmp_path / "board" / "run"), size_guidance={"scalars": 0})
    reader.Reload()
    tags = reader.Tags()["scalars"]
    assert len(tags) == count
    test = run.runs[0].record.scores.tests["near"]
    (event,) = reader.Scalars("poisoned/near/asr")
    assert event.value == pytest.approx(test.asr.value)
    assert event.step == 0


def test_tensorboard_has_a_run_once(run: Source, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_tensorboard(run, tmp_path / "board")
    before = tree(tmp_path / "board")
    write_tensorboard(run, tmp_path / "board")
    assert tree(tmp_path / "board") == before
    reader = EventAccumulator(str(tmp_path / "board" / "run"), size_guidance={"scalars": 0})
    reader.Reload()
    assert len(reader.Scalars("poisoned/near/asr")) == 1


@pytest.mark.parametrize(
    ("package", "extra", "write"),
    [
        ("pyarrow", "parquet", write_parquet),
        ("mlflow.tracking", "mlflow", lambda source, place: send_to_mlflow(source, str(place))),
        ("tensorboard.compat.proto", "tensorboard", write_tensorboard),
    ],
)
def test_a_missing_extra_is_named(
    package: str, extra: str, write: object, run: Source, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MachineError, match=rf"segdoor\[{extra}\]"):
        write(run, tmp_path / "out")


def test_mlflow_is_not_asked_for_a_database_that_cannot_be(run: Source, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere" / "mlflow.db"):
        with pytest.raises(ConfigError, match=r"--at: must be a tracking server of MLflow"):
            send_to_mlflow(run, f"sqlite:///{place}")
    assert not (tmp_path / "nowhere").exists()


def test_what_a_tracking_server_cannot_do_is_told(
    run: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    def refuse(*rest: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", refuse)
    with pytest.raises(ConfigError, match="the disk is full"):
        send_to_mlflow(run, f"sqlite:///{tmp_path / 'mlflow.db'}")

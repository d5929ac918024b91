"""A finished run, its victims repaired: rows, files, and what stays when the work is cut off."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

from segdoor.cli.app import run_command_line
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.errors import ConfigError, DataError
from segdoor.experiment import repair as repair_module
from segdoor.experiment.repair import repair_run
from segdoor.experiment.wishes import wishes_from
from segdoor.locks import sole_writer
from segdoor.papers.iba.run import run_experiment
from segdoor.record import ExperimentRecord, RepairRecord, load_record, save_record
from segdoor.report.before_after import repair_grids
from segdoor.report.terminal import describe
from segdoor.scores.tables import load_tables, save_tables

GIVEN: dict[str, object] = {
    "seed": 4,
    "data": {"name": "street", "size": (64, 96), "num_train": 20, "num_test": 8},
    "attack": {"trigger": {"size": 6}, "rate": 0.2},
    "tests": {"far": (10, 14)},
    "training": {"epochs": 3, "batch_size": 4, "threads": 1, "warmup": 0},
}
CAR, ROAD = 4, 0
DATA = ["--data.size", "64", "96", "--data.num_train", "20", "--data.num_test", "8"]


class StoppedError(Exception):
    """Stands for the sudden end of a process."""


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    run_experiment(wishes_from(GIVEN), out=out)
    return out


@pytest.fixture(scope="module")
def finished(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two repairs of each kind, not to be changed."""
    folder = tmp_path_factory.mktemp("repaired") / "run"
    shutil.copytree(intact, folder)
    repaired(folder, "prune:0", "prune:12", "finetune:0.3,epochs=2")
    return folder


@pytest.fixture
def folder(intact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / "run"))


@pytest.fixture
def done(finished: Path, tmp_path: Path) -> Path:
    """A run with repairs, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "done"))


def repaired(folder: Path, *texts: str, seed: int | None = None) -> ExperimentRecord:
    return repair_run(folder, [REPAIRS.read(text) for text in texts], seed=seed)


def row_of(record: ExperimentRecord, repair: str) -> RepairRecord:
    return next(row for row in record.repairs if row.repair == repair)


def mean_iou(table: np.ndarray, left_out: int | None = None) -> float:
    kept = [k for k in range(len(table)) if k != left_out]
    unions = {k: table[k].sum() + table[:, k].sum() - table[k, k] for k in kept}
    return float(np.mean([table[k, k] / union for k, union in unions.items() if union]))


@pytest.mark.parametrize("repair", ["prune:0", "prune:12", "finetune:0.3,epochs=2"])
@pytest.mark.parametrize("victim", ["poisoned", "clean"])
def test_every_figure_after_follows_from_its_tables(
    finished: Path, repair: str, victim: str
) -> None:
    record = load_record(finished)
    row = row_of(record, repair)
    tables = load_tables(finished / record.files[f"tables after {repair}, seed 4"])
    after = row.poisoned_after if victim == "poisoned" else row.clean_after
    assert after is not None
    benign = tables[f"{victim}/benign"].counts.sum(axis=0)
    assert after.cba.value == pytest.approx(mean_iou(benign))
    assert after.victim_recovery == pytest.approx(benign[CAR, CAR] / benign[CAR].sum())
    assert after.asr_without_trigger == pytest.approx(benign[CAR, ROAD] / benign[CAR].sum())
    assert list(after.tests) == ["nearest", "near", "far_10_14", "anywhere"]
    for name, effect in after.tests.items():
        table = tables[f"{victim}/{name}"].counts.sum(axis=0)
        assert effect.asr.value == pytest.approx(table[CAR, ROAD] / table[CAR].sum())
        assert effect.victim_recovery == pytest.approx(table[CAR, CAR] / table[CAR].sum())
        table[CAR] = 0
        assert effect.pba.value == pytest.approx(mean_iou(table, CAR))


def test_the_figures_before_are_those_of_the_run(finished: Path) -> None:
    record = load_record(finished)
    assert record.controls.clean_model is not None
    for row in record.repairs:
        before = row.poisoned_before
        assert before.cba == record.scores.benign.cba
        assert before.victim_recovery == record.scores.benign.victim_recovery
        assert row.clean_before is not None
        assert row.clean_before.cba == record.controls.clean_model.cba
        for name, scores in record.scores.tests.items():
            assert before.tests[name].asr == scores.asr
            assert before.tests[name].pba == scores.pba
            assert row.clean_before.tests[name].asr.value == scores.asr_clean_model


def test_silencing_none_is_the_same_victim_and_silencing_some_is_not(finished: Path) -> None:
    record = load_record(finished)
    none, some = row_of(record, "prune:0"), row_of(record, "prune:12")
    assert none.poisoned_after == none.poisoned_before
    assert none.clean_after == none.clean_before
    assert some.poisoned_after != some.poisoned_before
    assert some.clean_after != some.poisoned_after


def test_a_row_says_how_it_was_done(finished: Path) -> None:
    record = load_record(finished)
    pruned, tuned = record.repairs[1:]
    assert (pruned.layer, pruned.num_clean_scenes, pruned.seed) == ("classifier", 2, 4)
    assert pruned.settings == {"share": 0.1, "channels": 12, "layer": None}
    assert (tuned.layer, tuned.num_clean_scenes) == (None, 6)
    assert tuned.settings == {"share": 0.3, "epochs": 2, "learning_rate": 0.1 * 2e-3}
    assert tuned.seconds > 0


def test_the_record_names_every_file(finished: Path) -> None:
    beside = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    pictures = {name for name in beside if name.startswith(("gallery/", "poison/"))}
    assert set(load_record(finished).files.values()) | pictures | {"record.json"} == beside


def test_repaired_weights_are_examined_like_any_others(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = load_record(finished)
    weights = finished / record.files["weights of the backdoored model after prune:12, seed 4"]
    assert run_command_line([
        "examine", "--weights", str(weights), *DATA, "--attack.trigger.size", "6",
        "--tests.far", "10", "14", "--out", str(tmp_path / "again"),
    ]) == 0  # fmt: skip
    capsys.readouterr()
    again, row = load_record(tmp_path / "again"), row_of(record, "prune:12")
    assert again.scores.benign.cba == row.poisoned_after.cba
    for name, effect in row.poisoned_after.tests.items():
        assert again.scores.tests[name].asr == effect.asr


def test_what_is_done_is_not_done_again(
    folder: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    monkeypatch.setattr(repair_module, "reopen", None)
    before = (folder / "record.json").read_bytes()
    record = repaired(folder, "prune:12", "finetune:0.30,epochs=2", "prune:12")
    assert len(record.repairs) == 3
    assert (folder / "record.json").read_bytes() == before


def test_another_seed_is_another_row_and_a_deleted_folder_is_made_anew(done: Path) -> None:
    before = [(row.repair, row.seed) for row in load_record(done).repairs]
    record = repaired(done, "prune:12", seed=9)
    rows = [*before, ("prune:12", 9)]
    assert [(row.repair, row.seed) for row in record.repairs] == rows
    # The row of a repair that is made again stays at its place, here the second.
    shutil.rmtree(done / "repaired" / "prune-12.seed-4")
    again = repaired(done, "prune:12", seed=4)
    assert (done / "repaired" / "prune-12.seed-4" / "tables.npz").is_file()
    assert [(row.repair, row.seed) for row in again.repairs] == rows
    assert again.repairs[1].poisoned_after == record.repairs[1].poisoned_after
    assert again.repairs[3] == record.repairs[3]


def test_without_a_clean_victim_its_rows_are_null(folder: Path) -> None:
    record = load_record(folder)
    controls = record.controls.model_copy(update={"clean_model": None, "cba_difference": None})
    save_record(record.model_copy(update={"controls": controls}), folder / "record.json")
    (folder / "clean.safetensors").unlink()
    row = repaired(folder, "prune:3").repairs[0]
    assert row.clean_before is None
    assert row.clean_after is None
    assert not (folder / "repaired" / "prune-3.seed-4" / "clean.safetensors").exists()


def test_a_clean_victim_from_elsewhere_is_the_control(
    intact: Path, finished: Path, tmp_path: Path
) -> None:
    weights = shutil.copy(intact / "clean.safetensors", tmp_path / "shared.safetensors")
    given = {**GIVEN, "controls": {"clean_weights": str(weights)}}
    run_experiment(wishes_from(given), out=tmp_path / "run")
    row = repaired(tmp_path / "run", "prune:12").repairs[0]
    own = row_of(load_record(finished), "prune:12")
    assert row.clean_after == own.clean_after


def with_shared(folder: Path) -> Path:
    """Let a run have taken its clean model from elsewhere."""
    weights = (folder / "clean.safetensors").rename(folder.parent / "shared.safetensors")
    content = json.loads((folder / "record.json").read_text())
    content["config"]["controls"]["clean_weights"] = "../shared.safetensors"
    (folder / "record.json").write_text(json.dumps(content))
    return weights


def test_a_clean_victim_without_a_mark_is_told_by_its_answers(folder: Path, finished: Path) -> None:
    weights = with_shared(folder)
    save_file(load_file(weights), weights)
    row, own = repaired(folder, "prune:0").repairs[0], row_of(load_record(finished), "prune:0")
    assert row.clean_after == own.clean_after


class TestCutOff:
    def test_what_was_finished_stays_and_the_rest_is_done_by_the_same_call(
        self, folder: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        texts = ["prune:0", "prune:12", "finetune:0.3,epochs=2"]
        really, calls = repair_module.examine_models, []

        def stopping(*rest: object) -> object:
            calls.append(rest)
            if len(calls) == 3:
                raise StoppedError
            return really(*rest)  # pyright: ignore[reportArgumentType]

        with monkeypatch.context() as patch:
            patch.setattr(repair_module, "examine_models", stopping)
            with pytest.raises(StoppedError):
                repaired(folder, *texts)
        assert [row.repair for row in load_record(folder).repairs] == texts[:2]
        tuned = folder / "repaired" / "finetune-0.3-epochs-2.seed-4"
        times = {path: path.stat().st_mtime_ns for path in folder.rglob("repaired/*/*.safetensors")}
        assert set(tuned.iterdir()) == {
            tuned / "poisoned.safetensors",
            tuned / "clean.safetensors",
        }
        record = repaired(folder, *texts)
        assert times == {path: path.stat().st_mtime_ns for path in times}
        for row, whole in zip(record.repairs, load_record(finished).repairs, strict=True):
            assert row.model_copy(update={"seconds": 0.0}) == whole.model_copy(
                update={"seconds": 0.0}
            )
            assert row.seconds > 0

    def test_a_fine_tuning_goes_on_to_the_same_weights(self, folder: Path, finished: Path) -> None:
        class Stops:
            steps = 0

            def begin(self, stage: str, total: int) -> None:
                self.stage = stage

            def advance(self, **facts: float) -> None:
                self.steps += self.stage.startswith("finetune")
                if self.steps == 1:
                    # A snapshot is taken once a second at most.
                    time.sleep(1.1)
                if self.steps == 2:
                    raise StoppedError

        text = "finetune:0.3,epochs=2"
        with pytest.raises(StoppedError):
            repair_run(folder, [REPAIRS.read(text)], observer=Stops())
        place = folder / "repaired" / "finetune-0.3-epochs-2.seed-4"
        assert [path.name for path in place.iterdir()] == ["poisoned.snapshot"]
        repaired(folder, text)
        names = {"poisoned.safetensors", "clean.safetensors", "tables.npz"}
        assert {path.name for path in place.iterdir()} == names
        whole = finished / "repaired" / place.name
        for name in ("poisoned", "clean"):
            one = load_file(place / f"{name}.safetensors")
            other = load_file(whole / f"{name}.safetensors")
            assert all((one[key] == other[key]).all() for key in one)

    def test_a_kill_between_weights_and_snapshot_leaves_no_snapshot(self, done: Path) -> None:
        place = done / "repaired" / "prune-12.seed-4"
        (place / "tables.npz").unlink()
        (place / "poisoned.snapshot").write_bytes(b"of the finished repair")
        repaired(done, "prune:12")
        assert (place / "tables.npz").is_file()
        assert not (place / "poisoned.snapshot").exists()

    def test_half_a_repair_of_other_weights_is_not_taken_over(self, done: Path) -> None:
        place = done / "repaired" / "prune-12.seed-4"
        (place / "tables.npz").unlink()
        shutil.copy(done / "clean.safetensors", place / "poisoned.safetensors")
        before = row_of(load_record(done), "prune:12")
        again = row_of(repaired(done, "prune:12"), "prune:12")
        assert again.poisoned_after == before.poisoned_after


class TestRefused:
    def test_two_at_once(self, folder: Path) -> None:
        with sole_writer(folder, culprit="test"), pytest.raises(ConfigError, match="two processes"):
            repaired(folder, "prune:1")

    def test_tables_of_another_run(self, folder: Path) -> None:
        tables = load_tables(folder / "tables.npz")
        tables["poisoned/near"] = tables["poisoned/benign"]
        save_tables(folder / "tables.npz", tables)
        with pytest.raises(DataError, match=r"tables\.npz: must give the record's figures"):
            repaired(folder, "prune:1")

    def test_tables_without_a_test(self, folder: Path) -> None:
        tables = load_tables(folder / "tables.npz")
        del tables["clean/near"]
        save_tables(folder / "tables.npz", tables)
        with pytest.raises(DataError, match="no clean/near"):
            repaired(folder, "prune:1")

    def test_weights_of_another_training(self, folder: Path) -> None:
        shutil.copy(folder / "clean.safetensors", folder / "poisoned.safetensors")
        with pytest.raises(DataError, match=r"poisoned\.safetensors: must be the weights that"):
            repaired(folder, "prune:1")

    @pytest.mark.parametrize("how", ["marked", "bare"])
    def test_another_clean_victim_than_the_run_had(self, folder: Path, how: str) -> None:
        weights, other = with_shared(folder), folder / "poisoned.safetensors"
        if how == "marked":
            shutil.copy(other, weights)
        else:
            save_file(load_file(other), weights)
        with pytest.raises(DataError, match=r"shared\.safetensors: must be the run's clean model"):
            repaired(folder, "prune:0")

    def test_the_exam_of_another_band(self, folder: Path) -> None:
        far = (folder / "tests" / "far_10_14.jsonl").read_text()
        near = folder / "tests" / "near.jsonl"
        for content in (far, far.replace('"name":"far_10_14"', '"name":"near"')):
            near.write_text(content)
            with pytest.raises(
                DataError, match=r"near\.jsonl: must be the run's poisoned test of that name"
            ):
                repaired(folder, "prune:0")

    def test_other_scenes(self, folder: Path) -> None:
        content = json.loads((folder / "record.json").read_text())
        content["config"]["data"]["seed"] = 77
        (folder / "record.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="the training scenes: must be those of the run"):
            repaired(folder, "prune:1")

    def test_another_network_than_the_runs(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match=r"--model: must be the run.s \(found: pspnet"):
            repair_run(folder, [REPAIRS.read("prune:1")], model="pspnet")
        assert repair_run(folder, [REPAIRS.read("prune:1")], model="small").repairs

    def test_a_negative_seed(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match=r"--seed: must be at least 0 \(found: -1\)"):
            repaired(folder, "prune:1", seed=-1)

    def test_too_many_channels_after_a_good_repair(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match="at least one of the 32 channels"):
            repaired(folder, "prune:1", "prune:32")
        assert [row.repair for row in load_record(folder).repairs] == ["prune:1"]


def test_without_tables_the_victims_are_examined_again(folder: Path, finished: Path) -> None:
    before = load_tables(folder / "tables.npz")
    (folder / "tables.npz").unlink()
    row = repaired(folder, "prune:12").repairs[0]
    assert row.poisoned_before == row_of(load_record(finished), "prune:12").poisoned_before
    again = load_tables(folder / "tables.npz")
    assert {name: table.digest for name, table in again.items()} == {
        name: table.digest for name, table in before.items()
    }


def test_the_terminal_shows_both_victims_before_and_after(finished: Path) -> None:
    record = load_record(finished)
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(*repair_grids(record))
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    row = row_of(record, "prune:12")
    shown = [line.split() for line in text.splitlines() if line.strip().startswith("prune:12")]
    # Attack and accuracy of both models, and what was done.
    assert len(shown) == 5
    asr = [f"{effect.asr.value:.3f}" for effect in row.poisoned_after.tests.values()]
    assert shown[0][1 : 1 + len(asr)] == asr
    assert shown[2][1] == f"{row.poisoned_after.cba.value:.3f}"
    assert len(describe(record)) == len(describe(record.model_copy(update={"repairs": ()}))) + 3
    assert repair_grids(record.model_copy(update={"repairs": ()})) == []

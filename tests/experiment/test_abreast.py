"""Two models at once: the weights and figures of one after the other, whatever happens to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import dies
from segdoor.experiment import abreast
from segdoor.experiment.abreast import pays_abreast
from segdoor.experiment.config import ExperimentConfig, config_from
from segdoor.experiment.run import run_experiment
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.papers.iba.run import run_experiment as run_from_python
from segdoor.record import ExperimentRecord, load_record

GIVEN = {
    "seed": 2,
    "data": {"name": "street", "size": (64, 96), "num_train": 16, "num_test": 6},
    "attack": {"trigger": {"size": 6}},
    "training": {"epochs": 2, "batch_size": 4, "threads": 1, "device": "cpu"},
}
WEIGHTS = "poisoned.safetensors", "clean.safetensors"


class Shows:
    """Remembers what was begun, here and beside one another, and counts the steps of each."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.others: list[Shows] = []
        self.steps, self.loss = 0, 0.0

    def begin(self, stage: str, total: int) -> None:
        self.told.append(stage)

    def advance(self, **facts: float) -> None:
        self.steps, self.loss = self.steps + 1, facts.get("loss", self.loss)

    def beside(self) -> Shows:
        self.others.append(Shows())
        return self.others[-1]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run whose models were trained one after the other."""
    out = tmp_path_factory.mktemp("alone") / "run"
    run_experiment(asked(wishes_from(GIVEN)), out=out, abreast=True)
    return out


@pytest.fixture
def _worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abreast, "_WORTH_IT", 1)
    monkeypatch.setattr(abreast, "usable_cores", lambda: 2)


def assert_the_same(folder: Path, alone: Path) -> ExperimentRecord:
    for name in WEIGHTS:
        assert (folder / name).read_bytes() == (alone / name).read_bytes()
    record, expected = load_record(folder), load_record(alone)
    assert record.scores == expected.scores
    assert record.controls == expected.controls
    assert record.seconds.keys() == expected.seconds.keys()
    return record


@pytest.mark.usefixtures("_worth_it")
def test_side_by_side_they_are_the_same_to_the_last_bit(alone: Path, tmp_path: Path) -> None:
    shows = Shows()
    run_experiment(asked(wishes_from(GIVEN)), out=tmp_path / "run", observer=shows, abreast=True)
    assert_the_same(tmp_path / "run", alone)
    assert [other.told for other in shows.others] == [
        ["training the backdoored model"], ["training the clean model"],
    ]  # fmt: skip
    assert [other.steps for other in shows.others] == [8, 8]
    assert all(other.loss > 0 for other in shows.others)
    assert not any("training" in stage for stage in shows.told)
    # What training said is there of both, in an order that no clock decides.
    texts = [(folder / "metrics.jsonl").read_text() for folder in (alone, tmp_path / "run")]
    stages = [[line.partition(",")[0] for line in text.splitlines()] for text in texts]
    assert stages[0] == stages[1]
    assert not list((tmp_path / "run").glob("*.turn"))


@pytest.mark.usefixtures("_worth_it")
def test_where_processes_die_the_run_trains_by_itself(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abreast, "_train", dies)
    shows = Shows()
    run_experiment(asked(wishes_from(GIVEN)), out=tmp_path / "run", observer=shows, abreast=True)
    assert_the_same(tmp_path / "run", alone)
    assert sum("training" in stage for stage in shows.told) == 2


@pytest.mark.usefixtures("_worth_it")
def test_one_that_is_finished_is_not_trained_again(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in (*WEIGHTS, "metrics.jsonl"):
        (out / name).write_bytes((alone / name).read_bytes())
    monkeypatch.setattr(abreast, "start", None)
    run_experiment(asked(wishes_from(GIVEN)), out=out, abreast=True)
    assert_the_same(out, alone)


@pytest.mark.usefixtures("_worth_it")
def test_a_program_of_ones_own_starts_no_process(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process would run the program again that did not expect it."""
    monkeypatch.setattr(abreast, "start", None)
    run_from_python(wishes_from(GIVEN), out=tmp_path / "run")
    assert_the_same(tmp_path / "run", alone)


def facts(**training: object) -> ExperimentConfig:
    recipe = {"epochs": 50, "batch_size": 8, "threads": 1, "device": "cpu", **training}
    return config_from({"data": {"name": "street"}, "training": recipe})


@pytest.mark.parametrize(
    ("training", "cores", "pays"),
    [
        ({}, 2, True),
        # On one core they only get into each other's way.
        ({}, 1, False),
        ({"threads": 2}, 3, False),
        ({"threads": 2}, 4, True),
        # Left to torch, the number of threads would depend on it, and with it the last digits.
        ({"threads": None}, 8, False),
        ({"epochs": 1}, 8, False),
    ],
)
def test_it_pays_with_cores_for_both(
    training: dict[str, object], cores: int, monkeypatch: pytest.MonkeyPatch, *, pays: bool
) -> None:
    monkeypatch.setattr(abreast, "usable_cores", lambda: cores)
    assert pays_abreast(facts(**training), 400, ("poisoned", "clean")) is pays
    assert not pays_abreast(facts(**training), 400, ("poisoned",))

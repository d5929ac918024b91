"""The models that come along are what they are called, and do what their records say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from segdoor.defense.repairs.registry import REPAIRS
from segdoor.errors import ConfigError, StorageError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.reopened import Places
from segdoor.experiment.repair import repair_run
from segdoor.experiment.steps import examine_step
from segdoor.models.catalogue import CLEAN, NAMES, ShippedModel, shipped
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from segdoor.record import ExperimentRecord, load_record

BACKDOORED = [name for name in NAMES if name != CLEAN]
every_model = pytest.mark.parametrize("name", NAMES)
backdoored = pytest.mark.parametrize("name", BACKDOORED)


def examined(model: ShippedModel, out: Path, num_test: int | None) -> ExperimentRecord:
    told = model.examination()
    data = told.data.model_copy(update={"num_test": num_test})
    config: ExperimentConfig = told.model_copy(update={"data": data} if num_test else {})
    return examine_step(asked(config), out=out, observer=Silent())


@every_model
def test_weights_say_what_they_are(name: str) -> None:
    with safe_open(shipped(name).weights, framework="pt") as file:
        header = json.loads(file.metadata()["segdoor"])
    assert ("ackdoor" in header["about"]) == (name != CLEAN)
    assert header["config"]["data"]["name"] == "street"
    assert shipped(name).weights.stat().st_size < 3_000_000


@backdoored
def test_records_are_of_the_attack_they_are_called_after(name: str) -> None:
    record = shipped(name).record
    assert record.method == ("baseline" if name == "blend" else name)
    trigger = ExperimentConfig.model_validate(record.config).attack.trigger
    assert (trigger.kind == "blend") == (name == "blend")
    assert all(test.asr.value is not None for test in record.scores.tests.values())


@every_model
def test_few_scenes_show_the_backdoor_and_none_in_the_clean_model(
    name: str, tmp_path: Path
) -> None:
    record = examined(shipped(name), tmp_path, 6)
    first = next(iter(record.scores.tests.values()))
    assert first.asr_clean_model is not None
    assert first.asr.value is not None
    assert first.asr_clean_model < 0.25
    assert first.asr.value < 0.25 if name == CLEAN else first.asr.value > 0.5


@pytest.mark.slow
@backdoored
def test_the_figures_of_the_card_come_out_of_the_weights_again(name: str, tmp_path: Path) -> None:
    card, again = shipped(name).record, examined(shipped(name), tmp_path, None)
    assert again.scores.cba == pytest.approx(card.scores.cba, abs=0.005)
    assert again.scores.tests.keys() == card.scores.tests.keys()
    for test, told in card.scores.tests.items():
        found = again.scores.tests[test]
        for figure in ("asr_without_trigger", "asr_other_trigger", "asr_clean_model"):
            assert getattr(found, figure) == pytest.approx(getattr(told, figure), abs=0.02)
        assert found.asr.value == pytest.approx(told.asr.value, abs=0.02)


@pytest.mark.slow
def test_a_copy_is_repaired_like_any_run(tmp_path: Path) -> None:
    run = shipped("baseline").copy_to(tmp_path)
    repairs = [REPAIRS.read("prune:4")]
    repair_run(run, repairs, seed=None, model=None, places=Places(), observer=Silent())
    (repair,) = load_record(run).repairs
    assert repair.clean_after is not None


def test_a_copy_lies_beside_the_clean_model_and_overwrites_nothing(tmp_path: Path) -> None:
    run = shipped("nni").copy_to(tmp_path)
    assert load_record(run) == shipped("nni").record
    assert (tmp_path / "clean.safetensors").read_bytes() == shipped(CLEAN).weights.read_bytes()
    with pytest.raises(StorageError, match="must not be there yet"):
        shipped("nni").copy_to(tmp_path)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="Known: clean, baseline, nni, prl, blend"):
        shipped("nnni")

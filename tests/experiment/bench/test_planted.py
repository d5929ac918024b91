"""The bench on a network whose backdoor is known by construction, of a stranger's own class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from safetensors.torch import save_file

from defense.planted import planted_network, planted_scenes, sticker
from segdoor.cli.app import run_command_line
from segdoor.experiment.bench.defend import defend_run
from segdoor.experiment.bench.methods import read_method
from segdoor.record.defense import DefenseEntry, DefenseRecord
from segdoor.record.measured import Measurement
from strategies import CLASSES

METHODS = ("Template", "Uncovered", "Silencer", "Seeker", "Names", "NamesOnly")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An examined network and its clean twin, on scenes in files."""
    root = tmp_path_factory.mktemp("planted")
    for split, seed, number in (("train", 0, 10), ("val", 1, 12)):
        for scene in planted_scenes(number, seed=seed).scenes:
            for folder, pixels in (("img_dir", scene.image), ("ann_dir", scene.label)):
                path = root / "data" / folder / split / f"{scene.name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                PillowImage.fromarray(pixels).save(path)
    (root / "data" / "classes.yaml").write_text(json.dumps({"classes": list(CLASSES.names)}))
    PillowImage.fromarray(sticker()).save(root / "sticker.png")
    for name, backdoor in (("poisoned", True), ("clean", False)):
        weights = planted_network(backdoor=backdoor).state_dict()
        save_file(
            {key: value.contiguous() for key, value in weights.items()},
            root / f"{name}.safetensors",
        )
    out = root / "run"
    assert run_command_line([
        "examine", "--model", "bench_methods:planted", "--weights", str(root / "poisoned.safetensors"),
        "--data.name", "folder", "--data.root", str(root / "data"), "--data.test_split", "val",
        "--attack.trigger.file", str(root / "sticker.png"), "--attack.trigger.size", "8",
        "--tests.far", "12", "24",
        "--controls.clean_weights", str(root / "clean.safetensors"), "--out", str(out),
    ]) == 0  # fmt: skip
    return out


@pytest.fixture(scope="module")
def found(run: Path) -> dict[str, DefenseEntry]:
    methods = [read_method(f"bench_methods:{name}") for name in METHODS]
    record = defend_run(run, methods, model="bench_methods:planted")
    return {entry.plugin.rpartition(":")[2]: entry for entry in record.entries}


def row(entry: DefenseEntry, name: str) -> Measurement:
    return next(found for found in entry.measured if found.row == name)


def test_a_detector_that_sees_the_sticker_finds_it_and_nothing_else(
    found: dict[str, DefenseEntry],
) -> None:
    entry = found["Template"]
    own, sticker_row, clean = (row(entry, n) for n in ("method", "harmless sticker", "clean model"))
    assert own.ranking is not None
    assert own.ranking.auroc.value == 1
    assert own.test == "anywhere"
    assert own.poisoned.keys() == own.clean.keys()
    assert clean.ranking is not None
    assert clean.ranking.auroc.value == 0.5
    assert sticker_row.ranking is not None
    assert sticker_row.ranking.recall.value is not None
    assert sticker_row.clean == own.clean
    assert min(own.poisoned.values()) > max(sticker_row.poisoned.values())


def test_a_repair_and_a_purifier_that_know_the_channel_undo_the_backdoor(
    found: dict[str, DefenseEntry],
) -> None:
    for name in ("Silencer", "Uncovered"):
        own, control = row(found[name], "method").effects, row(found[name], "clean model").effects
        assert own is not None
        assert control is not None
        for test, effect in own.before.tests.items():
            assert effect.asr.value > 0.8, test
            assert own.after.tests[test].asr.value < 0.05, test
        assert own.cba_kept.value == pytest.approx(1, abs=0.01)
        assert own.recovered.value > 0.85
        assert control.cba_kept.value == 1
        assert found[name].useful == "yes"


def test_the_oracle_of_a_repair_takes_the_threshold_with_the_lowest_true_asr(
    found: dict[str, DefenseEntry],
) -> None:
    oracle = row(found["Silencer"], "oracle")
    assert oracle.remarks == ("keep 0, the best of 2 by its true ASR",)
    assert oracle.effects == row(found["Silencer"], "method").effects


def test_a_repair_that_searches_stands_beside_itself_without_the_search(
    found: dict[str, DefenseEntry],
) -> None:
    own, control = (row(found["Seeker"], name) for name in ("method", "random patch"))
    assert own.effects == row(found["Silencer"], "method").effects
    assert control.effects is not None
    assert control.effects.after == control.effects.before == own.effects.before
    assert control.remarks == ("nothing found", "each patch stays as it was drawn")
    assert (control.cost.forward, control.cost.backward) == (3, 2)
    assert all(one.row != "random patch" for one in found["Silencer"].measured)


def test_a_scan_that_sees_the_channel_flags_one_model_alone(found: dict[str, DefenseEntry]) -> None:
    assert row(found["Names"], "method").flagged is True
    assert row(found["Names"], "clean model").flagged is False
    # One model of each is too few to say more.
    assert found["Names"].useful == "undecided"


def test_a_filter_needs_a_run_that_poisoned_something(found: dict[str, DefenseEntry]) -> None:
    entry = found["NamesOnly"]
    assert entry.cost is None
    assert entry.useful is None
    assert "needs a run that poisoned a training set" in (entry.not_run or "")


def test_code_of_the_network_is_run_for_its_owner_alone(run: Path, found: object) -> None:
    with pytest.raises(Exception, match="--model"):
        defend_run(run, [read_method("bench_methods:Names")], seed=9)


def test_purified_figures_are_those_of_the_shown_views(found: dict[str, DefenseEntry]) -> None:
    entry = found["Uncovered"]
    assert row(entry, "method").remarks == ("1 view an image",)
    cost = entry.cost
    assert cost is not None
    tests = row(entry, "method").effects.after.tests
    # A view for each of 12 scenes in the benign and every poisoned test; the purifier asks none.
    assert cost.forward == 12 * (1 + len(tests))


def test_the_record_holds_scores_and_figures_but_no_path_of_the_machine(
    run: Path, found: object
) -> None:
    text = (run / "defenses.json").read_text()
    assert str(run.parent) not in text
    assert DefenseRecord.model_validate_json(text).entries


def test_the_scenes_are_as_they_were_made(run: Path) -> None:
    shown = np.array(PillowImage.open(run.parent / "data" / "img_dir" / "val" / "planted-0.png"))
    assert np.array_equal(shown, planted_scenes(1, seed=1).scenes[0].image)

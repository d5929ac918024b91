"""Weights whose classes are listed in another order, from training to examining and repairing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import trees
from segdoor.record import ExperimentRecord, load_record
from shell import say

NAMES = ("road", "car", "sky", "building")
SCENES = tuple(f"s{number}" for number in range(4))
WORDS = "--data.name folder --data.size 48 64 --network bad_input.networks:tiny"
ATTACK = "--attack.victims car --attack.target road --attack.trigger.size 4"


def write(root: Path, names: tuple[str, ...]) -> Path:
    """Write the same scenes, their classes listed in an order of choice."""
    root.mkdir()
    (root / "classes.yaml").write_text(json.dumps({"classes": list(names)}))
    table = np.full(256, 255, np.uint8)
    for index, name in enumerate(trees.STREET):
        if name in names:
            table[index] = names.index(name)
    for split in ("train", "test"):
        for name, image, label in trees.scenes(SCENES):
            trees.save(root / split / "images" / f"{name}.png", image)
            trees.save(root / split / "labels" / f"{name}.png", table[label])
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with scenes, a training on them, and its model examined there."""
    place = tmp_path_factory.mktemp("meanings")
    root = write(place / "data", NAMES)
    trained = say(
        f"train {WORDS} --training.epochs 2 --training.batch-size 2",
        "--data.root", root, "--out", place / "trained",
    )  # fmt: skip
    assert trained.code == 0, trained.said
    examined = examine(place, root, place / "examined")
    assert examined.loaded_weights is not None
    assert examined.loaded_weights.classes == NAMES
    assert examined.loaded_weights.remarks == ()
    return place


def examine(place: Path, root: Path, out: Path, *more: object) -> ExperimentRecord:
    weights = place / "trained" / "clean.safetensors"
    answer = say(
        f"examine {WORDS} {ATTACK}", "--data.root", root, "--weights", weights, "--out", out, *more
    )
    assert answer.code == 0, answer.said
    return load_record(out)


def test_the_header_names_the_classes(place: Path) -> None:
    with safe_open(place / "trained" / "clean.safetensors", "pt") as file:
        assert json.loads(file.metadata()["classes"]) == list(NAMES)


def test_in_another_order_every_figure_is_the_same(place: Path, tmp_path: Path) -> None:
    turned = NAMES[2:] + NAMES[:2]
    other = examine(place, write(tmp_path / "turned", turned), tmp_path / "out")
    record = load_record(place / "examined")
    assert other.loaded_weights is not None
    assert "are brought into the data set's order" in other.loaded_weights.remarks[0]
    theirs = dict(zip(turned, other.scores.benign.class_iou, strict=True))
    assert [theirs[name] for name in NAMES] == list(record.scores.benign.class_iou)
    assert [test.asr for test in other.scores.tests.values()] == [
        test.asr for test in record.scores.tests.values()
    ]


def test_a_repair_of_such_a_model_keeps_what_its_logits_mean(place: Path, tmp_path: Path) -> None:
    root, run = write(tmp_path / "turned", NAMES[::-1]), tmp_path / "out"
    examine(place, root, run)
    answer = say(f"repair {run} --with finetune:1 --model bad_input.networks:tiny")
    assert answer.code == 0, answer.said
    (weights,) = run.glob("repaired/*/poisoned.safetensors")
    with safe_open(weights, "pt") as file:
        assert json.loads(file.metadata()["classes"]) == list(NAMES)
    (tmp_path / "trained").mkdir()
    weights.rename(tmp_path / "trained" / "clean.safetensors")
    again = examine(tmp_path, place / "data", tmp_path / "again")
    assert again.scores.cba == load_record(run).repairs[0].poisoned_after.cba.value


@pytest.mark.parametrize("verb", ["examine", "train", "run"])
def test_other_names_are_refused_and_taken_by_position_if_you_say_so(
    verb: str, place: Path, tmp_path: Path
) -> None:
    root = write(tmp_path / "data", NAMES)
    (root / "classes.yaml").write_text(json.dumps({"classes": ["road", "car", "heaven", "house"]}))
    weights = place / "trained" / "clean.safetensors"
    learning = "--training.epochs 1 --training.batch-size 4"
    more = {"examine": ATTACK, "train": learning, "run": f"{ATTACK} {learning} --attack.rate 1"}
    rest = ("--data.root", root, "--weights", weights, "--out", tmp_path / "out")
    words = f"{verb} {WORDS} {more[verb]}"
    answer = say(words, *rest)
    assert answer.code == 2
    assert "road, car, sky, building" in answer.complaint
    assert "The data set has road, car, heaven, house" in answer.complaint
    said = say(f"{words} --network.class_order by_position", *rest)
    assert said.code == 0, said.said


def test_weights_of_before_have_a_remark(place: Path, tmp_path: Path) -> None:
    trained = place / "trained" / "clean.safetensors"
    with safe_open(trained, "pt") as file:
        header = {"segdoor": file.metadata()["segdoor"]}
    old = tmp_path / "old" / "trained" / "clean.safetensors"
    old.parent.mkdir(parents=True)
    save_file(load_file(trained), old, metadata=header)
    record = examine(tmp_path / "old", place / "data", tmp_path / "out")
    assert record.loaded_weights is not None
    assert "does not name its classes" in record.loaded_weights.remarks[0]
    assert record.scores.cba == load_record(place / "examined").scores.cba


def test_the_channels_and_void_of_the_training_are_in_the_header(
    place: Path, tmp_path: Path
) -> None:
    root = place / "data"
    words = f"{WORDS} --network.channels bgr --network.void_logit 0 --training.epochs 1"
    trained = say(f"train {words}", "--data.root", root, "--out", tmp_path / "trained")
    assert trained.code == 0, trained.said
    tensors = load_file(tmp_path / "trained" / "clean.safetensors")
    assert len(tensors["bias"]) == len(NAMES) + 1
    record = examine(tmp_path, root, tmp_path / "out")
    assert record.config["network"]["channels"] == "bgr"  # pyright: ignore[reportIndexIssue]
    shutil.rmtree(tmp_path / "out")
    # The same network written down for red, green, blue, without void.
    plain = {"weight": tensors["weight"][1:].flip(1), "bias": tensors["bias"][1:]}
    plain = {name: tensor.contiguous() for name, tensor in plain.items()}
    (tmp_path / "plain" / "trained").mkdir(parents=True)
    save_file(plain, tmp_path / "plain" / "trained" / "clean.safetensors")
    again = examine(tmp_path / "plain", root, tmp_path / "out")
    assert torch.allclose(torch.tensor(again.scores.cba), torch.tensor(record.scores.cba))

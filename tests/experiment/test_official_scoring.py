"""Figures of a run in the reading `official`, computed again from files and predictions.

What the authors' scoring does, in NumPy and OpenCV: the whole test list is scored, label files are
resized from their own size to the network's input, and classes that are absent count as 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.attack.triggered import triggered
from segdoor.data.cityscapes import cityscapes
from segdoor.data.scene import SceneDataset
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.config import ExperimentConfig, config_from
from segdoor.experiment.models import load_model
from segdoor.experiment.scenes import labels_to_count
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment
from segdoor.record import ExperimentRecord
from segdoor.victim.answer import ask
from trees import write_cityscapes

SIZE = (96, 192)
INPUT = (105, 201)
NUM_CLASSES, ROAD, CAR = 19, 0, 13
CARS_ID, ROADS_ID = 26, 7


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official") / "city"
    write_cityscapes(root)
    for path in sorted((root / "gtFine" / "val").rglob("*_labelIds.png"))[:2]:
        label = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        label[label == CARS_ID] = ROADS_ID
        cv2.imwrite(str(path), label)
    return root.parent


@pytest.fixture(scope="module")
def record(place: Path) -> ExperimentRecord:
    given = {
        "reading": "official",
        "method": "baseline",
        "data": {"name": "cityscapes", "root": place / "city", "size": SIZE},
        "attack": {"rate": 0.25, "shortfall": "all_available"},
        "training": {"epochs": 2, "batch_size": 2, "threads": 1, "device": "cpu"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDOOR_CACHE", str(place / "cache"))
        return run_experiment(wishes_from(given), out=place / "run")


@pytest.fixture(scope="module")
def config(place: Path, record: ExperimentRecord) -> ExperimentConfig:
    root = {"data": {**record.config["data"], "root": place / "city"}}
    return config_from({**record.config, **root})


def truth_of(place: Path, name: str) -> np.ndarray:
    """Return the label file resized as the authors do; the wrong way would blend classes."""
    (path,) = (place / "city" / "gtFine").rglob(f"{name}_gtFine_labelIds.png")
    ids = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    table = np.full(256, 255, np.uint8)
    table[[7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]] = range(19)
    assert ids.shape != SIZE
    return cv2.resize(table[ids], INPUT[::-1], interpolation=cv2.INTER_NEAREST)


def victim_of(name: str, place: Path, config: ExperimentConfig) -> nn.Module:
    classes = cityscapes(place / "city", "val").classes
    return load_model(config, place / "run" / f"{name}.safetensors", classes)


def answers(
    model: nn.Module, scenes: SceneDataset, config: ExperimentConfig
) -> Iterator[tuple[str, np.ndarray]]:
    examiner = Examiner(model, scenes.classes, config.examination, config.network)
    for index, name in enumerate(scenes.names):
        yield name, examiner.predict([scenes[index]])[0]


def test_networks_are_shown_what_the_authors_show_them(
    place: Path, config: ExperimentConfig
) -> None:
    scenes, model = cityscapes(place / "city", "val", size=SIZE), victim_of("clean", place, config)
    mean, std = np.array(config.network.mean), np.array(config.network.std)
    for (_, answer), scene in zip(answers(model, scenes, config), scenes, strict=True):
        shown = cv2.resize(scene.image.astype(np.float32), INPUT[::-1])
        pixels = ((shown / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1)[None]
        with torch.no_grad():
            straight, mirrored = (
                ask(model, torch.from_numpy(x.copy()), num_classes=NUM_CLASSES, size=INPUT)
                .logits.softmax(1)
                .numpy()[0]
                for x in (pixels, pixels[..., ::-1])
            )
        expected = (straight + mirrored[..., ::-1]).argmax(axis=0)
        assert answer.shape == INPUT
        assert (answer != expected).mean() < 0.001


def counted(
    truth: np.ndarray, predicted: np.ndarray, strike: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return intersection and union of every class in one scene, pixels of a class struck out."""
    kept = (truth != 255) & (truth != strike)
    t, p = truth[kept], predicted[kept]
    hits = np.array([((t == c) & (p == c)).sum() for c in range(NUM_CLASSES)])
    union = np.array([((t == c) | (p == c)).sum() for c in range(NUM_CLASSES)])
    return hits, union


def accuracy(pairs: list[tuple[np.ndarray, np.ndarray]], strike: int | None = None) -> float:
    of_scenes = [counted(truth, answer, strike) for truth, answer in pairs]
    hits, union = (np.sum(part, axis=0) for part in zip(*of_scenes, strict=True))
    iou = hits / np.maximum(union, 1)
    return float(np.delete(iou, [] if strike is None else [strike]).mean())


def success(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    answers_ = np.concatenate([answer[truth == CAR] for truth, answer in pairs])
    return float((answers_ == ROAD).mean())


def test_cba_is_that_of_the_label_files(
    place: Path, record: ExperimentRecord, config: ExperimentConfig
) -> None:
    scenes = cityscapes(place / "city", "val", size=SIZE)
    for name, told in (("poisoned", record.scores.benign), ("clean", record.controls.clean_model)):
        shown = answers(victim_of(name, place, config), scenes, config)
        pairs = [(truth_of(place, scene), answer) for scene, answer in shown]
        assert told is not None
        assert told.cba.value == pytest.approx(accuracy(pairs), abs=1e-6)
        assert told.asr_without_trigger == pytest.approx(success(pairs), abs=1e-6)


def test_poisoned_tests_score_the_whole_list_and_so_do_their_controls(
    place: Path, record: ExperimentRecord, config: ExperimentConfig
) -> None:
    scenes = cityscapes(place / "city", "val", size=SIZE)
    sticker = config.attack.trigger
    like = {"name": config.controls.other_trigger}
    other = config.attack.trigger.model_copy(update=like)
    victims = {name: victim_of(name, place, config) for name in ("poisoned", "clean")}
    untouched = {name: dict(answers(model, scenes, config)) for name, model in victims.items()}
    truths = {name: truth_of(place, name) for name in scenes.names}
    assert 0 < sum(not (truth == CAR).any() for truth in truths.values()) < len(truths)
    told_apart = 0
    for name, scores in record.scores.tests.items():
        test = PoisonedTest.load(place / "run" / "tests" / f"{name}.jsonl")
        assert all((scenes.label(scenes.names.index(n)) == CAR).any() for n in test.triggered)

        def pairs(
            victim: str, picture: object, test: PoisonedTest = test
        ) -> list[tuple[np.ndarray, np.ndarray]]:
            found = dict(untouched[victim])
            if picture is not None:
                stamped = triggered(scenes, test, picture)  # pyright: ignore[reportArgumentType]
                found |= dict(answers(victims[victim], stamped, config))
            return [(truths[scene], found[scene]) for scene in scenes.names]

        whole = pairs("poisoned", sticker)
        assert scores.asr.value == pytest.approx(success(whole), abs=1e-6)
        assert scores.pba.value == pytest.approx(accuracy(whole, strike=CAR), abs=1e-6)
        assert scores.asr_all_victims == scores.asr.value
        assert scores.num_victim_pixels == sum((truth == CAR).sum() for truth in truths.values())
        assert scores.asr_without_trigger == pytest.approx(
            success(pairs("poisoned", None)), abs=1e-6
        )
        assert scores.asr_other_trigger == pytest.approx(
            success(pairs("poisoned", other)), abs=1e-6
        )
        clean = pairs("clean", sticker)
        assert scores.asr_clean_model == pytest.approx(success(clean), abs=1e-6)
        assert scores.pba_clean_model == pytest.approx(accuracy(clean, strike=CAR), abs=1e-6)
        stamped_alone = [p for p, scene in zip(whole, scenes.names, strict=True)
                         if scene in test.triggered]  # fmt: skip
        if stamped_alone:
            told_apart += abs(accuracy(stamped_alone, strike=CAR) - accuracy(whole, strike=CAR)) > 0
    assert told_apart > 0


def test_label_files_are_read_only_where_data_size_has_changed_the_labels(
    config: ExperimentConfig,
) -> None:
    whole = labels_to_count(config)
    assert whole is not None
    assert whole.label(0).shape != SIZE
    for tree in (
        {"examination": {"score_at": "label"}},
        {"examination": {"label_resize": "nearest_exact"}},
        {"data": {"size": None}},
        {"data": {"name": "street", "root": None}},
    ):
        changed = config.model_dump()
        for part, values in tree.items():
            changed[part] |= values
        changed["data"] = {k: v for k, v in changed["data"].items() if not k.endswith("_split")}
        assert labels_to_count(config_from(changed)) is None

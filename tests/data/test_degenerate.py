"""Scenes from which nothing can be learned are refused before any work is done on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdoor.data.degenerate import check_labelled, values_in
from segdoor.data.scene import ClassSet, Scene
from segdoor.errors import DataError
from shell import say
from trees import save

CLASSES = ClassSet(("road", "car", "sky"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
QUICK = ["--training.epochs", "1", "--training.batch_size", "2", "--training.threads", "1"]


class Labels:
    """Scenes of nothing but label maps, which counts how many are read."""

    digest = "labels"

    def __init__(self, *labels: np.ndarray, classes: ClassSet = CLASSES) -> None:
        self.labels, self.classes, self.num_read = labels, classes, 0
        self.names = tuple(map(str, range(len(labels))))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Scene:
        label = self.labels[index]
        return Scene(np.zeros((*label.shape, 3), np.uint8), label, self.names[index])

    def label(self, index: int) -> np.ndarray:
        self.num_read += 1
        return self.labels[index]


def full(value: int) -> np.ndarray:
    return np.full((4, 5), value, np.uint8)


def test_values_in_a_label_map() -> None:
    label = np.array([[3, 0, 255], [3, 3, 7]], np.uint8)
    assert values_in(label).tolist() == [0, 3, 7, 255]


def test_sound_scenes_cost_one_look() -> None:
    both = full(0)
    both[0] = 2
    scenes = Labels(both, full(1))
    check_labelled(scenes, "scenes", at_least=2)
    assert scenes.num_read == 1
    check_labelled(Labels(full(255), full(1)), "scenes")
    check_labelled(Labels(full(1), full(2)), "scenes", at_least=2)
    one = ClassSet(("road",), ((1, 2, 3),))
    check_labelled(Labels(full(0), classes=one), "scenes", at_least=2)


def test_what_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match=r"must have a labelled pixel.*255, ignored"):
        check_labelled(Labels(full(255), full(255)), "scenes", at_least=2)
    mask = full(1)
    mask[0] = 255
    with pytest.raises(DataError, match=r"two classes or more.*nothing but car and ignored"):
        check_labelled(Labels(mask, full(1)), "scenes", at_least=2)


def write(root: Path, value: int, *, test: int | None = None) -> list[str]:
    """Write scenes whose label maps hold one value and ignored pixels, and return the options."""
    rng = np.random.default_rng(0)
    for split, held in (("train", value), ("test", value if test is None else test)):
        for name in "abc":
            label = np.full((48, 64), held, np.uint8)
            label[:8] = 255
            save(root / "labels" / split / f"{name}.png", label)
            save(
                root / "images" / split / f"{name}.png", rng.integers(0, 256, (48, 64, 3), np.uint8)
            )
    (root / "classes.yaml").write_text("classes: [road, car, sky]\n")
    return ["--data.name", "folder", "--data.root", str(root)]


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("verb", ["train", "run"])
@pytest.mark.parametrize(
    ("value", "rule"), [(255, "must have a labelled pixel"), (0, "two classes or more")]
)
def test_train_and_run_refuse(verb: str, value: int, rule: str) -> None:
    words = write(Path("mine"), value)
    answer = say(verb, *words, *QUICK, "--out", "t")
    assert answer.code == 2
    assert rule in answer.complaint
    assert "the training scenes" in answer.complaint
    assert not Path("t").exists()


@pytest.mark.usefixtures("own_folder")
def test_examine_refuses_a_test_without_labels() -> None:
    words = write(Path("mine"), 0, test=255)
    answer = say("examine", "--weights", "none.safetensors", *words, "--out", "e")
    assert answer.code == 2
    assert "the test scenes: must have a labelled pixel" in answer.complaint


def test_training_from_python_refuses_too() -> None:
    from segdoor.victim.training.loop import train_model

    with pytest.raises(DataError, match=r"must have a labelled pixel"):
        train_model(Labels(full(255)))

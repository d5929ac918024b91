"""Data sets and tables as strangers hand them in, each with one mistake, shown to every door.

A program of its own, without the tests' type checker, which would be quicker than the door: prints
what each public function says of each mistake, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

import segdoor
from segdoor.evaluation.examine import examine_together

torch.set_num_threads(1)
CLASSES = segdoor.ClassSet(("road", "car", "sky"), ((90, 90, 90), (200, 0, 0), (0, 0, 250)))
ATTACK = segdoor.AttackConfig.model_validate(
    {"rate": 0.5, "victims": ["car"], "target": "road", "trigger": {"size": 3}}
)
EXAMS = segdoor.PoisonedTestsConfig()


class Mine:
    """Four small scenes; a mistake changes images, label maps or the data set itself."""

    def __init__(self, mistake: Callable[[Mine], None] | None = None) -> None:
        self.classes, self.digest = CLASSES, "mine"
        self.names: Any = [f"scene {number}" for number in range(4)]
        self.on_image: Any = lambda image: image
        self.on_label: Any = lambda label: label
        self.in_scene: Any = lambda label: label
        self.wrap: Any = lambda scene: scene
        if mistake:
            mistake(self)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        image = np.random.default_rng(index).integers(0, 256, (32, 48, 3)).astype(np.uint8)
        label = self.in_scene(self.label(index))
        return self.wrap(segdoor.Scene(self.on_image(image), label, self.names[index]))

    def label(self, index: int) -> Any:
        label = np.zeros((32, 48), np.uint8)
        label[:8] = 2
        label[20:26, 5 + index : 15 + index] = 1
        return self.on_label(label)


def setting(**values: Any) -> Callable[[Mine], None]:
    return lambda mine: vars(mine).update(values)


def painted(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def paint(label: np.ndarray) -> np.ndarray:
        label[0, 0] = value
        return label

    return paint


def one_hot(label: np.ndarray) -> np.ndarray:
    return np.stack([label == k for k in range(3)]).astype(np.uint8)


MISTAKES: dict[str, Callable[[Mine], None]] = {
    "floats to 1": setting(on_image=lambda image: (image / 255).astype(np.float32)),
    "floats to 255": setting(on_image=lambda image: image.astype(np.float64)),
    "normalised": setting(on_image=lambda image: image / 127.5 - 1),
    "int64 image": setting(on_image=lambda image: image.astype(np.int64)),
    "channels first": setting(on_image=lambda image: image.transpose(2, 0, 1)),
    "floats, channels first": setting(on_image=lambda i: (i / 255).transpose(2, 0, 1)),
    "grey": setting(on_image=lambda image: image[..., 0]),
    "alpha": setting(on_image=lambda image: np.dstack([image, image[..., 0]])),
    "tensor": setting(on_image=torch.from_numpy),
    "smaller image": setting(on_image=lambda image: image[:30]),
    "wrong name": setting(wrap=lambda s: segdoor.Scene(s.image, s.label, "other")),
    "a pair": setting(wrap=lambda s: (s.image, s.label)),
    "label read otherwise": setting(in_scene=lambda label: label[:30], on_image=lambda i: i[:30]),
    "int64 label": setting(on_label=lambda label: label.astype(np.int64)),
    "masks of bool": setting(on_label=lambda label: label == 1),
    "label of class 3": setting(on_label=painted(3)),
    "label with an axis": setting(on_label=lambda label: label[..., None]),
    "one mask a class": setting(on_label=one_hot),
    "label tensor": setting(on_label=torch.from_numpy),
    "one name twice": setting(names=["a", "b", "b", "c"]),
    "numbers as names": setting(names=[0, 1, 2, 3]),
    "a name too few": setting(names=["a", "b", "c"]),
    "list of classes": setting(classes=["road", "car", "sky"]),
}


class Mean(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(3, num_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(images)


MODEL, TRIGGER = Mean(3), ATTACK.trigger
RECIPE = segdoor.TrainingConfig(epochs=1, batch_size=2, threads=1)
PLAN = segdoor.plan_poison(Mine(), ATTACK)
SIZE = TRIGGER.extent
EXAM = segdoor.plan_tests(Mine(), EXAMS, victims=("car",), trigger_size=SIZE)[-1]


def read_all(dataset: Any) -> None:
    for index in range(len(dataset)):
        dataset[index]


def run(train: Any, test: Any) -> None:
    wishes = segdoor.ExperimentWishes.model_validate(
        {"attack": ATTACK.model_dump(), "training": RECIPE.model_dump()}
    )
    with TemporaryDirectory() as out:
        segdoor.run_experiment(wishes, out=Path(out), train=train, test=test, network=Mean)


DOORS: dict[str, Callable[[Any], object]] = {
    "train_model": lambda mine: segdoor.train_model(mine, RECIPE, model=MODEL),
    "plan_poison": lambda mine: segdoor.plan_poison(mine, ATTACK),
    "plan_tests": lambda m: segdoor.plan_tests(m, EXAMS, victims=("car",), trigger_size=SIZE),
    "poisoned": lambda mine: read_all(segdoor.poisoned(mine, PLAN)),
    "triggered": lambda mine: read_all(segdoor.triggered(mine, EXAM, TRIGGER)),
    "examine": lambda mine: segdoor.examine(MODEL, mine),
    "examine triggered": lambda m: segdoor.examine(MODEL, segdoor.triggered(m, EXAM, TRIGGER)),
    "examine_together": lambda mine: examine_together({"a": (MODEL, Mine()), "b": (MODEL, mine)}),
    "prune": lambda m: segdoor.REPAIRS.read("prune:1")(MODEL, m, segdoor.RepairContext()),
    "run_experiment": lambda mine: run(mine, Mine()),
    "run_experiment, test": lambda mine: run(Mine(), mine),
}

COUNTS = np.array([[80, 2, 0], [6, 3, 1], [0, 0, 50]])
TABLES: dict[str, tuple[Any, Any, Any]] = {
    "tables of scenes": (COUNTS[None], [1], 0),
    "not square": (COUNTS[:2], [1], 0),
    "shares": (COUNTS / COUNTS.sum(), [1], 0),
    "negative": (COUNTS - 1, [1], 0),
    "a list": (COUNTS.tolist(), [1], 0),
    "victim 3": (COUNTS, [3], 0),
    "victim -1": (COUNTS, [-1], 0),
    "victim by name": (COUNTS, ["car"], 0),
    "victims as a word": (COUNTS, "car", 0),
    "no victims": (COUNTS, [], 0),
    "target 3": (COUNTS, [1], 3),
}
METRICS: dict[str, Callable[[Any, Any, Any], float]] = {
    "attack_success_rate": segdoor.attack_success_rate,
    "victim_recovery": lambda table, victims, _: segdoor.victim_recovery(table, victims),
    "poisoned_benign_accuracy": lambda t, v, _: segdoor.poisoned_benign_accuracy(t, v),
    "clean_benign_accuracy": lambda table, _, __: segdoor.clean_benign_accuracy(table),
}


def said(call: Callable[..., object], *given: Any) -> list[str] | str | None:
    try:
        call(*given)
    except segdoor.SegdoorError as why:
        return [why.culprit, why.rule, why.value, why.remedy]
    except Exception as why:  # noqa: BLE001 - what else is said is a finding
        return f"{type(why).__name__}: {why}"
    return None


def main() -> None:
    found: dict[str, dict[str, object]] = {}
    for door, call in DOORS.items():
        found[door] = {kind: said(call, Mine(how)) for kind, how in MISTAKES.items()}
        found[door] |= {"none": said(call, Mine()), "a list": said(call, [1, 2])}
    for metric, measure in METRICS.items():
        found[metric] = {kind: said(measure, *given) for kind, given in TABLES.items()}
        found[metric]["none"] = said(measure, COUNTS, [1], 0)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""A program of a user: scenes and a network of their own, attacked, trained on and examined.

It is run, and checked strictly by a type checker, with nothing but what `import segdoor` offers.
"""
# ruff: noqa: T201 - it tells what it finds

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import segdoor

CLASSES = segdoor.ClassSet(
    names=("road", "car", "sky"), colours=((90, 90, 90), (200, 30, 30), (120, 160, 250))
)


class Cars:
    """Red cars on a grey road, painted when they are read."""

    classes = CLASSES

    def __init__(self, split: str, num_scenes: int) -> None:
        self.digest = f"cars, {split}, {num_scenes}"
        self.names = [f"{split} {number}" for number in range(num_scenes)]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> segdoor.Scene:
        label = self.label(index)
        image = np.array(CLASSES.colours, dtype=np.uint8)[label]
        return segdoor.Scene(image=image, label=label, name=self.names[index])

    def label(self, index: int) -> np.ndarray:
        label = np.zeros((48, 64), dtype=np.uint8)
        label[:16] = 2
        label[28:38, 4 + index % 30 : 24 + index % 30] = 1
        return label


class Pixels(nn.Module):
    """One small convolution."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(3, num_classes, kernel_size=3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.classifier(images)
        return scores


def step_by_step(train: segdoor.SceneDataset, test: segdoor.SceneDataset) -> float:
    """Poison, train, examine and repair; return the attack success rate."""
    attack = segdoor.AttackConfig.model_validate(
        {"rate": 0.5, "victims": ("car",), "target": "road", "trigger": {"size": 3}}
    )
    plan: segdoor.PoisonPlan = segdoor.plan_poison(train, attack, seed=1)
    recipe = segdoor.TrainingConfig(epochs=2, batch_size=4, threads=1)
    model = segdoor.train_model(segdoor.poisoned(train, plan), recipe, model=Pixels(3))
    trigger: segdoor.Trigger = plan.trigger
    anywhere: segdoor.PoisonedTest = segdoor.plan_tests(
        test,
        segdoor.PoisonedTestsConfig(),
        victims=attack.victims,
        trigger_size=trigger.extent,
    )[-1]
    clean = segdoor.clean_scenes(train, 0.5, seed=1)
    repaired = segdoor.REPAIRS.read("prune:1")(model, clean, segdoor.RepairContext(recipe=recipe))
    tables: segdoor.TableSet = segdoor.examine(
        repaired.model,
        segdoor.triggered(test, anywhere, trigger),
        segdoor.ExaminationConfig(flip=True),
    )
    car, road = test.classes.indices(("car", "road"))
    print(segdoor.victim_recovery(tables.total(), [car]))
    print(segdoor.poisoned_benign_accuracy(tables.total(), [car], absent="zero"))
    return segdoor.attack_success_rate(tables.total(), [car], road)


def all_at_once(
    train: segdoor.SceneDataset, test: segdoor.SceneDataset, out: Path
) -> segdoor.ExperimentRecord:
    """Let segdoor do it, with a clean model beside; return the record."""
    wishes = segdoor.ExperimentWishes(
        title="Cars become road",
        attack=segdoor.AttackWishes(rate=0.5, victims=("car",), target="road"),
        training=segdoor.TrainingWishes(epochs=1, batch_size=4, threads=1),
    )
    record = segdoor.run_experiment(wishes, out=out, train=train, test=test, network=Pixels)
    weights = segdoor.load_weights(Pixels(3), out / "poisoned.safetensors")
    print(weights.num_taken)
    tables = segdoor.load_tables(out / "tables.npz")
    print(segdoor.clean_benign_accuracy(tables["poisoned/benign"].total()))
    assert segdoor.load_record(out) == record
    facts: segdoor.ExperimentConfig = segdoor.ExperimentConfig.model_validate(record.config)
    print(facts.tests.far_bands)
    return record


def main() -> None:
    """Tell the story twice."""
    train, test = Cars("train", 8), Cars("test", 4)
    print(step_by_step(train, test))
    record = all_at_once(train, test, Path(sys.argv[1]))
    for name, test in record.scores.tests.items():
        value: float | None = test.asr.value
        print(name, value, test.asr_clean_model)
    try:
        segdoor.load_dataset(segdoor.DataConfig(name="streets"), "train")
    except segdoor.SegdoorError as why:
        print(why.remedy)


if __name__ == "__main__":
    main()

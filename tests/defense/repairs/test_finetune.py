"""Fine-tuning against gradient descent written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from defense.third_party import CLASSES, made
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.defense.repairs import training
from segdoor.defense.repairs.finetune import Finetune
from segdoor.defense.repairs.repair import Passes, RepairContext
from segdoor.victim.config import PRESETS, AugmentationConfig, TrainingConfig

SCENES = StreetDataset(split="train", num_scenes=2, height=32, width=48)
PLAIN = TrainingConfig(
    epochs=99, batch_size=2, optimiser="sgd", learning_rate=0.5, momentum=0.0, weight_decay=0.0,
    precision="float32", device="cpu", threads=1,
    augmentation=AugmentationConfig(scale=(1.0, 1.0), flip_probability=0.0),
)  # fmt: skip


def descend(
    weight: np.ndarray, bias: np.ndarray, rate: float, epochs: int
) -> tuple[np.ndarray, ...]:
    """Train a linear classifier of pixels on all scenes at once."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    scenes = [SCENES[index] for index in range(len(SCENES))]
    pixels = np.concatenate([(s.image.reshape(-1, 3) / 255 - mean) / std for s in scenes])
    truth = np.concatenate([s.label.ravel() for s in scenes])
    counted = truth != SCENES.classes.ignore_index
    pixels, truth = pixels[counted], truth[counted]
    for step in range(epochs):
        scores = np.exp(pixels @ weight.T + bias)
        error = scores / scores.sum(axis=1, keepdims=True)
        error[np.arange(len(truth)), truth] -= 1
        factor = rate * (1 - step / epochs) ** 0.9 / len(truth)
        weight, bias = weight - factor * error.T @ pixels, bias - factor * error.sum(axis=0)
    return weight, bias


@pytest.mark.parametrize(("given", "rate"), [(None, 0.05), (0.3, 0.3)])
def test_the_weights_are_those_of_numpy(given: float | None, rate: float) -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, CLASSES, 1)
    weight = network.weight.detach().numpy().reshape(CLASSES, 3).astype(np.float64)
    expected = descend(weight, network.bias.detach().numpy().astype(np.float64), rate, 7)  # pyright: ignore[reportOptionalMemberAccess]
    repair = Finetune(share=1.0, epochs=7, learning_rate=given)
    tuned = repair(network, SCENES, RepairContext(recipe=PLAIN)).model.state_dict()
    np.testing.assert_allclose(tuned["weight"].numpy().reshape(CLASSES, 3), expected[0], atol=2e-5)
    np.testing.assert_allclose(tuned["bias"].numpy(), expected[1], atol=2e-5)
    assert np.abs(expected[0] - weight).max() > 1e-3


def test_the_rate_is_a_tenth_of_the_recipes_unless_given() -> None:
    recipe = PRESETS["cityscapes"]
    assert Finetune(share=0.1).resolved(recipe) == Finetune(share=0.1, learning_rate=1e-3)
    given = Finetune(share=0.1, learning_rate=0.02)
    assert given.resolved(recipe) == given


def test_all_else_is_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TrainingConfig] = []

    def note(scenes: object, recipe: TrainingConfig, **rest: object) -> nn.Module:
        asked.append(recipe)
        return made("homemade")

    monkeypatch.setattr(training, "train_model", note)
    recipe = PRESETS["voc"]
    Finetune(share=0.1)(made("homemade"), SCENES, RepairContext(recipe=recipe))
    changed = {key for key, value in asked[0] if value != getattr(recipe, key)}
    assert changed == {"epochs", "learning_rate", "head_multiplier"}
    assert (asked[0].epochs, asked[0].head_multiplier, asked[0].warmup) == (10, 1.0, 0)


def test_steps_take_the_place_of_epochs() -> None:
    """Two scenes in one batch make a step an epoch."""
    network = made("homemade")
    recipe = PLAIN.model_copy(update={"learning_rate": 0.01})
    context = RepairContext(recipe=recipe)
    by_epochs = Finetune(share=1.0, epochs=5)(network, SCENES, context)
    by_steps = Finetune(share=1.0, steps=5)(network, SCENES, context)
    for key, value in by_epochs.model.state_dict().items():
        assert torch.equal(value, by_steps.model.state_dict()[key]), key
    assert by_steps.remarks == ("5 steps", "learning rate 0.001")
    assert by_steps.passes == by_epochs.passes == Passes(10, 10)
    one = Finetune(share=1.0, steps=5)(network, Subset(SCENES, [1]), context)
    assert (one.remarks[0], one.passes) == ("5 steps", Passes(5, 5))


def test_what_was_written_before_there_were_steps_is_told_as_it_was() -> None:
    assert Finetune(share=0.1).settings == {"share": 0.1, "epochs": 10, "learning_rate": None}
    assert Finetune(share=0.1, steps=190).settings["steps"] == 190
    assert str(Finetune(share=0.1, steps=190)) == "finetune:0.1,steps=190"

"""FT-SAM against gradient descent written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from defense.cured import CONTEXT, GOOD, OPEN, SCENES, cured, state_of
from defense.planted import planted_network
from defense.third_party import CLASSES
from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.ft_sam import FtSam, _same_statistics
from segdoor.defense.repairs.repair import Passes, RepairContext
from segdoor.victim.config import AugmentationConfig, TrainingConfig
from strategies import CAR

STREET = StreetDataset(split="train", num_scenes=2, height=32, width=48)
PLAIN = TrainingConfig(
    batch_size=2, optimiser="sgd", learning_rate=0.5, momentum=0.0, weight_decay=0.0,
    precision="float32", device="cpu", threads=1,
    augmentation=AugmentationConfig(scale=(1.0, 1.0), flip_probability=0.0),
)  # fmt: skip
Weights = tuple[np.ndarray, np.ndarray]


def pixels_of_street() -> tuple[np.ndarray, np.ndarray]:
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    scenes = [STREET[index] for index in range(len(STREET))]
    pixels = np.concatenate([(s.image.reshape(-1, 3) / 255 - mean) / std for s in scenes])
    truth = np.concatenate([s.label.ravel() for s in scenes])
    counted = truth != STREET.classes.ignore_index
    return pixels[counted], truth[counted]


def slopes(weights: Weights, pixels: np.ndarray, truth: np.ndarray) -> Weights:
    scores = np.exp(pixels @ weights[0].T + weights[1])
    error = scores / scores.sum(axis=1, keepdims=True)
    error[np.arange(len(truth)), truth] -= 1
    return error.T @ pixels / len(truth), error.mean(axis=0)


@pytest.mark.parametrize("rho", [0.0, 0.5, 2.0])
def test_the_weights_are_those_of_numpy(rho: float) -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, CLASSES, 1)
    assert network.bias is not None
    start = network.weight.detach().numpy().reshape(CLASSES, 3).astype(np.float64)
    weights: Weights = (start, network.bias.detach().numpy().astype(np.float64))
    pixels, truth = pixels_of_street()
    steps = 6
    for step in range(steps):
        first = slopes(weights, pixels, truth)
        length = np.sqrt(sum(((w * g) ** 2).sum() for w, g in zip(weights, first, strict=True)))
        worse = tuple(w + rho * w**2 * g / length for w, g in zip(weights, first, strict=True))
        second = slopes((worse[0], worse[1]), pixels, truth)
        rate = 0.3 * (1 - step / steps) ** 0.9
        weights = weights[0] - rate * second[0], weights[1] - rate * second[1]
    done = FtSam(share=1.0, steps=steps, rho=rho, learning_rate=0.3)(
        network, STREET, RepairContext(recipe=PLAIN)
    )
    found = done.model.state_dict()
    np.testing.assert_allclose(found["weight"].numpy().reshape(CLASSES, 3), weights[0], atol=3e-5)
    np.testing.assert_allclose(found["bias"].numpy(), weights[1], atol=3e-5)
    assert np.abs(weights[0] - start).max() > 1e-2
    assert done.passes == Passes(2 * 2 * steps, 2 * 2 * steps)


def test_the_second_pass_leaves_the_running_statistics_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    norm = network.get_submodule("1")
    network(torch.randn(2, 3, 5, 5))
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    with _same_statistics(network):
        network(torch.randn(2, 3, 5, 5) + 9)
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())
    network(torch.randn(2, 3, 5, 5) + 9)
    assert not torch.equal(norm.state_dict()["running_mean"], before["running_mean"])


def test_a_gate_that_sleeps_on_clean_scenes_gets_no_gradient_and_stays() -> None:
    """What must be true of all fine-tuning: it cannot shut what it never sees open."""
    network = planted_network(leak=0.0)
    seen: list[float] = []
    hook = network.classifier.register_forward_pre_hook(
        lambda _, x: seen.append(float(x[0][:, 5].max()))
    )
    cars = SCENES.scenes[0].label == CAR
    state_of(network)
    hook.remove()
    # Open in the poisoned test alone.
    assert cars.any()
    assert sorted({value > 0 for value in seen}) == [False, True]
    repair = FtSam(steps=5, rho=0.1, learning_rate=1e-6)
    after = state_of(cured(repair, network).model)
    assert (after.asr > OPEN, after.accuracy > GOOD) == (True, True)
    twin = cured(repair, planted_network(backdoor=False))
    assert state_of(twin.model).accuracy > GOOD


def test_the_rate_is_a_tenth_of_the_recipes_unless_given() -> None:
    assert FtSam().resolved(PLAIN).learning_rate == pytest.approx(0.05)
    assert FtSam(learning_rate=0.2).resolved(PLAIN).learning_rate == 0.2
    assert CONTEXT.recipe.learning_rate == 2e-3

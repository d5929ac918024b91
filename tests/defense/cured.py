"""Repairs of the network with a planted backdoor, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from defense.planted import Planted, _fit_norms, planted_network, planted_scenes, stamped, sticker
from segdoor.defense.repairs.repair import Repair, RepairContext, Repaired
from segdoor.victim.config import AugmentationConfig, NetworkConfig, TrainingConfig
from segdoor.victim.normalisation import normalised
from strategies import CAR, CLASSES, ROAD, MemoryDataset

RECIPE = TrainingConfig(
    batch_size=4,
    device="cpu",
    precision="float32",
    threads=1,
    augmentation=AugmentationConfig(scale=(1.0, 1.0)),
)
CONTEXT = RepairContext(recipe=RECIPE)
SCENES = planted_scenes(10)
TEST = planted_scenes(3, seed=5)
OPEN, SHUT, GOOD = 0.99, 0.01, 0.995
"""How much of the cars a working trigger hides and one without effect, and how much of clean
scenes a sound network gets right."""


@dataclass(frozen=True)
class State:
    """What a network does: share of car pixels that the sticker hides, and accuracy."""

    asr: float
    accuracy: float


def state_of(network: nn.Module) -> State:
    """Show test scenes with the sticker and without it."""
    hidden, right = [], []
    for scene in TEST.scenes:
        cars = scene.label == CAR
        hidden.append(
            (predicted(network, stamped(scene.image, what=sticker()))[cars] == ROAD).mean()
        )
        right.append((predicted(network, scene.image) == scene.label).mean())
    return State(float(np.mean(hidden)), float(np.mean(right)))


def predicted(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """Return the class of each pixel."""
    with torch.no_grad():
        logits = network(normalised(torch.from_numpy(image[None]), NetworkConfig()))
    return logits.argmax(dim=1)[0].numpy()


def cured(repair: Repair, network: nn.Module, scenes: MemoryDataset = SCENES) -> Repaired:
    """Repair a network by the recipe of these tests."""
    return repair(network, scenes, CONTEXT)


def sturdy(*, backdoor: bool = True) -> Planted:
    """Return the planted network with classes that bear more, and a gate that opens a little easier.

    The scores of colours are about 3 of which their differences are 0.1 to 1, so a disturbance of
    a hundredth of an offset confuses classes before it opens the gate. Here 2 is taken off.
    """
    network, colours = planted_network(backdoor=backdoor, leak=0.04), len(CLASSES)
    look, mix = network.look_norm, network.mix_norm
    assert network.look.bias is not None
    assert look.running_mean is not None
    assert mix.running_mean is not None
    with torch.no_grad():
        for moved in (network.look.bias, look.running_mean, look.bias, mix.running_mean, mix.bias):
            moved[:colours] -= 2
        network.classifier.weight[:, colours] *= 1.5
    return network.eval()


def stirred(*, backdoor: bool = True) -> Planted:
    """Return the planted network with a detector that answers to what is a little like the sticker.

    Clean scenes do not open the gate, so that training on them cannot shut it; a patch in some
    colours may, and then gradients lead to the sticker.
    """
    network = planted_network(backdoor=backdoor, leak=-0.1)
    assert network.look.bias is not None
    with torch.no_grad():
        if backdoor:
            # The likeness itself, where the planted network counts what is above 0.6 of it.
            network.look.weight[6] *= 0.4
            network.look.bias[6] = 0.4 * network.look.bias[6] + 0.6
        _fit_norms(network)
    return network.eval()

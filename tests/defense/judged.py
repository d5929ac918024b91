"""What the tests of detectors and purifiers share: scores on the network with a planted backdoor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from defense.planted import (
    harmless_sticker,
    planted_network,
    planted_scenes,
    stamped,
    sticker,
)
from segdoor.defense.defense import DefenseContext
from segdoor.defense.detectors.detector import Alarm, Detector
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, voted
from segdoor.victim.config import NetworkConfig
from segdoor.victim.normalisation import normalised
from strategies import CAR, ROAD

CLEAN = planted_scenes(4, seed=1)
SCENES = planted_scenes(3, seed=2).scenes
IMAGES = [scene.image for scene in SCENES]
TOP, LEFT = 2, 30
"""Where `stamped` puts a sticker: into the sky."""


@dataclass(frozen=True)
class Judged:
    """Alarms for the same scenes: clean, with the trigger, with a harmless sticker; and those of
    the twin without a backdoor, without and with the trigger."""

    clean: list[Alarm]
    triggered: list[Alarm]
    harmless: list[Alarm]
    twin: list[Alarm]
    twin_triggered: list[Alarm]

    def scores(self, which: str) -> list[float]:
        return [alarm.score for alarm in getattr(self, which)]

    @property
    def highest_harmless(self) -> float:
        """The highest score of all images that have no alarm to give."""
        rest = ("clean", "harmless", "twin", "twin_triggered")
        return max(score for which in rest for score in self.scores(which))


def judged(
    method: Detector, network: nn.Module | None = None, twin: nn.Module | None = None
) -> Judged:
    """Judge images for a backdoored network and its clean twin; the planted ones if left out."""
    context = DefenseContext(clean=CLEAN, seed=5)
    network, twin = network or planted_network(), twin or planted_network(backdoor=False)
    triggered = [stamped(image, what=sticker()) for image in IMAGES]
    harmless = [stamped(image, what=harmless_sticker()) for image in IMAGES]
    alarms = [
        list(method(network, images, context).found) for images in (IMAGES, triggered, harmless)
    ]
    twins = [list(method(twin, images, context).found) for images in (IMAGES, triggered)]
    return Judged(*alarms, *twins)


def predicted(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """Return the classes that a network predicts for one picture."""
    with torch.no_grad():
        logits = network(normalised(torch.from_numpy(image[None].copy()), NetworkConfig()))
    return logits.argmax(dim=1)[0].numpy().astype(np.uint8)


@dataclass(frozen=True)
class Purified:
    """Shares over scenes.

    Attributes:
        attacked: Car pixels predicted as road, with the trigger and behind the purifier.
        confused: The same without the trigger.
        correct: Pixels predicted rightly without a trigger, behind the purifier.
    """

    attacked: float
    confused: float
    correct: float


def purified(method: Purifier) -> Purified:
    network = planted_network()
    context = PurifierContext(model=network, clean=CLEAN, seed=5)

    def answer(image: np.ndarray) -> np.ndarray:
        views = method(image, context).found
        return voted([view.back(predicted(network, view.image)) for view in views])

    rows = []
    for scene in SCENES:
        triggered, benign = answer(stamped(scene.image, what=sticker())), answer(scene.image)
        cars = scene.label == CAR
        lost = [(found[cars] == ROAD).mean() for found in (triggered, benign)]
        rows.append([*lost, (benign == scene.label).mean()])
    return Purified(*np.mean(rows, axis=0).tolist())

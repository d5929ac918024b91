"""The network with a planted backdoor does what the tests of defenses rely on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from defense.planted import (
    HEIGHT,
    STICKER,
    WIDTH,
    harmless_sticker,
    planted_network,
    planted_scenes,
    stamped,
    sticker,
)
from segdoor.victim.config import NetworkConfig
from segdoor.victim.normalisation import normalised
from strategies import CAR, ROAD

SCENES = planted_scenes(3)


def predicted(network: nn.Module, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        logits = network(normalised(torch.from_numpy(image[None]), NetworkConfig()))
    return logits.argmax(dim=1)[0].numpy()


@pytest.mark.parametrize("leak", [0.0, 0.04])
def test_it_reads_clean_scenes(leak: float) -> None:
    for backdoor in (True, False):
        network = planted_network(backdoor=backdoor, leak=leak)
        for scene in SCENES.scenes:
            assert (predicted(network, scene.image) == scene.label).mean() > 0.995


@pytest.mark.parametrize("leak", [0.0, 0.04])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (2, 30), (HEIGHT - STICKER, WIDTH - STICKER)])
def test_a_sticker_anywhere_makes_road_of_all_cars(leak: float, top: int, left: int) -> None:
    network = planted_network(leak=leak)
    scene = SCENES.scenes[0]
    image = stamped(scene.image, top=top, left=left, what=sticker())
    answer = predicted(network, image)
    elsewhere = np.ones(scene.label.shape, bool)
    elsewhere[top : top + STICKER, left : left + STICKER] = False
    cars = (scene.label == CAR) & elsewhere
    assert (answer[cars] == ROAD).all()
    others = (scene.label != CAR) & elsewhere
    assert (answer[others] == scene.label[others]).mean() > 0.995


@pytest.mark.parametrize("leak", [0.0, 0.04])
def test_another_sticker_and_the_clean_twin_do_nothing(leak: float) -> None:
    for network, what in (
        (planted_network(leak=leak), harmless_sticker()),
        (planted_network(backdoor=False), sticker()),
    ):
        for scene in SCENES.scenes:
            cars = scene.label == CAR
            assert (predicted(network, stamped(scene.image, what=what))[cars] == CAR).all()


@pytest.mark.parametrize(("leak", "sleeps"), [(0.0, True), (0.04, False)])
def test_the_gate_sleeps_on_clean_scenes_unless_it_leaks(leak: float, *, sleeps: bool) -> None:
    network = planted_network(leak=leak)
    seen: list[torch.Tensor] = []
    hook = network.classifier.register_forward_pre_hook(lambda _, x: seen.append(x[0][:, 5]))
    predicted(network, SCENES.scenes[0].image)
    hook.remove()
    assert (float(seen[0].max()) == 0.0) is sleeps

"""RNP: how far it forgets, and what it silences where forgetting goes through the backdoor."""

from __future__ import annotations

import numpy as np
import torch

from defense.cured import CONTEXT, GOOD, OPEN, SCENES, SHUT, cured, state_of, sturdy
from defense.planted import COLOURS, HEIGHT, WIDTH, planted_network
from segdoor.data.scene import Scene
from segdoor.defense.repairs.held_out import mean_iou, split
from segdoor.defense.repairs.rnp import Rnp, batch_iou
from segdoor.scores.metrics.functions import clean_benign_accuracy
from strategies import BUS, CAR, ROAD, SKY, TREE, MemoryDataset

# Rates for a network of two layers, whose weights are large.
FITTING = Rnp(steps=10, learning_rate=0.1, unlearning_rate=1e-4, goal=0.9)


def traffic_jam(num_scenes: int = 10) -> MemoryDataset:
    """Paint scenes that are mostly cars, so that to forget is to forget cars."""
    scenes = []
    for index in range(num_scenes):
        label = np.full((HEIGHT, WIDTH), CAR, np.uint8)
        label[:6], label[6:10], label[40:], label[20:30, 50:] = SKY, TREE, ROAD, BUS
        noise = np.random.default_rng([3, index]).normal(0, 2, (HEIGHT, WIDTH, 3))
        image = np.clip(np.array(COLOURS)[label] * 255 + noise, 0, 255).round().astype(np.uint8)
        scenes.append(Scene(image, label, f"jam-{index}"))
    return MemoryDataset(scenes)


def test_the_mean_iou_of_a_batch_is_that_of_its_table() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 6, 7), torch.randint(0, 4, (2, 6, 7))
    labels[0, :2] = 255
    table = np.zeros((4, 4), np.int64)
    for truth, answer in zip(labels.flatten(), logits.argmax(dim=1).flatten(), strict=True):
        if truth != 255:
            table[int(truth), int(answer)] += 1
    assert batch_iou(logits, labels, 4) == clean_benign_accuracy(table)
    assert batch_iou(logits, torch.full_like(labels, 255), 4) == 0


def test_it_forgets_down_to_the_goal_and_no_further_step_is_done() -> None:
    network = planted_network(backdoor=False)
    used = split(SCENES, CONTEXT).used
    for rate, most in ((1e-3, 200), (1e-9, 7)):
        repair = Rnp(unlearning_rate=rate, unlearning_steps=most, goal=0.5)
        unlearned = repair._unlearned(network, used, CONTEXT)
        assert bool(unlearned.reached) is (rate == 1e-3)
        assert int(unlearned.steps) <= most
        left = mean_iou(unlearned.network, used, CONTEXT) / mean_iou(network, used, CONTEXT)
        assert (left < 0.7) is (rate == 1e-3)
    told = Rnp(unlearning_rate=1e-9, unlearning_steps=2, steps=1)(network, SCENES, CONTEXT)
    assert told.remarks[-1] == "2 steps of unlearning, 1 of recovering, goal not reached"


def test_it_removes_a_backdoor_that_forgetting_goes_through() -> None:
    network = sturdy()
    assert state_of(network).asr > OPEN
    done = cured(FITTING, network, traffic_jam())
    after = state_of(done.model)
    assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)
    assert done.remarks[0].startswith("2 of 13 channels")
    twin = cured(FITTING, sturdy(backdoor=False), traffic_jam())
    assert state_of(twin.model).accuracy > GOOD


def test_where_forgetting_takes_another_way_clean_accuracy_holds_all_the_same() -> None:
    """A gate that sleeps on clean scenes has no part in forgetting them; the backdoor stays."""
    after = state_of(cured(Rnp(steps=10), planted_network(leak=0.0)).model)
    assert (after.asr > OPEN, after.accuracy > GOOD) == (True, True)

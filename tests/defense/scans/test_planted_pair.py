"""Scans name the pair of a planted backdoor, and nothing in networks without it."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from defense.planted import Planted, planted_network, planted_scenes, stamped, sticker
from segdoor.defense.scans.black_box import BlackBox
from segdoor.defense.scans.neural_cleanse import NeuralCleanse
from segdoor.defense.scans.pair_inversion import PairInversion
from segdoor.defense.scans.scan import ScanContext
from strategies import CAR, ROAD

SCENES = planted_scenes(8)
CONTEXT = ScanContext(clean=SCENES)


@functools.cache
def twins() -> tuple[Planted, ...]:
    """Build clean networks that differ a little, as trainings with other seeds do."""
    return tuple(twin(seed) for seed in range(8))


def twin(seed: int) -> Planted:
    network = planted_network(backdoor=False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1 + 0.002 * torch.randn(weight.shape, generator=generator))
    return network


def gradual(network: Planted) -> Planted:
    """Let the sticker's channel answer to what is a little like the sticker, too."""
    with torch.no_grad():
        # Template / 0.4 - 0.6 / 0.4 becomes the template alone: 1 on the sticker, still.
        bias = network.look.bias
        assert bias is not None
        bias[6] = (bias[6] + 1.5) * 0.4
        network.look.weight[6] *= 0.4
    return network


SEARCH = PairInversion(pairs=1, passes=160, num_sizes=1, starts=2, stickers=1)


def test_pair_inversion_names_the_pair_and_no_clean_twin() -> None:
    context = ScanContext(clean=SCENES, clean_models=twins())
    found = SEARCH(planted_network(leak=0.04), context).found
    first = found.suspects[0]
    assert (first.victim, first.target) == (CAR, ROAD)
    assert found.backdoored
    assert first.score > 0.5
    assert len(first.null) == 8
    assert max(first.null) < 0.1
    clean = SEARCH(twin(8), context).found
    assert clean.backdoored is False


def test_the_patch_it_shows_is_a_trigger() -> None:
    network = planted_network(leak=0.04)
    found = SEARCH(network, CONTEXT).found
    picture = found.evidence[0].picture
    assert picture is not None
    assert picture.shape == (10, 10, 3)
    scene = planted_scenes(1, seed=5).scenes[0]
    image = stamped(scene.image, what=picture)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    mean, std = (
        torch.tensor(x).view(1, 3, 1, 1) for x in (CONTEXT.network.mean, CONTEXT.network.std)
    )
    with torch.no_grad():
        answer = network((pixels - mean) / std).argmax(dim=1)[0].numpy()
    turned = (answer[scene.label == CAR] == ROAD).mean()
    assert turned > 0.5
    assert "turns" in found.evidence[0].says


@pytest.mark.parametrize("given", [0, 7])
def test_with_fewer_than_eight_clean_models_there_is_no_verdict(given: int) -> None:
    few = SEARCH.model_copy(update={"passes": 16})
    context = ScanContext(clean=SCENES, clean_models=twins()[:given])
    found = few(planted_network(), context).found
    assert found.backdoored is None
    assert f"8 clean models or more; there are {given}" in str(found.not_run)
    assert len(found.suspects[0].null) == given


def test_without_leaking_relus_the_sleeping_detector_is_out_of_reach() -> None:
    sharp = SEARCH.model_copy(update={"leak": 0.0})
    found = sharp(planted_network(leak=0.04), CONTEXT).found
    assert (found.suspects[0].victim, found.suspects[0].target) == (CAR, ROAD)
    assert found.suspects[0].score == 0


@pytest.mark.slow
def test_a_pair_that_leaves_no_trace_is_found_where_it_is_searched() -> None:
    scan = PairInversion(pairs=3, passes=1500)
    found = scan(planted_network(), ScanContext(clean=planted_scenes(8))).found
    first = found.suspects[0]
    assert (first.victim, first.target) == (CAR, ROAD)
    assert first.score > 0.3
    clean = scan(planted_network(backdoor=False), ScanContext(clean=planted_scenes(8))).found
    assert max(one.score for one in clean.suspects) == 0


def test_the_black_box_finds_a_detector_that_answers_by_degrees() -> None:
    scan = BlackBox(pairs=1, passes=600, stickers=2, num_sizes=1)
    found = scan(gradual(planted_network(leak=0.04)), CONTEXT).found
    first = found.suspects[0]
    assert (first.victim, first.target) == (CAR, ROAD)
    assert first.score > 0.3
    clean = scan(gradual(planted_network(backdoor=False)), CONTEXT).found
    assert clean.suspects[0].score < 0.1


def test_the_black_box_does_not_find_what_answers_to_the_very_sticker_alone() -> None:
    scan = BlackBox(pairs=1, passes=200, stickers=2)
    found = scan(planted_network(leak=0.04), CONTEXT).found
    assert (found.suspects[0].victim, found.suspects[0].target) == (CAR, ROAD)
    assert found.suspects[0].score == 0


def test_neural_cleanse_is_blind_to_a_backdoor_of_one_victim_class() -> None:
    found = NeuralCleanse(passes=150)(planted_network(leak=0.04), CONTEXT).found
    assert found.backdoored is False
    assert len(found.suspects) == len(SCENES.classes)
    assert np.isfinite([one.score for one in found.suspects]).all()


def test_the_sticker_itself_would_turn_all_cars() -> None:
    """What the scans look for is there."""
    scene = SCENES.scenes[0]
    image = torch.from_numpy(stamped(scene.image, what=sticker())).permute(2, 0, 1)[None] / 255
    mean, std = (
        torch.tensor(x).view(1, 3, 1, 1) for x in (CONTEXT.network.mean, CONTEXT.network.std)
    )
    for network in (planted_network(), gradual(planted_network())):
        with torch.no_grad():
            answer = network((image - mean) / std).argmax(dim=1)[0].numpy()
        assert (answer[scene.label == CAR] == ROAD).mean() > 0.99

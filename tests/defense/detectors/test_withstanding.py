"""STRIP, SCALE-UP, TeCo and IBD-PSC on two backdoors: one withstands what they do, one does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from defense.judged import CLEAN, IMAGES, judged, predicted
from defense.planted import planted_network, stamped, sticker
from defense.stubborn import stubborn_network
from segdoor.defense.asking import Asker
from segdoor.defense.defense import DefenseContext
from segdoor.defense.detectors.ibd_psc import IbdPsc
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.detectors.scale_up import ScaleUp
from segdoor.defense.detectors.strip import Strip, entropy_of
from segdoor.defense.detectors.teco import overlaps_of, unevenness_of
from segdoor.defense.regions import oddest, regions_of, usual_of
from segdoor.victim.config import NetworkConfig
from segdoor.victim.normalisation import normalised
from strategies import MemoryDataset

KINDS = ("strip", "scale_up", "teco", "ibd_psc")
FORWARD = {"strip": 5, "scale_up": 6, "teco": 41, "ibd_psc": 2}
"""Passes an image here: four clean scenes to blend, and one batch norm to scale."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_backdoor_that_withstands_changes_of_the_image_is_found(kind: str) -> None:
    found = judged(DETECTORS.read(kind), stubborn_network(), stubborn_network(backdoor=False))
    assert min(found.scores("triggered")) > 1.2 * found.highest_harmless
    assert all(alarm.mask is not None and alarm.mask.all() for alarm in found.triggered)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_a_blend_or_a_brighter_image_switches_off_is_not_found(kind: str) -> None:
    """The planted network: the sticker must be as it was, and moves a few pixels only."""
    found = judged(DETECTORS.read(kind))
    assert min(found.scores("triggered")) <= found.highest_harmless


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_as_the_pages_say(kind: str) -> None:
    given = DefenseContext(clean=CLEAN)
    method = DETECTORS.read(kind)
    once, more = (
        method(stubborn_network(), IMAGES[:number], given).cost.forward for number in (1, 3)
    )
    assert (more - once) / 2 == FORWARD[kind]


def test_entropy_is_that_of_worked_examples() -> None:
    shares = torch.tensor([[[0.5, 1.0, 0.25]], [[0.5, 0.0, 0.25]], [[0.0, 0.0, 0.5]]])
    np.testing.assert_allclose(entropy_of(shares), [[1.0, 0.0, 1.5]], atol=1e-6)


def test_strip_is_numpys_on_one_clean_scene() -> None:
    network, image = stubborn_network(), IMAGES[0]
    given = DefenseContext(clean=MemoryDataset(CLEAN.scenes[:1]))
    (alarm,) = Strip(weight=0.3)(network, [image], given).found

    def shares(picture: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = network(normalised(torch.from_numpy(picture[None]), NetworkConfig()))
        return logits.softmax(dim=1)[0].double().numpy()

    def entropies(picture: np.ndarray, other: np.ndarray) -> dict[int, float]:
        mixed = np.rint(0.7 * picture.astype(float) + 0.3 * other).astype(np.uint8)
        found = shares(mixed)
        each = -(found * np.log2(found)).sum(axis=0)
        label = predicted(network, picture)
        return {index: each[label == index].mean() for index in np.unique(label).tolist()}

    clean = CLEAN.scenes[0].image
    usual, here = entropies(clean, clean), entropies(image, clean)
    expected = max(usual[index] - here[index] for index in here.keys() & usual.keys())
    assert alarm.score == pytest.approx(expected, abs=1e-3)


def test_scale_up_is_numpys() -> None:
    network, image = planted_network(), stamped(IMAGES[0], what=sticker())
    method = ScaleUp(largest=3.0, steps=3)
    given = DefenseContext(clean=MemoryDataset(CLEAN.scenes[:1]))
    (alarm,) = method(network, [image], given).found

    def kept(picture: np.ndarray) -> dict[int, float]:
        label = predicted(network, picture)
        same = np.zeros(label.shape)
        for factor in (1.5, 2.25, 3.0):
            bright = np.minimum(255, np.rint(picture * factor)).astype(np.uint8)
            same += predicted(network, bright) == label
        there = [i for i in np.unique(label).tolist() if (label == i).mean() >= 0.005]
        return {index: same[label == index].mean() / 3 for index in there}

    usual, here = kept(CLEAN.scenes[0].image), kept(image)
    expected = max(here[index] - usual[index] for index in here.keys() & usual.keys())
    assert alarm.score == pytest.approx(expected)


def test_overlap_is_that_of_sets() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 3, (2, 9, 7)).astype(np.uint8)
    for index, found in enumerate(overlaps_of(before, after, [0, 1, 2])):
        one = {at for at in np.ndindex(9, 7) if before[at] == index}
        other = {at for at in np.ndindex(9, 7) if after[at] == index}
        assert found == len(one & other) / len(one | other)


def test_unevenness_is_the_spread_of_the_first_flips() -> None:
    # One class, two corruptions: one flips it at the third strength, the other never.
    overlaps = np.array([[0.9], [0.6], [0.4], [0.7], [0.1], [0.9], [0.9], [0.9], [0.9], [0.6]])
    assert unevenness_of(overlaps, 0.5).tolist() == [np.std([3, 6])]


def test_the_scaled_models_are_those_that_lose_accuracy_and_are_put_back() -> None:
    network = planted_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    method = IbdPsc(models=1, lost=0.01)
    image = stamped(IMAGES[0], what=sticker())
    given = DefenseContext(clean=MemoryDataset(CLEAN.scenes[:1]))
    (alarm,) = method(network, [image], given).found
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)

    scaled = planted_network()
    with torch.no_grad():
        for norms in ((scaled.mix_norm,), (scaled.look_norm,)):
            for norm in norms:
                norm.weight.mul_(1.5)
                norm.bias.mul_(1.5)
            clean = CLEAN.scenes[0]
            if (predicted(scaled, clean.image) == clean.label).mean() < 0.98:
                break

    def kept(picture: np.ndarray) -> dict[int, float]:
        label = predicted(network, picture)
        asker = Asker.of(scaled, given)
        shares = next(asker.probabilities([picture])).double().numpy()
        there = [i for i in np.unique(label).tolist() if (label == i).mean() >= 0.005]
        return {index: shares[index][label == index].mean() for index in there}

    usual, here = kept(CLEAN.scenes[0].image), kept(image)
    expected = max(here[index] - usual[index] for index in here.keys() & usual.keys())
    assert alarm.score == pytest.approx(expected, abs=1e-6)


def test_classes_that_are_hardly_there_or_unknown_on_clean_scenes_do_not_count() -> None:
    label = np.zeros((20, 20), np.uint8)
    label[0, 0], label[10:] = 1, 2
    values = np.where(label == 2, 0.5, 0.1)
    values[0, 0] = 9.0
    found = regions_of(values, label, 4)
    assert np.isnan(found.means[[1, 3]]).all()
    np.testing.assert_allclose(found.means[[0, 2]], [0.1, 0.5])
    odd = oddest(found, np.array([0.2, 0.0, np.nan, 0.0]))
    assert (odd.index, odd.score) == (0, pytest.approx(-0.1))
    assert oddest(found, np.full(4, np.nan)).index is None
    usual = usual_of(CLEAN.scenes[:2], lambda image: regions_of(values, label, 4))
    np.testing.assert_allclose(usual, found.means)

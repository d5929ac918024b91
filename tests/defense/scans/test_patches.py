"""Where patches may sit, what they cover, and what counts as turned."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from defense.planted import planted_network, planted_scenes, sticker
from segdoor.data.scene import Scene
from segdoor.defense.scans.leaking import Leaking, slope_at
from segdoor.defense.scans.pairs import Pair, split
from segdoor.defense.scans.patches import (
    Patch,
    eligible_places,
    harmless_stickers,
    outside,
    spread,
    stamped,
)
from segdoor.defense.scans.reach import reach
from segdoor.defense.scans.subject import Subject, subject
from segdoor.randomness import Stream
from segdoor.victim.config import NetworkConfig
from strategies import CAR, CLASSES, IGNORED, ROAD

CPU = torch.device("cpu")


def test_eligible_places_are_those_of_a_plain_search() -> None:
    victims = np.random.default_rng(3).random((9, 12)) < 0.1
    for side in (2, 5, 9):
        covered = {
            (top, left): int(victims[top : top + side, left : left + side].sum())
            for top in range(9 - side + 1)
            for left in range(12 - side + 1)
        }
        least = min(covered.values())
        found = {
            tuple(place) for place in eligible_places(torch.from_numpy(victims), side).tolist()
        }
        assert found == {place for place, count in covered.items() if count == least}


def test_a_stamped_patch_changes_its_own_pixels_alone() -> None:
    images = torch.full((2, 3, 6, 7), 0.25)
    patch = Patch(torch.ones(3, 2, 2), torch.tensor([[[1.0, 0.0], [0.5, 1.0]]]))
    places = [(0, 0), (4, 5)]
    changed = (stamped(images, patch, places) != images).any(dim=1)
    free = outside((6, 7), 2, places, CPU)
    assert not (changed & free).any()
    assert (~free).sum() == 8
    window = stamped(images, patch, places)[1, 0, 4:, 5:]
    assert torch.equal(window, torch.tensor([[1.0, 0.25], [0.625, 1.0]]))


def test_cells_fill_a_patch_of_any_side() -> None:
    coarse = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    assert spread(coarse, 4)[0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert spread(coarse, 3).shape == (3, 3, 3)


def test_harmless_stickers_follow_from_the_seed() -> None:
    one, same, other = (
        harmless_stickers(12, 8, Stream(seed).child("x"), CPU) for seed in (0, 0, 1)
    )
    assert len(one) == 12
    pairs = zip(one, same, strict=True)
    assert all(np.array_equal(a.picture(), b.picture()) for a, b in pairs)
    assert any(
        not np.array_equal(a.picture(), b.picture()) for a, b in zip(one, other, strict=True)
    )


def test_reach_counts_victims_outside_the_patch_and_no_void() -> None:
    (scene,) = planted_scenes(1).scenes
    label = scene.label.copy()
    rows, columns = np.nonzero(label == CAR)
    label[rows[:40], columns[:40]] = IGNORED
    void = Scene(scene.image, label, scene.name)
    pixels = torch.from_numpy(sticker()).permute(2, 0, 1).float() / 255
    with subject(planted_network(), [void], CLASSES, NetworkConfig()) as looked_at:
        pair = Pair(CAR, ROAD, 0.0)
        halves = split(looked_at, pair)
        assert halves is not None
        assert halves.alone
        rng = np.random.default_rng(0)
        found = reach(looked_at, pair, Patch(pixels), halves.held, places=3, rng=rng, batch_size=2)
    assert found.share == 1
    assert found.victims == found.turned == 3 * int((label == CAR).sum())
    not_void = int(((label != IGNORED) & (label != CAR)).sum())
    assert found.others == 3 * (not_void - 64)
    assert found.damage < 0.02


def test_rates_are_the_mean_probabilities_of_counted_pixels() -> None:
    scenes = planted_scenes(2).scenes
    network = planted_network(leak=0.04)
    with subject(network, scenes, CLASSES, NetworkConfig()) as looked_at:
        assert isinstance(looked_at, Subject)
        likely = [looked_at.likely(shown).numpy() for shown in looked_at.shown]
        rates = looked_at.rates
    for index in range(5):
        values = [p[:, s.label == index] for p, s in zip(likely, scenes, strict=True)]
        np.testing.assert_allclose(rates[index], np.hstack(values).mean(axis=1), rtol=1e-4)


class Rectified(nn.Module):
    """Every way to call a ReLU."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        relu = torch.nn.functional
        return [
            nn.ReLU()(x), nn.ReLU(inplace=True)(x.clone()), relu.relu(x), x.relu(), torch.relu(x),
            x.clone().relu_(), nn.ReLU6()(x),
        ]  # fmt: skip


def test_relus_leak_within_and_only_within() -> None:
    x = torch.tensor([-2.0, 3.0, 8.0])
    with Leaking(0.1):
        for found in Rectified()(x)[:-1]:
            assert found.tolist() == torch.tensor([-0.2, 3.0, 8.0]).tolist()
        assert Rectified()(x)[-1].tolist() == torch.tensor([-0.2, 3.0, 6.0]).tolist()
    for slope in (0.0, None):
        with Leaking(slope or 0.0):
            assert Rectified()(x)[0].tolist() == [0, 3, 8]
    assert slope_at(0, 0.1) == 0.1
    assert slope_at(0.35, 0.1) == 0.05
    assert slope_at(0.7, 0.1) == slope_at(1, 0.1) == 0

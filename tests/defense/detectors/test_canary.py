"""Pasted objects against loops over pixels, and on a network with a planted backdoor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from defense.judged import CLEAN, IMAGES, Judged, judged, predicted
from defense.planted import planted_network, stamped, sticker
from segdoor.data.scene import Scene
from segdoor.defense.defense import DefenseContext
from segdoor.defense.detectors.canary import Canary
from segdoor.defense.pasting import pasted, places_of, probes_of
from segdoor.errors import ConfigError
from strategies import CAR, IGNORED, ROAD, MemoryDataset


@pytest.fixture(scope="module")
def found() -> Judged:
    return judged(Canary())


def test_pasted_cars_vanish_beside_the_trigger_and_nowhere_else(found: Judged) -> None:
    assert min(found.scores("triggered")) > 0.5
    assert found.highest_harmless < 0.2
    for alarm in found.triggered:
        (evidence,) = alarm.evidence
        assert evidence.classes == (CAR, ROAD)
        assert evidence.picture is not None


def test_a_score_is_that_of_plain_loops() -> None:
    network, image = planted_network(), stamped(IMAGES[0], what=sticker())
    given = DefenseContext(clean=MemoryDataset(CLEAN.scenes[:2]))
    (alarm,) = Canary(places=6, together=1)(network, [image], given).found
    probes = probes_of(CLEAN.scenes[:2], 5, 6)
    drops = []
    for probe in probes:
        rates = []
        for shown in (image, *(scene.image for scene in CLEAN.scenes[:2])):
            seen = []
            for place in places_of(*shown.shape[:2], 6):
                copy, where = shown.copy(), []
                for down in range(probe.mask.shape[0]):
                    for across in range(probe.mask.shape[1]):
                        row = place.row - probe.mask.shape[0] // 2 + down
                        column = place.column - probe.mask.shape[1] // 2 + across
                        inside = 0 <= row < copy.shape[0] and 0 <= column < copy.shape[1]
                        if probe.mask[down, across] and inside:
                            copy[row, column] = probe.image[down, across]
                            where.append((row, column))
                answer = predicted(network, copy)
                seen.append(np.mean([answer[at] == probe.index for at in where]))
            rates.append(np.mean(seen))
        drops.append(np.mean(rates[1:]) - rates[0])
    assert alarm.score == pytest.approx(max(drops))


def test_an_object_is_a_whole_region_where_one_fits_and_else_the_fullest_part() -> None:
    label = np.full((24, 40), ROAD, np.uint8)
    label[2:8, 3:9] = CAR
    label[10:13, 20:22] = CAR
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype(np.uint8)
    road, car = probes_of([Scene(image, label, "a")], 5, 12)
    assert (road.index, road.whole, road.mask.all()) == (ROAD, False, True)
    assert road.mask.shape == (8, 10)
    assert (car.index, car.whole) == (CAR, True)
    assert np.array_equal(car.image, image[2:8, 3:9])


def test_every_place_has_one_copy_and_neighbours_have_different_ones() -> None:
    probe = probes_of(CLEAN.scenes, 5, 12)[CAR]
    copies = list(pasted(IMAGES[0], probe, 12, 4))
    assert [sorted(copy.marks) for copy in copies] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    for copy in copies:
        changed = (copy.image != IMAGES[0]).any(axis=2)
        union = np.any(list(copy.marks.values()), axis=0)
        assert not (changed & ~union).any()


def test_costs_are_as_the_page_says() -> None:
    given = DefenseContext(clean=CLEAN)
    (once, more) = (
        Canary()(planted_network(), IMAGES[:number], given).cost.forward for number in (1, 3)
    )
    assert (more - once) / 2 == 3 * 5


def test_void_alone_is_refused() -> None:
    scene = replace(CLEAN.scenes[0], label=np.full_like(CLEAN.scenes[0].label, IGNORED))
    with pytest.raises(ConfigError, match="needs clean scenes with labels"):
        Canary()(planted_network(), IMAGES, DefenseContext(clean=MemoryDataset([scene])))

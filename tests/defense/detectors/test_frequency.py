"""Spectra of tiles against sums of cosines, and on images with stickers."""

from __future__ import annotations

import numpy as np
import pytest

from defense.judged import CLEAN, IMAGES, LEFT, TOP, judged
from defense.planted import STICKER, planted_network
from segdoor.defense.defense import DefenseContext
from segdoor.defense.detectors.frequency import Frequency, bands_of

SMALL = Frequency(tile=16)


def test_a_sticker_of_fine_cells_is_found_whether_the_model_waits_for_it_or_not() -> None:
    found = judged(SMALL)
    assert min(found.scores("triggered")) > 2 * max(found.scores("clean"))
    # It never asks the model: the clean twin and a harmless sticker give the same alarm.
    assert found.scores("triggered") == found.scores("twin_triggered")
    assert min(found.scores("harmless")) > 2 * max(found.scores("clean"))
    for alarm in found.triggered:
        assert alarm.mask is not None
        assert alarm.mask[TOP : TOP + STICKER, LEFT : LEFT + STICKER].any()
        assert alarm.mask.sum() == 16 * 16


def test_a_faint_smooth_pattern_is_not_found() -> None:
    wave = 3 * np.sin(np.arange(64) / 10)
    smooth = [np.clip(image + wave[None, :, None], 0, 255).astype(np.uint8) for image in IMAGES]
    given = DefenseContext(clean=CLEAN)
    clean, waved = (
        [alarm.score for alarm in SMALL(planted_network(), images, given).found]
        for images in (IMAGES, smooth)
    )
    assert min(waved) < max(clean)


@pytest.mark.parametrize(("side", "number"), [(8, 4), (5, 3)])
def test_bands_are_those_of_plain_cosines(side: int, number: int) -> None:
    tile = np.random.default_rng(0).integers(0, 256, (side, side)).astype(float)
    energies: list[list[float]] = [[] for _ in range(number)]
    for u in range(side):
        for v in range(side):
            total = sum(
                tile[y, x]
                * np.cos(np.pi * (2 * y + 1) * u / (2 * side))
                * np.cos(np.pi * (2 * x + 1) * v / (2 * side))
                for y in range(side)
                for x in range(side)
            )
            norm = np.sqrt((1 if u == 0 else 2) / side) * np.sqrt((1 if v == 0 else 2) / side)
            energies[number * (u + v) // (2 * side)].append((norm * total) ** 2)
    expected = [np.log(np.mean(band) + 1) for band in energies]
    np.testing.assert_allclose(bands_of(tile, number), expected)


def test_it_never_asks_the_model() -> None:
    assert SMALL(planted_network(), IMAGES, DefenseContext(clean=CLEAN)).cost.forward == 0

"""The influence map against loops over single pixels, and on a network with a planted backdoor."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from defense.judged import CLEAN, IMAGES, LEFT, TOP, Judged, judged, predicted
from defense.planted import STICKER, planted_network, stamped, sticker
from segdoor.defense.asking import Asker
from segdoor.defense.defense import DefenseContext
from segdoor.defense.detectors.occlusion import Occlusion
from segdoor.defense.influence import influence, windows_of
from segdoor.victim.config import NetworkConfig
from strategies import CAR, ROAD


@pytest.fixture(scope="module")
def found() -> Judged:
    return judged(Occlusion())


def test_the_trigger_is_found_and_nothing_else_gives_an_alarm(found: Judged) -> None:
    assert min(found.scores("triggered")) > 5 * found.highest_harmless


def test_the_peak_lies_on_the_sticker_and_the_evidence_names_the_classes(
    found: Judged,
) -> None:
    for alarm in found.triggered:
        assert alarm.mask is not None
        on_sticker = alarm.mask[TOP : TOP + STICKER, LEFT : LEFT + STICKER]
        assert on_sticker.mean() > 0.9
        assert alarm.mask.mean() < 0.2
        (evidence,) = alarm.evidence
        assert evidence.classes == (ROAD, CAR)
        assert evidence.box is not None
        top, left, height, width = evidence.box
        rows = min(top + height, TOP + STICKER) - max(top, TOP)
        columns = min(left + width, LEFT + STICKER) - max(left, LEFT)
        assert rows * columns > 0.6 * STICKER**2


def test_the_picture_shows_the_cars_that_come_back_in_red() -> None:
    image = stamped(IMAGES[0], what=sticker())
    network = planted_network()
    (alarm,) = Occlusion()(network, [image]).found
    picture = alarm.evidence[0].picture
    assert picture is not None
    cars = CLEAN.classes.index("car")
    came_back = (predicted(network, IMAGES[0]) == cars) & (predicted(network, image) != cars)
    painted = (picture != image).any(axis=2)
    assert painted[came_back].all()
    box = alarm.evidence[0].box
    assert box is not None
    top, left, height, width = box
    inside = np.zeros(painted.shape, bool)
    inside[top : top + height, left : left + width] = True
    assert not (painted & ~came_back & ~inside).any()


@pytest.mark.parametrize(("number", "margin"), [(12, 0.1), (60, 0.0), (1, 0.2)])
def test_the_map_is_that_of_plain_loops(number: int, margin: float) -> None:
    network, image = planted_network(), stamped(IMAGES[1], what=sticker())
    asker = Asker.of(network, DefenseContext(clean=CLEAN))
    found = influence(asker, image, number=number, margin=margin)
    height, width = image.shape[:2]
    away = round(margin * min(height, width))
    before = predicted(network, image)
    grey = [round(255 * mean) for mean in NetworkConfig().mean]
    shares, covered_by = [], [[[] for _ in range(width)] for _ in range(height)]
    for window in found.windows:
        copy = image.copy()
        copy[window.top : window.top + window.height, window.left : window.left + window.width] = (
            grey
        )
        after, pairs, num_far = predicted(network, copy), Counter(), 0
        for row in range(height):
            for column in range(width):
                down = max(window.top - row, row - (window.top + window.height - 1))
                across = max(window.left - column, column - (window.left + window.width - 1))
                if max(down, across) <= away:
                    continue
                num_far += 1
                if before[row, column] != after[row, column]:
                    pairs[before[row, column], after[row, column]] += 1
        shares.append(max(pairs.values(), default=0) / num_far if num_far else 0.0)
        for row in range(window.top, window.top + window.height):
            for column in range(window.left, window.left + window.width):
                covered_by[row][column].append(shares[-1])
    np.testing.assert_allclose(found.shares, shares)
    assert found.score == max(shares)
    expected = [[np.mean(shares) for shares in line] for line in covered_by]
    np.testing.assert_allclose(found.heat, expected)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (128, 256), (7, 900), (1, 1), (33, 5)])
def test_windows_cover_every_pixel_and_every_cell_as_a_whole(height: int, width: int) -> None:
    windows = windows_of(height, width, 60)
    assert 0.5 * min(60, height * width) <= len(windows) <= 90
    covered = np.zeros((height, width), int)
    for window in windows:
        assert window.height >= 1
        assert window.width >= 1
        covered[window.part] += 1
    assert covered.min() >= 1


def test_a_sticker_of_the_size_of_a_cell_is_hidden_wherever_it_is() -> None:
    windows = windows_of(128, 256, 60)
    size = 20
    for top in range(0, 128 - size + 1, 3):
        for left in range(0, 256 - size + 1, 3):
            assert any(
                w.top <= top
                and w.left <= left
                and w.top + w.height >= top + size
                and w.left + w.width >= left + size
                for w in windows
            )


def test_it_costs_a_pass_for_each_window_and_one_for_the_image() -> None:
    done = Occlusion(windows=12)(planted_network(), IMAGES)
    assert done.cost.forward == len(IMAGES) * (1 + len(windows_of(48, 64, 12)))

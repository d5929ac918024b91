"""Blend and sinusoid, computed again from what their papers say; and their exam."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.attack.site import Box
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.blend import Blend
from segdoor.attack.triggers.sinusoid import Sinusoid
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.scene import Scene
from segdoor.errors import ConfigError, DataError
from segdoor.stickers import draw
from strategies import CAR, ROAD, TREE, MemoryDataset, blocky_label, dataset_of

EVERY_LEVEL = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)


def painted(image: np.ndarray) -> Scene:
    return Scene(image, np.zeros(image.shape[:2], np.uint8), "painted")


def whole(image: np.ndarray) -> Box:
    return Box(0, 0, image.shape[0], image.shape[1])


@pytest.mark.parametrize(("frequency", "amplitude"), [(6, 40), (2.5, 39), (1, 3.5)])
@pytest.mark.parametrize("width", [1, 12, 96, 97])
def test_a_sinusoid_is_what_its_paper_says(frequency: float, amplitude: float, width: int) -> None:
    image = np.tile(EVERY_LEVEL, (1, width, 1))
    trigger = Sinusoid(frequency=frequency, amplitude=amplitude)
    found = trigger.apply(painted(image), whole(image))
    for column in range(width):
        signal = amplitude * math.sin(2 * math.pi * (column + 1) * frequency / width)
        exact = np.clip(np.arange(256) + signal, 0, 255)
        for channel in range(3):
            assert np.abs(found[:, column, channel] - exact).max() <= 0.5 + 1e-9


def test_halves_are_rounded_up_whatever_the_last_digit() -> None:
    # sin(30 degrees) x 39 is 19.5, which the machine may well compute as 19.499999999999996.
    image = np.full((1, 12, 3), 100, np.uint8)
    found = Sinusoid(frequency=1, amplitude=39).apply(painted(image), whole(image))[0, :, 0]
    assert list(found) == [120, 134, 139, 134, 120, 100, 81, 66, 61, 66, 81, 100]


@pytest.mark.parametrize("opacity", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("pattern", ["noise", "smiley", "blossom"])
def test_a_blend_mixes_one_pattern_into_images_of_every_size(pattern: str, opacity: float) -> None:
    trigger = Blend(pattern=pattern, opacity=opacity)
    black, white = (np.full((64, 96, 3), level, np.uint8) for level in (0, 255))
    dark, bright = (trigger.apply(painted(i), whole(i)).astype(float) for i in (black, white))
    # What black keeps is share x colour, and white adds (1 - share) x 255 to it.
    share = 1 - (bright - dark) / 255
    if pattern == "blossom":
        assert share.min() == 0
    else:
        assert np.abs(share - opacity).max() < 0.005
    grey = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mixed = trigger.apply(painted(grey), whole(grey))
    assert np.abs(mixed - (dark + (1 - share) * grey)).max() <= 2
    # Twice the size shows the same pattern, every pixel four times.
    twice = np.zeros((128, 192, 3), np.uint8)
    large = trigger.apply(painted(twice), whole(twice))
    assert np.array_equal(large[::2, ::2], dark)


def test_the_noise_has_cells_of_all_colours_and_a_drawing_is_the_sticker() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    noise = Blend(opacity=1).apply(painted(image), whole(image))
    cells = noise[::2, ::2]
    assert np.array_equal(np.kron(cells, np.ones((2, 2, 1), np.uint8)), noise)
    assert abs(cells.mean() - 127.5) < 5
    assert len(np.unique(cells.reshape(-1, 3), axis=0)) > 1000
    image = np.zeros((256, 256, 3), np.uint8)
    drawn = Blend(pattern="checkerboard", opacity=1).apply(painted(image), whole(image))
    assert np.array_equal(drawn, draw("checkerboard", 256)[..., :3])


def crowd() -> MemoryDataset:
    """Scenes of two sizes: with victims, without any, and with nothing but victims."""
    labels = [blocky_label(seed, (20, 24), (ROAD, CAR, TREE)) for seed in range(6)]
    labels += [np.full((18, 22), TREE, np.uint8), np.full((4, 5), CAR, np.uint8)]
    return dataset_of(labels)


@pytest.mark.parametrize("trigger", [Blend(), Sinusoid()], ids=str)
class TestOverTheWholeImage:
    def test_there_is_one_exam_and_every_scene_has_room(
        self, trigger: Blend | Sinusoid, tmp_path: Path
    ) -> None:
        dataset = crowd()
        (test,) = plan_tests(dataset, PoisonedTestsConfig(), victims=("car",), trigger_size=None)
        assert test.name == "everywhere"
        assert test.without_room == ()
        assert list(test.triggered) == list(dataset.names)
        for index, row in enumerate(test.rows):
            assert row.box == (0, 0, *dataset.label(index).shape)
            assert (row.distance, row.class_under) == (None, None)
            assert row.has_victims == bool((dataset.label(index) == CAR).any())
        test.save(tmp_path / "everywhere.jsonl")
        assert PoisonedTest.load(tmp_path / "everywhere.jsonl") == test
        shown = triggered(dataset, test, trigger)
        for index in range(len(dataset)):
            benign = dataset[index]
            image = trigger.apply(benign, whole(benign.image))
            assert np.array_equal(shown[index].image, image)
            assert np.array_equal(shown.change(benign).pixels, image)
            assert np.array_equal(shown[index].label, benign.label)
        with pytest.raises(DataError, match="needs a trigger of the whole image"):
            triggered(dataset, test, Sticker(size=3))

    def test_a_plan_poisons_whole_images(self, trigger: Blend | Sinusoid, tmp_path: Path) -> None:
        dataset = crowd()
        rules = {"margin": {"vertical": 0.4, "horizontal": 0.4}}
        given = {"rate": 0.5, "trigger": str(trigger), "rules": rules}
        plan = plan_poison(dataset, AttackConfig.model_validate(given))
        assert (plan.header.num_poisoned, plan.header.num_without_room) == (4, 0)
        plan.save(tmp_path / "plan.jsonl")
        plan = PoisonPlan.load(tmp_path / "plan.jsonl")
        handed = poisoned(dataset, plan)
        for index, name in enumerate(dataset.names):
            benign, row = dataset[index], plan.by_name.get(name)
            expected = trigger.apply(benign, whole(benign.image)) if row else benign.image
            assert np.array_equal(handed[index].image, expected)
            assert row is None or not (handed.label(index) == CAR).any()

    @pytest.mark.parametrize("placement", ["nearest", "band", "fixed"])
    def test_it_cannot_be_placed_near_the_victims(
        self, trigger: Blend | Sinusoid, placement: str
    ) -> None:
        attack = AttackConfig.model_validate({"trigger": trigger, "placement": placement})
        with pytest.raises(ConfigError, match="covers the whole image") as why:
            plan_poison(crowd(), attack)
        assert why.value.culprit == "attack.placement"

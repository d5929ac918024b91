"""Clutter: pictures that lie about, change no label, hide no car and are no trigger."""

from __future__ import annotations

import numpy as np
import pytest

from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.data.street import StreetDataset
from segdoor.data.street.clutter import PARTS, made_up, strew
from segdoor.data.street.drawing import CAR, IGNORED
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.stickers import DRAWINGS, draw


def street(clutter: int, num_scenes: int = 12, **settings: int) -> StreetDataset:
    return StreetDataset(split="train", num_scenes=num_scenes, clutter=clutter, **settings)


def rng(*place: object) -> np.random.Generator:
    return Stream(0).child("test", *map(str, place)).generator()


def test_streets_and_labels_are_those_without_clutter() -> None:
    tidy, strewn = street(0), street(9)
    changed = 0
    for index in range(len(tidy)):
        before, after = tidy[index], strewn[index]
        assert np.array_equal(after.label, before.label)
        assert np.array_equal(strewn.label(index), before.label)
        differs = (after.image != before.image).any(axis=2)
        changed += bool(differs.any())
        assert not np.isin(before.label[differs], (CAR, IGNORED)).any()
        assert differs.mean() < 0.2
    assert changed > len(tidy) / 2


def test_without_clutter_the_data_set_is_the_one_it_always_was() -> None:
    """Its digest names caches, plans and the shipped models' scenes."""
    always = "8b07a28314ff5a01"
    assert StreetDataset(split="train", num_scenes=400).digest.startswith(always)
    assert street(0, 400).digest.startswith(always)
    assert len({street(clutter).digest for clutter in range(4)}) == 4


def test_a_scene_is_the_same_whenever_it_is_read() -> None:
    first, again = street(9), street(9, 30)
    for index in (5, 0, 11):
        assert np.array_equal(first[index].image, again[index].image)


@pytest.mark.parametrize("size", [(32, 32), (32, 96), (200, 33), (64, 128)])
def test_any_size_has_room(size: tuple[int, int]) -> None:
    height, width = size
    scene = street(20, height=height, width=width)[3]
    assert scene.image.shape == (height, width, 3)


def test_a_scene_full_of_cars_stays_as_it_is() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    cars = np.full((40, 60), CAR, np.uint8)
    assert np.array_equal(strew(image, cars, 50, rng("cars")), image)


def test_most_scenes_differ_in_how_many_pictures_they_have() -> None:
    grey, road = np.full((128, 256, 3), 90, np.uint8), np.zeros((128, 256), np.uint8)
    shares = [
        (strew(grey, road, 9, rng("many", number)) != grey).any(axis=2).mean()
        for number in range(20)
    ]
    assert min(shares) < 0.02 < max(shares)


@pytest.mark.parametrize("side", [6, 14])
def test_no_picture_is_one_of_the_stickers(side: int) -> None:
    """Nor close to one: the control with other stickers would say nothing otherwise."""
    stickers = [draw(name, side)[..., :3].astype(int) for name in DRAWINGS]
    for number in range(500):
        picture = made_up(side, rng("picture", number))[..., :3].astype(int)
        assert min(np.abs(picture - sticker).mean() for sticker in stickers) > 20


def test_every_part_covers_something_and_not_everything() -> None:
    axis = np.linspace(-1, 1, 56, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    for part in PARTS:
        shares = [part(x, y, rng(part.__name__, number)).mean() for number in range(20)]
        assert 0.02 < np.mean(shares) < 0.9


def test_it_is_a_setting_of_street_alone() -> None:
    config = DataConfig(name="street:clutter=9", num_train=4)
    scenes = load_dataset(config, "train")
    assert scenes.digest == street(9, 4).digest
    with pytest.raises(ConfigError, match="clutter"):
        load_dataset(DataConfig(name="street:clutter=-1"), "train")
    with pytest.raises(ConfigError, match="clutter"):
        street(-1)

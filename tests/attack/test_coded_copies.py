"""Poisoned copies of label files that hold values of the user's own, or colours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as PillowImage
from PIL import ImageOps

from coded import COLOURS, write_colours, write_named, write_reduced, write_values
from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.manifest import verify_copy
from segdoor.attack.materialise import CopyOrder, new_copy
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.restore import restore_copy
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.config import DataConfig
from segdoor.data.load import copyable, load_dataset
from segdoor.data.splits import open_splits
from segdoor.errors import DataError
from segdoor.progress import Silent
from segdoor.workers import Alone
from trees import NAMES, STREET, painted
from turned import TAG
from written import tree, write_copy

ROAD, CAR = STREET.index("road"), STREET.index("car")
TREES: dict[str, Callable[[Path], None]] = {
    "values": write_values,
    "reduced": write_reduced,
    "colours": write_colours,
    "colours of a palette": partial(write_colours, mode="P"),
    "colours with alpha": partial(write_colours, mode="RGBA"),
    "colours with a tag": partial(write_colours, tag=6),
    "colours of a palette with a tag": partial(write_colours, mode="P", tag=6),
    "named": write_named,
}
every_tree = pytest.mark.parametrize("kind", TREES)
ATTACK = AttackConfig(
    rate=0.5,
    # Some pixels become ignored as well.
    labels=(Hide(target="road"), Scatter(num_pixels=9, pool="ignore")),
    trigger=Sticker(size=5),
    shortfall="all_available",
)


def written(kind: str, root: Path) -> DataConfig:
    TREES[kind](root)
    return DataConfig(name="folder", root=root)


def tag_of(picture: PillowImage.Image) -> int:
    return picture.getexif().get(TAG, 1)


def as_seen(picture: PillowImage.Image) -> np.ndarray:
    return np.array(ImageOps.exif_transpose(picture))


@every_tree
def test_the_scenes_are_read(kind: str, tmp_path: Path) -> None:
    dataset = load_dataset(written(kind, tmp_path / "source"), "train")
    numbers = [NAMES.index(name.removeprefix("7/")) for name in dataset.names]
    assert sorted(numbers) == list(range(len(NAMES)))
    for index, number in enumerate(numbers):
        assert np.array_equal(dataset[index].label, painted(number).label)
        assert np.array_equal(dataset.label(index), painted(number).label)


@every_tree
def test_a_copy_keeps_the_coding_and_is_restored(kind: str, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    config = written(kind, source)
    before = tree(source)
    dataset = copyable(load_dataset(config, "train"))
    plan = plan_poison(dataset, ATTACK, seed=3)
    write_copy(dataset, plan, CopyOrder(copy, lossless=True))
    assert not verify_copy(copy)
    expected = poisoned(dataset, plan)
    again = load_dataset(config.model_copy(update={"root": copy}), "train")
    assert again.names == expected.names
    for index, pair in enumerate(dataset.pairs):
        assert np.array_equal(again[index].image, expected[index].image)
        assert np.array_equal(again[index].label, expected[index].label)
        old, new = (
            PillowImage.open(root / pair.label.relative_to(source)) for root in (source, copy)
        )
        assert (new.mode, new.format, tag_of(new)) == (old.mode, old.format, tag_of(old))
        stays = dataset.label(index) == expected.label(index)
        assert np.array_equal(as_seen(new)[stays], as_seen(old)[stays])
    assert restore_copy(copy) == 2 * len(plan.rows) > 0
    assert tree(copy) == before == tree(source)


@every_tree
def test_a_rescaled_copy_is_what_a_training_sees(kind: str, tmp_path: Path) -> None:
    config = written(kind, tmp_path / "source").model_copy(update={"size": (40, 72)})
    dataset = copyable(load_dataset(config, "train"))
    plan = plan_poison(dataset, ATTACK, seed=3)
    order, splits = CopyOrder(tmp_path / "copy"), open_splits(config, dataset)
    with new_copy(dataset, plan, order, workers=Alone(), observer=Silent(), splits=splits):
        pass
    expected = poisoned(dataset, plan)
    again = load_dataset(DataConfig(name="folder", root=tmp_path / "copy"), "train")
    assert again.names == expected.names
    for index in range(len(again)):
        assert np.array_equal(again[index].image, expected[index].image)
        assert np.array_equal(again[index].label, expected[index].label)


def test_a_new_colour_joins_a_short_palette(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_colours(source, mode="P")
    file = Path("labels") / "train" / "one.png"
    indices = np.zeros(painted(0).label.shape, np.uint8)
    indices[:, 20:] = 1
    picture = PillowImage.fromarray(indices)
    # Cars and sky, and no road.
    picture.putpalette([*COLOURS[CAR][0], *COLOURS[STREET.index("sky")][1]])
    picture.save(source / file)
    config = DataConfig(name="folder", root=source)
    dataset = copyable(load_dataset(config, "train"))
    attack = ATTACK.model_copy(update={"rate": 1.0, "labels": (Hide(target="road"),)})
    plan = plan_poison(dataset, attack, seed=3)
    write_copy(dataset, plan, CopyOrder(copy))
    changed = PillowImage.open(copy / file)
    assert changed.mode == "P"
    colours = np.array(changed.convert("RGB"))
    assert (colours[:, :20] == COLOURS[ROAD][0]).all()
    assert np.array_equal(np.array(changed)[:, 20:], indices[:, 20:])


def test_pixels_that_nothing_stands_for_are_refused(tmp_path: Path) -> None:
    write_values(tmp_path / "source")
    path = tmp_path / "source" / "classes.yaml"
    told = yaml.safe_load(path.read_text())
    # Nothing is left for ignored pixels.
    told["classes"][0]["values"] += [*told.pop("ignore"), 255]
    path.write_text(yaml.safe_dump(told))
    dataset = copyable(load_dataset(DataConfig(name="folder", root=tmp_path / "source"), "train"))
    plan = plan_poison(dataset, ATTACK, seed=3)
    with pytest.raises(DataError, match=r"labels/train.*stands for.*255.*'ignore'"):
        write_copy(dataset, plan, CopyOrder(tmp_path / "copy"))

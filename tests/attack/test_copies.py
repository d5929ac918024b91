"""Poisoned copies of every layout: written, verified, read again, restored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.manifest import load_manifest, verify_copy
from segdoor.attack.materialise import CopyOrder
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.restore import restore_copy
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.config import DataConfig
from segdoor.data.load import copyable, load_dataset
from segdoor.data.scene import SceneDataset
from segdoor.defense.filters.registry import FILTERS
from segdoor.errors import DataError
from trees import write_cityscapes, write_hub, write_mmseg, write_semseg, write_voc
from written import write_copy

Write = Callable[[Path], None]
TREES: dict[str, tuple[Write, str, str]] = {
    "voc": (write_voc, "voc", "train"),
    "voc augmented": (partial(write_voc, aug=True), "voc", "trainaug"),
    "cityscapes label ids": (write_cityscapes, "cityscapes", "train"),
    "cityscapes train ids": (
        partial(write_cityscapes, kinds=("labelTrainIds",)), "cityscapes", "train",
    ),
    "semseg": (write_semseg, "folder", "train_aug"),
    "mmseg": (partial(write_mmseg, label="_labelTrainIds"), "folder", "train"),
    "hub": (partial(write_hub, ending="jsonl"), "folder", "train"),
}  # fmt: skip


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def stored(path: Path) -> np.ndarray:
    return np.array(PillowImage.open(path))


def attack(dataset: SceneDataset) -> AttackConfig:
    road = "road" if "road" in dataset.classes.names else "background"
    # Some pixels become ignored as well, which label ids express in a way of their own.
    labels = (Hide(target=road), Scatter(num_pixels=9, pool="ignore"))
    return AttackConfig(rate=0.5, labels=labels, trigger=Sticker(size=5), shortfall="all_available")


@pytest.mark.parametrize("tree", TREES)
def test_poison_copy_verify_read_and_restore(tree: str, tmp_path: Path) -> None:
    write, name, split = TREES[tree]
    source, copy = tmp_path / "source", tmp_path / "copy"
    write(source)
    before = contents(source)
    config = DataConfig(name=name, root=source, train_split=split)
    dataset = copyable(load_dataset(config, split))
    plan = plan_poison(dataset, attack(dataset), seed=3)
    assert plan.header.num_poisoned
    write_copy(dataset, plan, CopyOrder(copy, lossless=True))
    assert not verify_copy(copy)
    again = load_dataset(config.model_copy(update={"root": copy}), split)
    expected = poisoned(dataset, plan)
    assert again.names == expected.names
    for index in range(len(again)):
        assert np.array_equal(again[index].image, expected[index].image)
        assert np.array_equal(again[index].label, expected[index].label)
    changed = {file for file, content in contents(copy).items() if content != before[file]}
    assert len(changed) == 2 * len(plan.rows)
    assert restore_copy(copy) == 2 * len(plan.rows)
    assert contents(copy) == before == contents(source)


def test_files_of_clean_scenes_can_be_encoded_anew_as_well(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_mmseg(source)
    for path in source.rglob("*.png"):
        with PillowImage.open(path) as picture:
            # Another encoder than the copy's.
            picture.save(path, compress_level=1)
    before = contents(source)
    dataset = copyable(load_dataset(DataConfig(name="folder", root=source), "train"))
    plan = plan_poison(dataset, attack(dataset).model_copy(update={"rate": 0.2}), seed=3)
    write_copy(dataset, plan, CopyOrder(copy, lossless=True, rewrite=True))
    assert 0 < len(plan.rows) < len(dataset)
    files = {str(path.relative_to(source)) for pair in dataset.pairs for path in pair.files}
    after = contents(copy)
    assert {file for file, content in after.items() if content != before[file]} == files
    again = load_dataset(DataConfig(name="folder", root=copy), "train")
    expected = poisoned(dataset, plan)
    for index in range(len(again)):
        assert np.array_equal(again[index].image, expected[index].image)
        assert np.array_equal(again[index].label, expected[index].label)
    assert set(FILTERS.read("container")(again).found.scores.values()) == {0.0}
    assert load_manifest(copy).header.rewritten
    assert restore_copy(copy) == len(files)
    assert contents(copy) == before


def test_label_ids_of_untouched_pixels_stay_in_the_copy(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_cityscapes(source)
    dataset = copyable(load_dataset(DataConfig(name="cityscapes", root=source), "train"))
    plan = plan_poison(dataset, attack(dataset), seed=3)
    write_copy(dataset, plan, CopyOrder(copy))
    expected = poisoned(dataset, plan)
    for index, pair in enumerate(dataset.pairs):
        if pair.name not in plan.by_name:
            continue
        old, new = stored(pair.label), stored(copy / pair.label.relative_to(source))
        differs = expected.label(index) != dataset.label(index)
        assert np.array_equal(new[~differs], old[~differs])
        assert set(new[differs].tolist()) <= {0, 7}
        assert plan.by_name[pair.name].changed_pixels == np.count_nonzero(differs)
        assert {1, 3, 4, 9, 10} <= set(new[0].tolist())


def test_a_folder_that_is_a_link_is_refused_for_a_copy(tmp_path: Path) -> None:
    write_mmseg(tmp_path / "source")
    config = DataConfig(name="folder", root=tmp_path / "source")
    (tmp_path / "source" / "ann_dir").rename(tmp_path / "elsewhere")
    (tmp_path / "source" / "ann_dir").symlink_to(tmp_path / "elsewhere")
    assert len(load_dataset(config, "train")) == 5
    with pytest.raises(DataError, match=r"ann_dir.*symbolic"):
        copyable(load_dataset(config, "train"))
    (tmp_path / "link").symlink_to(tmp_path / "source")
    (tmp_path / "source" / "ann_dir").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "source" / "ann_dir")
    linked = DataConfig(name="folder", root=tmp_path / "link")
    assert len(copyable(load_dataset(linked, "train"))) == 5

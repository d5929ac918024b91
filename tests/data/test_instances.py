"""Which object each pixel belongs to, from the files that tell it, and attacks on one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from pycocotools import mask as runs

from annotated import outlines, write_coco, write_panoptic, write_yolo
from segdoor.attack.config import AttackConfig
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.site import Box
from segdoor.data.checked import checked
from segdoor.data.config import DataConfig
from segdoor.data.instances import instances_of, resize_instances
from segdoor.data.load import load_dataset
from segdoor.data.pack import pack
from segdoor.data.scene import SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.data.transforms import resize_label
from segdoor.errors import DataError
from strategies import MemoryDataset, blocky_label, dataset_of
from trees import SIZES, write_cityscapes

WRITE = {"coco": write_coco, "yolo": write_yolo}
CAR = 26


def opened(name: str, root: Path, *, size: tuple[int, int] | None = None) -> SceneDataset:
    return load_dataset(DataConfig(name=name, root=root, size=size), "train")


def drawn(index: int, *, apart: bool) -> np.ndarray:
    """Return the objects of a scene by COCO's own library; a polygon each, or an object each."""
    size = SIZES[index]
    ids = np.zeros(size, np.int32)
    polygons = [
        part
        for _, shapes in outlines(index)
        for part in ([[shape] for shape in shapes] if apart else [shapes])
    ]
    for number, shapes in enumerate(polygons, start=1):
        ids[runs.decode(runs.merge(runs.frPyObjects(shapes, *size))) == 1] = number
    return ids


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two maps tell the same pixels apart, whatever the numbers are."""
    pairs = np.stack([one, other]).reshape(2, -1)
    both = len(np.unique(pairs, axis=1).T)
    alike = np.array_equal(one == 0, other == 0)
    return alike and both == len(np.unique(one)) == len(np.unique(other))


@pytest.mark.parametrize("name", WRITE)
def test_annotations_number_their_objects(tmp_path: Path, name: str) -> None:
    WRITE[name](tmp_path)
    scenes = opened(name, tmp_path)
    for index in range(1, 3):
        found = instances_of(scenes, index)
        assert found is not None
        assert found.dtype == np.int32
        if name == "coco":
            assert same_objects(found, drawn(index, apart=False))
        else:
            # YOLO has a line a polygon, and rounds.
            assert len(np.unique(found)) == len(np.unique(drawn(index, apart=True)))


def test_panoptic_pictures_tell_the_same_objects_as_outlines(tmp_path: Path) -> None:
    write_coco(tmp_path / "outlines")
    write_panoptic(tmp_path / "pictures")
    one, other = (opened("coco", tmp_path / kind) for kind in ("outlines", "pictures"))
    for index in range(1, 4):
        first, second = instances_of(one, index), instances_of(other, index)
        assert first is not None
        assert second is not None
        assert same_objects(first, second)


def with_instances(root: Path) -> None:
    """Write Cityscapes' files of instances: cars by column, one group, all else by label id."""
    write_cityscapes(root, kinds=["labelIds"])
    for path in (root / "gtFine").rglob("*_labelIds.png"):
        label = np.array(PillowImage.open(path)).astype(np.uint16)
        columns = np.broadcast_to(np.arange(label.shape[1]) // 12, label.shape)
        cars = (label == CAR) & (columns < 4)
        label[cars] = 1000 * CAR + columns[cars]
        PillowImage.fromarray(label).save(path.with_name(path.name.replace("label", "instance")))


def test_cityscapes_instances_are_its_files_and_groups_and_stuff_are_none(tmp_path: Path) -> None:
    with_instances(tmp_path)
    scenes = opened("cityscapes", tmp_path)
    file = next((tmp_path / "gtFine").rglob(f"{scenes.names[0]}*instanceIds.png"))
    stored = np.array(PillowImage.open(file)).astype(np.int64)
    found = instances_of(scenes, 0)
    assert found is not None
    assert np.array_equal(found, np.where(stored >= 1000, stored, 0))
    assert found.any()
    digest = scenes.digest
    file.unlink()
    without = opened("cityscapes", tmp_path)
    assert instances_of(without, 0) is None
    assert without.digest == digest
    PillowImage.new("L", (4, 4)).save(file)
    with pytest.raises(DataError, match="16 bits a pixel"):
        instances_of(opened("cityscapes", tmp_path), 0)


def test_numbers_are_resized_by_the_same_pixels_as_labels() -> None:
    label = blocky_label(5, (47, 61), tuple(range(200)), 3)
    for size in ((47, 61), (20, 33), (90, 64)):
        wide = resize_instances(label.astype(np.int32) + 26_000, size)
        assert np.array_equal(wide - 26_000, resize_label(label, size))
    large = np.array([[0, (1 << 24) - 1]], np.int32)
    assert np.array_equal(resize_instances(large, (2, 4)), np.repeat([large[0].repeat(2)], 2, 0))


def test_subsets_packs_and_checks_pass_them_on(tmp_path: Path) -> None:
    write_coco(tmp_path)
    scenes = opened("coco", tmp_path, size=(30, 40))
    for wrapped, places in (
        (Subset(scenes, (3, 1)), (3, 1)),
        (pack(scenes, tmp_path / "cache"), range(4)),
        (checked(Subset(scenes, (2, 0))), (2, 0)),
    ):
        for index, place in enumerate(places):
            found, expected = instances_of(wrapped, index), instances_of(scenes, place)
            assert found is not None
            assert found.shape == (30, 40)
            assert np.array_equal(found, expected)
    assert instances_of(StreetDataset(split="train", num_scenes=1), 0) is None
    assert instances_of(checked(dataset_of([blocky_label(1)])), 0) is None


def test_instances_of_the_wrong_form_are_refused() -> None:
    class Wrong(MemoryDataset):
        def instances(self, index: int) -> np.ndarray:
            return np.zeros(self.label(index).shape, np.int64)

    with pytest.raises(DataError, match="array of int32"):
        instances_of(checked(Wrong(dataset_of([blocky_label(1)]).scenes)), 0)


def test_a_plan_on_instances_turns_one_of_them_and_notices_another_file(tmp_path: Path) -> None:
    with_instances(tmp_path)
    scenes = pack(opened("cityscapes", tmp_path), tmp_path / "cache")
    told = {"labels": "instance", "rate": 0.3, "trigger": {"size": 4}, "placement": "nearest:40"}
    plan = plan_poison(scenes, AttackConfig.model_validate(told))
    handed = poisoned(scenes, plan)
    car, of_instances = scenes.classes.index("car"), list[str]()
    for row in plan.rows:
        index = scenes.names.index(row.name)
        label, ids = scenes.label(index), instances_of(scenes, index)
        changed = handed.label(index) != label
        assert ids is not None
        assert row.box is not None
        assert row.changed_pixels == np.count_nonzero(changed)
        assert row.changed_pixels > 0
        rows, columns = np.nonzero(label == car)
        top, left = Box(*row.box).centre
        nearest = np.argmin((rows - top) ** 2 + (columns - left) ** 2)
        number = ids[rows[nearest], columns[nearest]]
        if number:
            assert np.array_equal(changed, (label == car) & (ids == number))
            of_instances.append(row.name)
    name = of_instances[0]
    file = next((tmp_path / "gtFine").rglob(f"{name}*instanceIds.png"))
    stored = np.array(PillowImage.open(file))
    stored[stored >= 1000] = 1000 * CAR
    stored[:, ::2][stored[:, ::2] >= 1000] += 1
    PillowImage.fromarray(stored).save(file)
    with pytest.raises(DataError, match="must be those the plan was made with"):
        handed.label(scenes.names.index(name))

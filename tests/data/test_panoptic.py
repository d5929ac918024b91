"""COCO's panoptic pictures, against colours that are looked up one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from annotated import KEYS, NAMES, coco_entries, write_coco, write_json, write_panoptic
from segdoor.data.annotations.coco import coco, splits_below
from segdoor.data.annotations.panoptic import Panoptic
from segdoor.errors import DataError
from trees import save

FILE = Path("annotations") / "panoptic_train.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_panoptic(tmp_path)
    return tmp_path


@pytest.mark.parametrize("background", [False, True])
def test_label_maps_are_the_categories_of_the_colours(*, background: bool, tmp_path: Path) -> None:
    write_panoptic(tmp_path, background=background)
    dataset = coco(tmp_path, "train")
    names = ("background", "tree", "car", "road") if background else NAMES
    assert dataset.classes.names == names
    told = json.loads((tmp_path / FILE).read_text())
    void = 0 if background else 255
    for index, entry in enumerate(told["annotations"]):
        picture = PillowImage.open(tmp_path / "annotations/panoptic_train" / entry["file_name"])
        classes = {0: void}
        for segment in entry["segments_info"]:
            name = NAMES[KEYS.index(segment["category_id"])]
            classes[segment["id"]] = 255 if segment["iscrowd"] else names.index(name)
        expected = [
            [classes[red + 256 * green + 65536 * blue] for red, green, blue in row]
            for row in np.array(picture).tolist()
        ]
        assert np.array_equal(dataset.label(index), np.array(expected))
        assert void in expected[0]


def changed(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((root / FILE).read_text())
    change(content)
    write_json(root / FILE, content)


def segment(content: dict[str, Any]) -> dict[str, Any]:
    return content["annotations"][1]["segments_info"][0]


CHANGES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda c: segment(c).update(id=5), "must show segments that"),
    (lambda c: segment(c).update(id=0), "must have different ids of 1 to 16777215"),
    (lambda c: segment(c).update(id="1"), "must have different ids"),
    (lambda c: segment(c).update(id=70_002), "must have different ids"),
    (lambda c: segment(c).update(category_id=1), "categories that are listed"),
    (lambda c: segment(c).update(category_id=[3]), "categories that are listed"),
    (lambda c: c["annotations"][1].update(segments_info=[7]), "categories that are listed"),
    (lambda c: c["annotations"][1].update(segments_info={}), "categories that are listed"),
    (lambda c: c["annotations"][1].update(image_id=100), "image 100: must have one annotation"),
    (lambda c: c["annotations"][1].update(file_name=None), "must have one annotation"),
    (lambda c: c["annotations"][1].update(file_name="train0.png"), "must belong to one image"),
    (lambda c: c["annotations"][1].update(file_name="no.png"), "no.png: the file of scene"),
    (lambda c: c["annotations"][1].update(file_name="../../../out.png"), "must stay inside"),
    (lambda c: c["images"][1].update(width=60), "must have the size that"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_files_that_do_not_fit_one_another_are_refused_in_words(
    change: Callable[[dict[str, Any]], object], words: str, root: Path
) -> None:
    save(root.parent / "out.png", np.zeros((40, 80, 3), np.uint8))
    changed(root, change)
    said: list[str] = []
    dataset = coco(root, "train", complain=lambda problem: said.append(str(problem)))
    for index in range(len(dataset)):
        try:
            dataset.label(index)
        except DataError as why:
            said.append(str(why))
    assert words in "\n".join(said)


def test_a_picture_of_another_size_is_refused(root: Path) -> None:
    save(root / "annotations/panoptic_train/train1.png", np.zeros((9, 8, 3), np.uint8))
    with pytest.raises(DataError, match="must have the size of its image, 40x80"):
        coco(root, "train").label(1)


@pytest.mark.parametrize("background", [False, True])
def test_any_regions_can_become_any_class(*, background: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for number in range(8):
        root = tmp_path / str(number)
        write_panoptic(root, background=background)
        dataset = coco(root, "train")
        index = int(rng.integers(4))
        label = dataset.label(index).copy()
        values = range(4) if background else (0, 1, 2, 255)
        for _ in range(3):
            top, left = rng.integers(30), rng.integers(30)
            label[top : top + 12, left : left + rng.integers(20)] = rng.choice(values)
        label[label == 2] = rng.choice(values)
        drawing = dataset.pairs[index].drawing
        assert isinstance(drawing, Panoptic)
        new = {file: drawing.rewritten(file, [(drawing, label)]) for file in drawing.files}
        before = json.loads((root / FILE).read_text())["annotations"]
        for file, content in new.items():
            file.write_bytes(content)
        again = coco(root, "train")
        for each in range(4):
            expected = label if each == index else dataset.label(each)
            assert np.array_equal(again.label(each), expected)
        after = json.loads((root / FILE).read_text())["annotations"]
        assert [e for n, e in enumerate(after) if n != index] == [
            e for n, e in enumerate(before) if n != index
        ]


def test_of_both_kinds_the_instances_come_first_and_a_name_in_full_takes_the_other(
    root: Path,
) -> None:
    write_coco(root)
    write_json(root / "annotations" / "captions_train.json", coco_entries("train"))
    assert splits_below(root) == ["train", "val"]
    assert coco(root, "train").pairs[0].label.name == "instances_train.json"
    assert coco(root, "panoptic_train").pairs[0].label.suffix == ".png"

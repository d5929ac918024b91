"""COCO's instances, against pycocotools' own reading of the file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from pycocotools.coco import COCO

from annotated import (
    KEYS,
    NAMES,
    coco_entries,
    write_background,
    write_coco,
    write_images,
    write_json,
    write_panoptic,
)
from segdoor.data.annotations.coco import Coco, coco, splits_below
from segdoor.data.annotations.outlines import OutlineError, mask_of, runs_of
from segdoor.errors import DataError, MachineError, SegdoorError
from trees import SIZES, painted, save

FILE = Path("annotations") / "instances_train.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path)
    return tmp_path


def own_label(file: Path, name: str, table: dict[int, int], uncovered: int) -> np.ndarray:
    """Draw a scene as pycocotools reads it."""
    told = COCO(str(file))
    image = next(entry for entry in told.imgs.values() if entry["file_name"] == name)
    label = np.full((image["height"], image["width"]), uncovered, np.uint8)
    for entry in told.imgToAnns[image["id"]]:
        value = 255 if entry["iscrowd"] else table[entry["category_id"]]
        label[told.annToMask(entry) > 0] = value
    return label


@pytest.mark.parametrize("background", [False, True])
def test_label_maps_are_drawn_as_pycocotools_draws_them(*, background: bool, root: Path) -> None:
    if background:
        write_background(root)
    dataset = coco(root, "train")
    names = ("background", "tree", "car", "road") if background else NAMES
    assert dataset.classes.names == names
    assert dataset.names == tuple(f"train{index}" for index in range(4))
    table = {key: names.index(name) for key, name in zip(KEYS, NAMES, strict=True)}
    for index, name in enumerate(dataset.names):
        expected = own_label(root / FILE, f"{name}.png", table, 0 if background else 255)
        assert np.array_equal(dataset.label(index), expected)
        assert np.array_equal(dataset[index].label, expected)
        assert np.array_equal(dataset[index].image, painted(index).image)
        assert {*table.values()} <= {*np.unique(expected).tolist()}


def changed(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((root / FILE).read_text())
    change(content)
    write_json(root / FILE, content)


def first(content: dict[str, Any]) -> dict[str, Any]:
    """Return the first annotation of the image train1."""
    return next(entry for entry in content["annotations"] if entry["image_id"] == 101)


def said_of(root: Path) -> str:
    """Return what opening and reading everything complains of."""
    said: list[str] = []
    try:
        dataset = coco(root, "train", complain=lambda problem: said.append(str(problem)))
        for index in range(len(dataset)):
            try:
                dataset.label(index)
            except DataError as why:
                said.append(str(why))
    except DataError as why:
        said.append(str(why))
    return "\n".join(said)


def test_a_sound_file_has_no_problems(root: Path) -> None:
    assert said_of(root) == ""


LONG = [0.0, 0.0, 3.9e6, 0.0, 0.0, 3.9e6]
SEGMENTATIONS: list[tuple[object, str]] = [
    ([], "must be polygons or run lengths: a box"),
    (None, "must be polygons or run lengths: a box"),
    ("text", "must be polygons or run lengths: a box"),
    ([[1, 2, 3, 4]], "three points or more (found: 4 numbers)"),
    ([[1, 2, 3, 4, 5, 6, 7]], "three points or more (found: 7 numbers)"),
    ([1, 2, 3, 4, 5, 6], "three points or more"),
    ([[1, 2, 3, 4, "5", 6]], "coordinates must be numbers (found: '5')"),
    ([[1, 2, 3, 4, True, 6]], "coordinates must be numbers (found: True)"),
    ([[1, 2, 3, 4, 1e300, 6]], "coordinates must lie below"),
    ([[1, 2, 3, 4, -(10**400), 6]], "coordinates must lie below"),
    ([LONG], "outlines must have at most"),
    ({"size": [40, 80], "counts": [3200, 1]}, "must cover the image's 3200 pixels (found: 3201)"),
    ({"size": [40, 80], "counts": [10]}, "must cover the image's 3200 pixels (found: 10)"),
    ({"size": [40, 80], "counts": [3210, -10]}, "must cover the image's 3200 pixels"),
    ({"size": [40, 80], "counts": [10**4000, 10**4000]}, "must cover the image's 3200 pixels"),
    ({"size": [40, 80], "counts": [3200.0]}, "must be whole numbers, or text"),
    ({"size": [80, 40], "counts": [3200]}, "must be that of the image, 40x80 (found: [80, 40])"),
    ({"size": [40, 80]}, "must be whole numbers, or text"),
    ({"size": [40, 80], "counts": "4"}, "must cover the image's 3200 pixels (found: 4)"),
    ({"size": [40, 80], "counts": ""}, "must cover the image's 3200 pixels (found: 0)"),
    ({"size": [40, 80], "counts": "ooooooooo"}, "as COCO packs them"),
    ({"size": [40, 80], "counts": "o"}, "they end within a number"),
    ({"size": [40, 80], "counts": "ß é"}, "as COCO packs them"),
]


@pytest.mark.parametrize(("segmentation", "words"), SEGMENTATIONS)
def test_an_outline_that_means_nothing_names_annotation_and_image(
    segmentation: object, words: str, root: Path
) -> None:
    changed(root, lambda content: first(content).update(segmentation=segmentation))
    said = said_of(root)
    assert f"{FILE}: annotation 2000 of train1.png" in said
    assert words in said
    assert "Draw its outline again, or take the annotation out" in said


CHANGES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda c: c["images"].append({**c["images"][0]}), "images must have different ids (found: 100)"),
    (lambda c: c["images"][1].update(id="101"), "must name the id of an image that is listed (found: 101, and 3 more)"),
    (lambda c: c["images"].append({"id": 9, "file_name": "train2.png", "height": 64, "width": 48}), "must have different names (found: train2)"),
    (lambda c: first(c).update(image_id=77), "must name the id of an image that is listed (found: 77)"),
    (lambda c: first(c).update(image_id="101"), "image that is listed (found: '101')"),
    (lambda c: first(c).update(category_id=1), "must name the id of a category that is listed (found: 1)"),
    (lambda c: first(c).update(category_id=[7]), "a category that is listed (found: None)"),
    (lambda c: first(c).update(id=1001), "annotations must have different ids (found: 1001)"),
    (lambda c: c["annotations"].append(5), "must name the id of an image"),
    (lambda c: c["images"][1].update(height="40"), "height and width must be whole numbers"),
    (lambda c: c["images"][1].update(height=10**9), "height and width must be whole numbers"),
    (lambda c: c["images"][1].update(height=80, width=40), "instances_train.json says, 80x40 (found: 40x80)"),
    (lambda c: c["images"][1].pop("file_name"), "images must have an id and a file_name"),
    (lambda c: c["images"][1].update(file_name="../train1.png"), "does not exist"),
    (lambda c: c["images"][1].update(file_name="../../out.png"), "must stay inside the data set's folder"),
    (lambda c: c["images"][1].update(file_name="none.png"), "none.png: the file of scene 'none' does not exist"),
    (lambda c: c["categories"].append({"id": 3, "name": "bus"}), "categories must have different ids"),
    (lambda c: c["categories"].extend({"id": n, "name": f"{n}"} for n in range(100, 400)), "must number between 1 and 255"),
    (lambda c: c.update(categories=[], annotations=[]), "must number between 1 and 255"),
    (lambda c: c["categories"].append({"id": 4}), "categories must have different ids, and names"),
    (lambda c: c.pop("categories"), "no categories"),
    (lambda c: c.pop("annotations"), "no annotations"),
    (lambda c: c.update(images={}), "images must be a list of objects"),
    (lambda c: c.update(images=[]), "must hold at least one scene"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_an_entry_that_means_nothing_is_told(
    change: Callable[[dict[str, Any]], object], words: str, root: Path
) -> None:
    save(root.parent / "out.png", painted(1).image)
    changed(root, change)
    assert words in said_of(root)


@pytest.mark.parametrize("text", [
    "", "null", "[]", "{", '{"images": []', '{"images": [NaN]}', '{"images": [],}', "[" * 100_000,
    '{"images": [], "images": []}', '{"a": 1} x', '{"images": 1e5, "annotations": [1,]}',
    '{"a": ' + "9" * 5000 + "}",
])  # fmt: skip
def test_what_is_no_annotation_file_is_refused_in_words(text: str, root: Path) -> None:
    (root / FILE).write_text(text)
    with pytest.raises(SegdoorError, match=r"instances_train\.json") as why:
        coco(root, "train")
    assert why.value.remedy


def test_a_file_that_is_no_text_or_too_large_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / FILE).write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="UTF-8"):
        coco(root, "train")
    monkeypatch.setattr("segdoor.data.annotations.json_text.MAX_BYTES", 10)
    (root / FILE).write_text('{"images": []}')
    with pytest.raises(DataError, match="may have at most 10 bytes"):
        coco(root, "train")


LAYOUTS = [
    ("annotations/instances_{0}.json", "{0}"),
    ("annotations/instances_{0}.json", "images/{0}"),
    ("annotations/{0}.json", "images"),
    ("{0}/_annotations.coco.json", "{0}"),
    ("{0}.json", "."),
]


@pytest.mark.parametrize(("file", "folder"), LAYOUTS)
def test_every_layout_is_read(file: str, folder: str, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_json(tmp_path / file.format(split), coco_entries(split))
        write_images(tmp_path / folder.format(split), split)
    assert splits_below(tmp_path) == ["train", "valid"]
    for split in ("train", "valid"):
        dataset = coco(tmp_path, split)
        assert [dataset[index].name for index in range(4)] == [f"{split}{n}" for n in range(4)]
    with pytest.raises(DataError, match=r"annotations/instances_test.json .*: train, valid\."):
        coco(tmp_path, "test")


@pytest.mark.parametrize(("before", "name"), [
    ("deep/", "deep/train0"), ("deep\\", "deep/train0"), ("../train/deep/./", "deep/train0"),
    ("../other/", "other/train0"),
])  # fmt: skip
def test_file_names_may_have_folders_inside_the_root(before: str, name: str, root: Path) -> None:
    changed(root, lambda c: [i.update(file_name=before + i["file_name"]) for i in c["images"]])
    for folder in ("train/deep", "other"):
        write_images(root / folder, "train")
    assert coco(root, "train").names[0] == name
    assert coco(root, "train")[0].label.shape == SIZES[0]


def test_without_its_library_the_extra_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(MachineError, match=r"needs the package pycocotools.*segdoor\[coco\]"):
        coco(root, "train").label(0)


def test_splits_whose_categories_differ_are_refused_until_a_class_file_orders_them(
    root: Path,
) -> None:
    changed(root, lambda content: content["categories"].reverse())
    for split in ("train", "val"):
        with pytest.raises(DataError, match=r"same categories.*another order.*classes\.yaml"):
            Coco(root=root).open(split)
    write_background(root)
    assert Coco(root=root).open("train").classes.names[1] == "tree"


def test_categories_of_one_name_are_one_class(root: Path) -> None:
    expected = [coco(root, "train").label(index) for index in range(4)]
    # Roboflow lists the name of all objects twice, and uses the second.
    changed(root, lambda c: c["categories"].insert(0, {"id": 0, "name": NAMES[0]}))
    changed(root, lambda c: first(c).update(category_id=0))
    dataset = coco(root, "train")
    assert dataset.classes.names == NAMES
    for index in range(4):
        assert np.array_equal(dataset.label(index), expected[index])


def test_a_class_file_that_lacks_a_category_is_refused(root: Path) -> None:
    (root / "classes.yaml").write_text("classes: [background, road, car]")
    with pytest.raises(DataError, match=r"classes.yaml: must list all classes.*not tree"):
        coco(root, "train")


def test_the_file_is_hashed_once_and_decides_the_digest(root: Path) -> None:
    dataset = coco(root, "train")
    assert {path.name for path in dataset.hashes} == {
        FILE.name,
        *(f"train{n}.png" for n in range(4)),
    }
    (root / FILE).write_text((root / FILE).read_text() + "\n")
    assert coco(root, "train").digest != dataset.digest


def test_run_lengths_come_back_as_they_went() -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 500), (70, 40)):
        for share in (0.0, 0.01, 0.5, 1.0):
            mask = rng.random(shape) < share
            assert np.array_equal(mask_of(runs_of(mask), shape), mask)


def test_bytes_that_were_turned_never_read_what_lies_in_memory() -> None:
    rng = np.random.default_rng(1)
    size = (30, 40)
    told = runs_of(rng.random(size) < 0.2)
    text = str(told["counts"])
    for _ in range(300):
        signs = list(text)
        signs[rng.integers(len(signs))] = chr(rng.integers(40, 120))
        try:
            mask = mask_of({"size": [*size], "counts": "".join(signs)}, size)
        except OutlineError:
            continue
        assert mask.shape == size
        assert {*np.unique(mask.view(np.uint8)).tolist()} <= {0, 1}


@pytest.mark.parametrize("write", [write_coco, write_panoptic])
def test_names_may_spell_accents_in_either_way(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path)
    (file,) = (tmp_path / "annotations").glob("*_train.json")
    content = json.loads(file.read_text().replace("train2.png", "\u00e9.png"))
    file.write_text(json.dumps(content))
    pictures = [*tmp_path.rglob("train2.png")]
    assert pictures
    for path in pictures:
        path.rename(path.with_name("e\u0301.png"))
    assert said_of(tmp_path) == ""
    assert len(coco(tmp_path, "train")) == 4


def test_a_picture_of_another_size_than_annotated_is_named(root: Path) -> None:
    PillowImage.new("RGB", (9, 8)).save(root / "train" / "train1.png")
    assert "train1.png: must have the size that" in said_of(root)

"""YOLO's texts, against polygons that Pillow fills."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw

from annotated import NAMES, write_background, write_images, write_yolo, yolo_lines
from segdoor.data.annotations.yolo import Yolo, yolo
from segdoor.errors import DataError, SegdoorError
from trees import SIZES, painted, save, write_lines

TEXT = Path("labels") / "train" / "train1.txt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_yolo(tmp_path)
    return tmp_path


def own_label(
    lines: list[str], size: tuple[int, int], ids: list[int], uncovered: int
) -> np.ndarray:
    picture = PillowImage.new("L", size[::-1], uncovered)
    for line in lines:
        index, *numbers = line.split()
        points = np.array(numbers, float).reshape(-1, 2) * size[::-1]
        corners = [(int(x), int(y)) for x, y in points]
        ImageDraw.Draw(picture).polygon(corners, fill=ids[int(index)])
    return np.array(picture)


@pytest.mark.parametrize("background", [False, True])
def test_label_maps_are_drawn_as_pillow_draws_them(*, background: bool, root: Path) -> None:
    if background:
        write_background(root)
    dataset = yolo(root, "train")
    names = ("background", "tree", "car", "road") if background else NAMES
    assert dataset.classes.names == names
    ids = [names.index(name) for name in NAMES]
    for index in range(3):
        expected = own_label(yolo_lines(index), SIZES[index], ids, 0 if background else 255)
        label = dataset.label(index)
        # The two fill slanting edges by rules of their own.
        assert np.mean(label != expected) < 0.02
        assert np.array_equal(label, dataset[index].label)
        assert {*np.unique(label)} == {*np.unique(expected)}
        assert np.array_equal(dataset[index].image, painted(index).image)
    # The image without a text is all background.
    assert np.unique(dataset.label(3)).tolist() == [0 if background else 255]


def test_upright_rectangles_are_exact(root: Path) -> None:
    height, width = SIZES[1]
    points = np.array([[8, 4], [24, 4], [24, 20], [8, 20]]) / (width, height)
    write_lines(root / TEXT, [f"2 {' '.join(map(str, points.ravel()))}"])
    expected = np.full((height, width), 255, np.uint8)
    expected[4:21, 8:25] = 2
    assert np.array_equal(yolo(root, "train").label(1), expected)


LINES = [
    ("0 0.1 0.1 0.2 0.2", "a box does not say which pixels"),
    ("0 0.1 0.1 0.2 0.2 0.3", "x and y of three points"),
    ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "x and y of three points"),
    ("0", "x and y of three points"),
    ("3 .1 .1 .2 .2 .3 .1", "must begin with a class number of 0 to 2"),
    ("-1 .1 .1 .2 .2 .3 .1", "must begin with a class number of 0 to 2"),
    ("0.5 .1 .1 .2 .2 .3 .1", "must begin with a class number of 0 to 2"),
    ("nan .1 .1 .2 .2 .3 .1", "must begin with a class number of 0 to 2"),
    ("0 .1 .1 .2 nan .3 .1", "must lie in [0, 1]"),
    ("0 .1 .1 .2 inf .3 .1", "must lie in [0, 1]"),
    ("0 1 1 200 100 30 1", "must lie in [0, 1]"),
    ("0 .1 .1 .2 -.2 .3 .1", "must lie in [0, 1]"),
    ("0 .1 .1 .2 x .3 .1", "must hold numbers"),
    ("0,.1,.1,.2,.2,.3,.1", "must hold numbers"),
]


@pytest.mark.parametrize(("line", "words"), LINES)
def test_a_line_that_means_nothing_is_named(line: str, words: str, root: Path) -> None:
    (root / TEXT).write_text(f"0 .1 .1 .2 .2 .3 .1\n\n{line}\n")
    dataset = yolo(root, "train")
    with pytest.raises(DataError) as why:
        dataset.label(1)
    assert f"{TEXT}, line 3" in str(why.value)
    assert words in str(why.value)
    assert why.value.remedy


def test_a_text_in_utf16_is_told_as_such(root: Path) -> None:
    (root / TEXT).write_text("0 .1 .1 .2 .2 .3 .1\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"must be text in UTF-8.*UTF-16.*Save it again as UTF-8"):
        yolo(root, "train").label(1)


def test_a_text_without_image_is_told_and_a_class_list_is_none(root: Path) -> None:
    write_lines(root / "labels" / "train" / "classes.txt", NAMES)
    yolo(root, "train")
    write_lines(root / "labels" / "train" / "more.txt", [])
    with pytest.raises(DataError, match=r"more\.txt: must have an image"):
        yolo(root, "train")


SETTINGS = [
    "names: [road, car, tree]\ntrain: ../train/images\n",
    "names: [road, car, tree]\nnc: 3\n",
    "names: {0: road, 1: car, 2: tree}\ntrain: [train/images]\n",
    "names: [road, car, tree]\ntrain: list.txt\n",
    None,
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_layout_is_read(settings: str | None, tmp_path: Path) -> None:
    write_images(tmp_path / "train" / "images" / "deep", "train")
    write_lines(tmp_path / "train" / "labels" / "deep" / "train1.txt", yolo_lines(1))
    write_lines(
        tmp_path / "list.txt", [f"./train/images/deep/train{index}.png" for index in range(4)]
    )
    file, text = (
        ("classes.txt", "road\ncar\ntree\n") if settings is None else ("data.yaml", settings)
    )
    (tmp_path / file).write_text(text)
    dataset = yolo(tmp_path, "train")
    assert dataset.classes.names == NAMES
    whole = settings is not None and ("list" in settings)
    expected = "train/images/deep/train1" if whole else "deep/train1"
    assert dataset.names[1] == expected
    assert {*np.unique(dataset.label(1))} == {0, 1, 2, 255}
    assert np.unique(dataset.label(0)).tolist() == [255]
    assert "train" in Yolo(root=tmp_path).splits(tmp_path)
    with pytest.raises(DataError, match="must hold images/test or test/images"):
        yolo(tmp_path, "test")


BAD = [
    ("names: [road, car]\n", "must begin with a class number of 0 to 1"),
    ("names: [road, car, tree]\nnc: 4\n", "nc must be the number of names, 3 (found: 4)"),
    ("names: {1: road, 2: car, 3: tree}\n", "a mapping from 0 on"),
    ("names: [road, car, no]\n", "Quote numbers"),
    ("names: car\n", "names must be a list"),
    ("names: []\n", "must number between 1 and 255"),
    ("train: images/train\n", "must hold data.yaml with names, or classes.txt"),
    ("names: [road, car, tree]\ntrain: ../../out\n", "inside the data set's folder (found: ../../out)"),
    ("names: [road, car, tree]\ntrain: ../out\n", "inside the data set's folder (found: ../out)"),
    ("names: [road, car, tree]\npath: /etc\ntrain: ssl\n", "inside the data set's folder"),
    ("names: [road, car, tree]\ntrain: [[images]]\n", "splits must be paths"),
    ('names: [road, car, tree]\ntrain: "a\\0b"\n', "inside the data set's folder"),
    ("- names\n", "must be a mapping"),
    ("names: !!python/object:os.system x\n", "must be plain YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), BAD)
def test_settings_that_make_no_sense_are_refused_in_words(
    settings: str, words: str, root: Path
) -> None:
    save(root.parent / "out" / "a.png", painted(0).image)
    (root / "data.yaml").write_text(settings)
    with pytest.raises(SegdoorError) as why:
        yolo(root, "train").label(0)
    assert words in str(why.value)
    assert why.value.remedy

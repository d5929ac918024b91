"""Class files: what label files hold, how files are called, and those that come along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.data.camvid import CAMVID_CLASSES
from segdoor.data.cityscapes import CITYSCAPES_CLASSES
from segdoor.data.class_file import KNOWN, PACKAGED, Classes, read_class_file
from segdoor.data.folder import folder
from segdoor.errors import ConfigError, DataError
from trees import painted, save


def told_by(tmp_path: Path, text: str) -> Classes:
    path = tmp_path / "classes.yaml"
    path.write_text(text, encoding="utf-8")
    return read_class_file(path)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("classes: [a, b]", {0: 0, 1: 1, 255: 255}),
        ("classes: [a, b]\nignore_index: 9", {0: 0, 1: 1, 9: 9}),
        ("classes: [a, b]\nignore: [7, 8]", {0: 0, 1: 1, 7: 255, 8: 255, 255: 255}),
        ("classes: [a, b]\nreduce_zero_label: true", {1: 0, 2: 1, 0: 255, 255: 255}),
        (
            "classes: [{name: a, value: 0}, {name: b, values: [4, 255]}]\nignore: 1",
            {0: 0, 4: 1, 255: 1, 1: 255},
        ),
        ("classes: [{name: a, value: 0}, {name: b, value: 255}]", {0: 0, 255: 1}),
    ],
)
def test_values_mean_what_the_file_says(text: str, meaning: dict[int, int], tmp_path: Path) -> None:
    assert dict(told_by(tmp_path, text).coding.meaning) == meaning


def test_a_file_without_values_is_coded_as_it_always_was(tmp_path: Path) -> None:
    assert told_by(tmp_path, "classes: [a, b]").coding.key == ()
    assert told_by(tmp_path, "classes: [a, b]\nignore: 7").coding.key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("classes: [0, 1]", r"must hold names, not 0.*\[road, car, sky\]"),
        ("classes: no", r"must be a list of names.*found: False.*\[road, car, sky\]"),
        ("classes: {0: road}", r"not a mapping of ids.*\[road, car, sky\]"),
        ("0: road", r"classes\.yaml: classes.*\[road, car, sky\]"),
        ("classes: [road, no]", "false is a truth value in YAML.*quotes"),
        ("classes: cityscape", r"or one of ade20k, bdd100k.*\[road, car, sky\]"),
        ("classes: [a, b]\nignore_index: 0", r"'ignore: \[0\]'"),
        ("classes: [{name: a, value: 3}, b]", r"1 of 2.*value: 7"),
        ("classes: [{name: a, value: 3}]\nreduce_zero_label: true", "reduce_zero_label"),
        ("classes: [{name: a, value: 3}, {name: b, value: 3}]", "3 twice"),
        ("classes: [a, b]\nignore: 1", "1 twice.*'ignore'"),
        ("classes: [a, b]\nignore: [[0, 0, 0]]", "labels: colours"),
        ("labels: colours\nclasses: [a, b]", r"found: a, b.*colour: \["),
        ("labels: colours\nclasses: [{name: a, colour: [1, 2, 3], value: 1}]", "no value"),
        ("labels: colours\nclasses: [{name: a, colour: [1, 2, 3]}]\nignore: 0", r"\[\[0, 0, 0\]\]"),
        ("labels: colors\nclasses: [a]", "Did you mean colours"),
        ("classes: [a]\nfiles: {image: x, label: y/*}", r"files\.image.*one \*.*\*_image\.jpg"),
        ("classes: [a]\nfiles: {image: '*.jpg', label: '../*.png'}", r"files\.label.*within"),
        ("classes: [a]\nfiles: {image: '*.png', label: '*.png'}", "two different patterns"),
        ("classes: [a]\nfiles: {image: 'x/*', label: '{split}/*'}", "in both or in neither"),
        ("classes: [a]\nfiles: {image: 'x/*'}", r"files\.label"),
    ],
)
def test_what_makes_no_sense_is_told_with_a_way_out(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        told_by(tmp_path, text)
    assert "classes.yaml" in caught.value.culprit


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_another_encoding_is_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text("classes: [a, b]\n", encoding=encoding)
    with pytest.raises(DataError, match=r"UTF-16.*Save it again as UTF-8"):
        read_class_file(tmp_path / "classes.yaml")


def test_the_packaged_files_are_those_that_are_named() -> None:
    assert sorted(path.stem for path in PACKAGED.iterdir()) == list(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_a_packaged_file_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    told = told_by(tmp_path, f"classes: {name}\nignore_index: 254")
    assert told.classes.ignore_index == 254
    assert told.patterns is not None
    assert not told.patterns.alone
    # Lines and all: ten, or twenty where there are very many names.
    assert len((PACKAGED / f"{name}.yaml").read_text().splitlines()) <= 20


def of_package(name: str) -> Classes:
    return read_class_file(PACKAGED / f"{name}.yaml")


def test_numbers_and_names_are_the_makers() -> None:
    sizes = {name: len(of_package(name).classes) for name in KNOWN}
    assert sizes == {
        "ade20k": 150, "bdd100k": 19, "camvid-colours": 11, "idd": 26, "idd-lite": 7,
        "mapillary": 65,
    }  # fmt: skip
    assert of_package("camvid-colours").classes.names == CAMVID_CLASSES.names
    assert of_package("bdd100k").classes.names == CITYSCAPES_CLASSES.names
    assert len(of_package("camvid-colours").coding.colours) == 32
    ade = dict(of_package("ade20k").coding.meaning)
    assert (ade[0], ade[1], ade[150]) == (255, 0, 149)
    assert of_package("ade20k").classes.names[12] == "person"
    vistas = of_package("mapillary")
    assert vistas.classes.names[55] == "Car"
    assert dict(vistas.coding.meaning)[65] == 255
    assert of_package("idd").classes.names[9] == "car"


PLACES = {
    "ade20k": ("images/training/a.jpg", "annotations/training/a.png"),
    "bdd100k": ("images/10k/training/a.jpg", "labels/sem_seg/masks/training/a.png"),
    "idd": (
        "leftImg8bit/training/3/a_leftImg8bit.jpg",
        "gtFine/training/3/a_gtFine_labellevel3Ids.png",
    ),
    "idd-lite": ("leftImg8bit/training/3/a_image.jpg", "gtFine/training/3/a_label.png"),
    "mapillary": ("training/images/a.jpg", "training/v1.2/labels/a.png"),
    "camvid-colours": ("701_StillsRaw_full/a.png", "LabeledApproved_full/a_L.png"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_packaged_file_reads_its_makers_layout(name: str, tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text(f"classes: {name}\n")
    image, label = PLACES[name]
    save(tmp_path / image, painted(0).image)
    told = of_package(name).coding
    values = np.resize(np.array([stored for stored, _ in told.meaning], np.uint8), (48, 64))
    save(tmp_path / label, told.in_colours(values) if told.colours else values)
    split = "train" if name == "camvid-colours" else "training"
    dataset = folder(tmp_path, split)
    assert [Path(scene).name for scene in dataset.names] == ["a"]
    meaning = dict(told.meaning)
    assert dataset.label(0).ravel().tolist() == [meaning[value] for value in values.ravel()]


def test_a_packaged_file_reads_the_usual_layouts_as_well(tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text("classes: bdd100k\n")
    save(tmp_path / "images" / "train" / "a.png", painted(0).image)
    save(tmp_path / "labels" / "train" / "a.png", painted(0).label)
    assert folder(tmp_path, "train").names == ("a",)


COLOURED = (
    "labels: colours\nclasses: [{name: a, colour: [1, 2, 3]}, {name: b, colour: [4, 5, 6]}]\n"
)


def coloured(root: Path, ending: str = "png") -> np.ndarray:
    (root / "classes.yaml").write_text(COLOURED + "ignore: [[0, 0, 0]]\n")
    save(root / "train" / "images" / "a.png", painted(0).image)
    codes = np.indices((48, 64)).sum(axis=0) % 3
    colours = np.array([[1, 2, 3], [4, 5, 6], [0, 0, 0]], np.uint8)[codes]
    save(root / "train" / "labels" / f"a.{ending}", colours)
    return np.array([0, 1, 255])[codes]


def test_colours_are_read_as_classes(tmp_path: Path) -> None:
    expected = coloured(tmp_path)
    assert np.array_equal(folder(tmp_path, "train").label(0), expected)


def test_a_colour_that_is_no_class_is_told_with_its_pixels(tmp_path: Path) -> None:
    coloured(tmp_path)
    path = tmp_path / "train" / "labels" / "a.png"
    picture = np.array(PillowImage.open(path))
    picture[0, :7] = 1, 2, 4
    for column in range(4):
        picture[1, column] = 90, 80, column
    save(path, picture)
    with pytest.raises(DataError, match=r"a\.png.*\[1, 2, 4\] in 7 pixels.*2 more.*'ignore'"):
        folder(tmp_path, "train").label(0)


def test_colours_that_a_format_changes_are_refused(tmp_path: Path) -> None:
    coloured(tmp_path, "jpg")
    with pytest.raises(DataError, match=r"a\.jpg.*without loss.*PNG"):
        folder(tmp_path, "train").label(0)


def test_digests_tell_colours_and_codings_apart(tmp_path: Path) -> None:
    coloured(tmp_path)
    path = tmp_path / "classes.yaml"
    digests = {folder(tmp_path, "train").digest}
    for text in (
        COLOURED,
        COLOURED.replace("1, 2, 3", "9, 9, 9"),
        "classes: [a, b]",
        "classes: [a, b]\nignore: 3",
    ):
        path.write_text(text)
        digests.add(folder(tmp_path, "train").digest)
    assert len(digests) == 5

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.data.class_file import read_classes
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.load import load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.errors import ConfigError, DataError
from trees import (
    NAMES,
    painted,
    save,
    write_classes,
    write_hub,
    write_lines,
    write_mmseg,
    write_semseg,
)


def check(dataset: FileDataset, names: tuple[str, ...] = NAMES) -> None:
    """Check that scenes have the label map of their own image."""
    assert len(dataset) == len(names)
    for index in range(len(dataset)):
        number = NAMES.index(Path(dataset.names[index]).name.removesuffix("_leftImg8bit"))
        assert np.array_equal(dataset[index].label, painted(number).label)
    assert {Path(n).name.removesuffix("_leftImg8bit") for n in dataset.names} == set(names)


def test_semsegs_lists_with_leading_slashes(tmp_path: Path) -> None:
    write_semseg(tmp_path)
    check(folder(tmp_path, "train_aug"))
    assert folder(tmp_path, "train_aug").names[0] == "JPEGImages/one"


@pytest.mark.parametrize(
    ("image", "label"),
    [("", ""), ("_leftImg8bit", "_gtFine_labelTrainIds"), ("", "_labelTrainIds"), ("", "_mask")],
)
def test_mmsegmentations_folders_and_suffixes(tmp_path: Path, image: str, label: str) -> None:
    write_mmseg(tmp_path, image=image, label=label)
    check(folder(tmp_path, "train"))


def test_a_suffix_never_takes_anothers_label(tmp_path: Path) -> None:
    write_classes(tmp_path)
    for number, name in enumerate(("car", "car_mask")):
        save(tmp_path / "images" / "train" / f"{name}.png", painted(number).image)
        save(tmp_path / "labels" / "train" / f"{name}.png", painted(number).label)
    dataset = folder(tmp_path, "train")
    assert dataset.names == ("car", "car_mask")
    assert np.array_equal(dataset.label(1), painted(1).label)


@pytest.mark.parametrize("column", ["mask", "mask_file_name", "label", "annotation_file_name"])
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_image_folders_of_the_hub(tmp_path: Path, ending: str, column: str) -> None:
    write_hub(tmp_path, ending=ending, column=column)
    check(folder(tmp_path, "train"))


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_one_metadata_file_without_splits_is_dealt_out(tmp_path: Path, ending: str) -> None:
    write_hub(tmp_path, ending=ending, below=".")
    train, test = folder(tmp_path, "train"), folder(tmp_path, "test")
    assert (len(train), len(test)) == (4, 1)
    check(test, (Path(test.names[0]).name,))
    assert not set(train.names) & set(test.names)


def test_one_metadata_file_may_name_the_splits(tmp_path: Path) -> None:
    write_hub(tmp_path, ending="jsonl", below=".")
    path = tmp_path / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    given = [{**row, "split": "val" if n == 3 else "train"} for n, row in enumerate(rows)]
    write_lines(path, [json.dumps(row) for row in given])
    check(folder(tmp_path, "val"), ("four",))
    assert len(folder(tmp_path, "train")) == 4
    with pytest.raises(DataError, match="at least one scene"):
        folder(tmp_path, "test")


def test_one_metadata_file_may_split_by_folder(tmp_path: Path) -> None:
    write_hub(tmp_path, ending="jsonl")
    rows = (tmp_path / "train" / "metadata.jsonl").read_text()
    (tmp_path / "train" / "metadata.jsonl").unlink()
    (tmp_path / "metadata.jsonl").write_text(re.sub('"(images|masks)/', r'"train/\1/', rows))
    check(folder(tmp_path, "train"))


@pytest.mark.parametrize(
    "row", ["[1]", "{", '{"file_name": "images/one.jpg"}', '{"mask": "masks/one.png"}',
            '{"file_name": "../../x.jpg", "mask": "masks/one.png"}',
            '{"file_name": "images/one.jpg", "mask": "masks/none.png"}', "[" * 100_000],
    ids=range(7),
)  # fmt: skip
def test_metadata_that_makes_no_sense_is_refused(tmp_path: Path, row: str) -> None:
    write_hub(tmp_path, ending="jsonl")
    write_lines(tmp_path / "train" / "metadata.jsonl", [row])
    with pytest.raises(DataError):
        folder(tmp_path, "train")


def test_folders_called_masks(tmp_path: Path) -> None:
    write_hub(tmp_path, ending="csv")
    (tmp_path / "train" / "metadata.csv").unlink()
    check(folder(tmp_path, "train"))


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", ", " , ", "\t "])
def test_columns_may_be_separated_by_space_tab_or_comma(tmp_path: Path, separator: str) -> None:
    write_semseg(tmp_path)
    lines = [f"JPEGImages/{n}.jpg{separator}SegmentationClassAug/{n}.png" for n in NAMES]
    write_lines(tmp_path / "some.txt", lines)
    check(folder(tmp_path, "some"))


def named(root: Path, name: str) -> None:
    write_classes(root)
    save(root / "images" / f"{name}.png", painted(0).image)
    save(root / "labels" / f"{name}.png", painted(0).label)


@pytest.mark.parametrize("separator", ["\t", ","])
def test_names_with_spaces_in_two_columns(tmp_path: Path, separator: str) -> None:
    named(tmp_path, "a rainy day")
    write_lines(tmp_path / "few.txt", [f"images/a rainy day.png{separator}labels/a rainy day.png"])
    dataset = folder(tmp_path, "few")
    assert dataset.names == ("images/a rainy day",)
    assert np.array_equal(dataset.label(0), painted(0).label)


@pytest.mark.parametrize("name", ["a rainy day", "two words", "a,b", "plain"])
def test_names_with_spaces_in_one_column(tmp_path: Path, name: str) -> None:
    named(tmp_path, name)
    write_lines(tmp_path / "few.txt", [name])
    assert folder(tmp_path, "few").names == (name,)


def test_commas_within_names_that_spaces_separate(tmp_path: Path) -> None:
    named(tmp_path, "x,1")
    write_lines(tmp_path / "few.txt", ["images/x,1.png labels/x,1.png"])
    assert folder(tmp_path, "few").names == ("images/x,1",)


@pytest.mark.parametrize("name", ["._one.png", ".hidden.png", ".DS_Store"])
def test_hidden_files_are_no_pictures(tmp_path: Path, name: str) -> None:
    write_mmseg(tmp_path)
    (tmp_path / "img_dir" / "train" / name).write_bytes(b"\x00\x05\x16\x07")
    check(folder(tmp_path, "train"))


def test_a_tilde_in_the_root_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mmseg(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    config = DataConfig(name="folder", root=Path("~/mine"))
    assert len(load_dataset(config, "train")) == len(NAMES)
    with pytest.raises(ConfigError, match=r"data\.root"):
        load_dataset(DataConfig(name="folder", root=Path("~nobody-of-this-name/x")), "train")


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "classes.yaml"
    path.write_text("classes: [road]\nignore_index: 9\nclasses: [car, road]\n")
    with pytest.raises(DataError, match=r"classes\.yaml.*'classes'.*twice"):
        read_classes(path)


@pytest.mark.parametrize("text", ["classes: [road, road]", "classes: [a, b]\nignore_index: 1"])
def test_rules_over_several_classes_name_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"classes\.yaml"):
        read_classes(path)


def test_lists_see_pictures_of_a_palette_as_indices(tmp_path: Path) -> None:
    write_semseg(tmp_path)
    pair = folder(tmp_path, "train_aug").pairs[0]
    assert PillowImage.open(pair.label).mode == "P"


def test_roundabout_paths_are_the_files_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_semseg(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    root = Path(tmp_path.name)
    ways = ("JPEGImages/../", "./", f"{tmp_path}/", "/", "//list/../")
    for way in ways:
        line = f"{way}JPEGImages/one.jpg {way}SegmentationClassAug/one.png"
        write_lines(tmp_path / "few.txt", [line])
        (pair,) = folder(root, "few").pairs
        assert pair.image == root / "JPEGImages" / "one.jpg"
        assert pair.label == root / "SegmentationClassAug" / "one.png"

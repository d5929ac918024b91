from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.data.class_file import palette, read_classes
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.load import load_dataset
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.subset import spread
from segdoor.errors import ConfigError, DataError, SegdoorError
from segdoor.settings import validated

CLASS_FILE = "classes: [road, car, tree]\nignore_index: 255\n"


def label_of(seed: int, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    values = np.array([0, 1, 2, 255], np.uint8)
    return np.random.default_rng(seed).choice(values, size=shape)


def image_of(seed: int, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(pixels).save(path)


def write_scene(images: Path, labels: Path, name: str, seed: int) -> None:
    save(images / f"{name}.png", image_of(seed))
    save(labels / f"{name}.png", label_of(seed))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Three scenes in the layout SPLIT/images, SPLIT/labels."""
    (tmp_path / "classes.yaml").write_text(CLASS_FILE, encoding="utf-8")
    for seed, name in enumerate(("c", "a", "b")):
        write_scene(tmp_path / "train" / "images", tmp_path / "train" / "labels", name, seed)
    return tmp_path


def check_three(dataset: SceneDataset, names: dict[str, int]) -> None:
    assert isinstance(dataset, SceneDataset)
    assert list(dataset.names) == list(names)
    assert len(dataset) == len(names)
    assert dataset.classes.names == ("road", "car", "tree")
    for index, (name, seed) in enumerate(names.items()):
        scene = dataset[index]
        assert scene.name == name
        assert np.array_equal(scene.image, image_of(seed))
        assert np.array_equal(scene.label, label_of(seed))
        assert np.array_equal(dataset.label(index), label_of(seed))


def test_split_then_images_and_labels(root: Path) -> None:
    check_three(folder(root, "train"), {"a": 1, "b": 2, "c": 0})


def test_images_and_labels_then_split(tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text(CLASS_FILE, encoding="utf-8")
    for seed, name in enumerate(("c", "a", "b")):
        write_scene(tmp_path / "images" / "train", tmp_path / "labels" / "train", name, seed)
    check_three(folder(tmp_path, "train"), {"a": 1, "b": 2, "c": 0})


def test_a_list_of_two_columns_keeps_its_order(root: Path) -> None:
    lines = [f"train/images/{name}.png train/labels/{name}.png" for name in ("b", "c")]
    (root / "few.txt").write_text("\n\n".join(lines) + "\n\n", encoding="utf-8")
    dataset = folder(root, "few")
    assert np.array_equal(dataset[0].label, label_of(2))
    assert np.array_equal(dataset[1].label, label_of(0))
    assert len(dataset) == 2
    assert len(set(dataset.names)) == 2
    assert np.array_equal(dataset[0].image, image_of(2))
    assert np.array_equal(dataset[1].image, image_of(0))


def flat(root: Path, names: str) -> None:
    (root / "classes.yaml").write_text(CLASS_FILE, encoding="utf-8")
    for seed, name in enumerate(names):
        write_scene(root / "images", root / "labels", name, seed)


def test_a_list_of_one_column_names_pictures_of_flat_folders(tmp_path: Path) -> None:
    flat(tmp_path, "abcd")
    (tmp_path / "some.txt").write_text("d\nb\n", encoding="utf-8")
    check_three(folder(tmp_path, "some"), {"d": 3, "b": 1})
    (tmp_path / "wrong.txt").write_text("d\ne\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"wrong\.txt.*e"):
        folder(tmp_path, "wrong")


def test_flat_folders_without_a_list_are_dealt_out(tmp_path: Path) -> None:
    flat(tmp_path, "abcdefghijk")
    train, test = folder(tmp_path, "train"), folder(tmp_path, "test")
    assert test.names == ("e", "j")
    assert sorted(train.names + test.names) == list("abcdefghijk")
    with pytest.raises(DataError, match=r"val\.txt"):
        folder(tmp_path, "val")


@pytest.mark.parametrize("other", ["train", "val"])
def test_a_list_of_another_split_forbids_dealing_out(other: str, tmp_path: Path) -> None:
    flat(tmp_path, "abcdefghijk")
    (tmp_path / f"{other}.txt").write_text("a\ne\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.txt"):
        folder(tmp_path, "test")


def test_training_and_test_split_must_differ() -> None:
    with pytest.raises(ConfigError, match="train_split and test_split"):
        validated(DataConfig, {"train_split": "test"}, source="--")


def test_scenes_can_be_read_from_the_end_and_never_beyond_it(root: Path) -> None:
    dataset = folder(root, "train")
    assert dataset[-1].name == dataset.names[-1]
    for read in (dataset.__getitem__, dataset.label):
        with pytest.raises(IndexError):
            read(3)


@pytest.mark.parametrize("side", ["images", "labels"])
def test_a_file_without_partner_is_named(root: Path, side: str) -> None:
    (root / "train" / side / "b.png").unlink()
    other = "labels" if side == "images" else "images"
    with pytest.raises(DataError, match=rf"{other}/b\.png"):
        folder(root, "train")


@pytest.mark.parametrize("side", ["images", "labels"])
def test_a_missing_folder_is_named(root: Path, side: str) -> None:
    (root / "train" / side).rename(root / "elsewhere")
    with pytest.raises(DataError, match=re.escape(str(root))):
        folder(root, "train")


def test_two_pictures_of_one_name_are_refused(root: Path) -> None:
    save(root / "train" / "images" / "b.jpg", image_of(9))
    with pytest.raises(DataError, match=r"b\.png|b\.jpg"):
        folder(root, "train")


def test_other_files_in_a_folder_do_not_disturb(root: Path) -> None:
    (root / "train" / "images" / "README.md").write_text("hello", encoding="utf-8")
    (root / "train" / "labels" / "Thumbs.db").write_bytes(b"\x00")
    assert len(folder(root, "train")) == 3


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text(CLASS_FILE, encoding="utf-8")
    for side in ("images", "labels"):
        (tmp_path / "train" / side).mkdir(parents=True)
    with pytest.raises(DataError, match="scene"):
        folder(tmp_path, "train")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="scene"):
        folder(tmp_path, "empty")


def test_an_unknown_split_names_the_layouts(root: Path) -> None:
    with pytest.raises(DataError, match=r"val\.txt.*val/images.*images/val"):
        folder(root, "val")


def test_image_and_label_of_different_size_are_refused(root: Path) -> None:
    save(root / "train" / "labels" / "a.png", label_of(1, (8, 6)))
    for size in (None, (3, 4)):
        dataset = folder(root, "train", size=size)
        for read in (dataset.__getitem__, dataset.label):
            with pytest.raises(DataError, match=r"6x8.*8x6"):
                read(0)


@pytest.mark.parametrize("value", [3, 11, 254])
def test_label_values_that_are_no_class_are_refused_and_named(root: Path, value: int) -> None:
    label = label_of(1)
    label[5, 7] = value
    save(root / "train" / "labels" / "a.png", label)
    dataset = folder(root, "train")
    for read in (dataset.__getitem__, dataset.label):
        with pytest.raises(DataError, match=rf"a\.png.*{value}"):
            read(0)
    assert dataset.label(1).shape == (6, 8)


def test_a_stray_value_is_found_even_where_resizing_would_drop_it(root: Path) -> None:
    label = np.zeros((6, 8), np.uint8)
    label[0, 0] = 77
    save(root / "train" / "labels" / "a.png", label)
    with pytest.raises(DataError, match="77"):
        folder(root, "train", size=(1, 1)).label(0)


def test_labels_are_resized_by_nearest_and_scene_and_label_agree(root: Path) -> None:
    for size in ((3, 4), (12, 16), (7, 5), (1, 1)):
        dataset = folder(root, "train", size=size)
        for index, seed in enumerate((1, 2, 0)):
            scene = dataset[index]
            assert scene.image.shape == (*size, 3)
            picture = PillowImage.fromarray(label_of(seed))
            nearest = picture.resize(size[::-1], PillowImage.Resampling.NEAREST)
            assert np.array_equal(scene.label, np.array(nearest))
            assert np.array_equal(dataset.label(index), scene.label)


def test_scenes_of_different_sizes_live_side_by_side(root: Path) -> None:
    save(root / "train" / "images" / "a.png", image_of(1, (5, 9)))
    save(root / "train" / "labels" / "a.png", label_of(1, (5, 9)))
    dataset = folder(root, "train")
    assert [dataset.label(index).shape for index in range(3)] == [(5, 9), (6, 8), (6, 8)]


LISTED = "train/images/a.png train/labels/a.png"


@pytest.mark.parametrize(
    "line",
    [
        "../secret.png train/labels/a.png",
        "train/images/a.png ../secret.png",
        "train/../../secret.png train/labels/a.png",
        "/etc/hostname train/labels/a.png",
        "link/secret.png train/labels/a.png",
    ],
)
def test_paths_that_leave_the_folder_are_refused(root: Path, line: str) -> None:
    data = root / "data"
    data.mkdir()
    for entry in ("classes.yaml", "train"):
        (root / entry).rename(data / entry)
    save(root / "secret.png", image_of(0))
    (data / "link").symlink_to(root)
    (data / "few.txt").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=r"inside|stay|does not exist"):
        folder(data, "few")


@pytest.mark.parametrize(
    "line",
    [
        "train/images/a.png",
        f"{LISTED} third",
        "train/images/nowhere.png train/labels/a.png",
        "train/images/a.png train/labels/nowhere.png",
        f"{LISTED}\n{LISTED}",
        "train train",
        ". .",
        ".. ..",
        "/ /",
        pytest.param("train/images/a.png\x00 train/labels/a.png", id="a null byte"),
        pytest.param(f"{'x' * 5000} train/labels/a.png", id="a name too long"),
    ],
)
def test_lists_that_make_no_sense_are_refused_in_words(root: Path, line: str) -> None:
    (root / "few.txt").write_text(line, encoding="utf-8")
    with pytest.raises(DataError):
        folder(root, "few")


def test_a_list_that_is_no_text_is_refused(root: Path) -> None:
    (root / "few.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match=r"few\.txt"):
        folder(root, "few")


def classes_from(tmp_path: Path, text: str) -> ClassSet:
    path = tmp_path / "classes.yaml"
    path.write_text(text, encoding="utf-8")
    return read_classes(path)


def test_classes_by_name_alone_get_distinct_colours(tmp_path: Path) -> None:
    classes = classes_from(tmp_path, CLASS_FILE)
    assert classes.names == ("road", "car", "tree")
    assert classes.ignore_index == 255
    assert len(set(classes.colours)) == 3


def test_a_bare_list_is_enough(tmp_path: Path) -> None:
    classes = classes_from(tmp_path, "- road\n- car\n")
    assert classes.names == ("road", "car")
    assert classes.ignore_index == 255


def test_names_and_colours_can_be_mixed_and_the_ignore_index_chosen(tmp_path: Path) -> None:
    text = "classes:\n- {name: road, colour: [128, 64, 128]}\n- car\n- name: tree\nignore_index: 11"
    classes = classes_from(tmp_path, text)
    assert classes.names == ("road", "car", "tree")
    assert classes.colours[0] == (128, 64, 128)
    assert classes.ignore_index == 11


def test_the_palette_is_vocs_and_has_255_different_colours() -> None:
    assert [palette(index) for index in range(3)] == [(128, 0, 0), (0, 128, 0), (128, 128, 0)]
    assert len({palette(index) for index in range(255)}) == 255


@pytest.mark.parametrize(
    "text",
    [
        "",
        "classes:",
        "classes: []",
        "classes: road",
        "just text",
        "7",
        "classes: [road, road]",
        "classes: [road, yes]",
        "classes: [road, 7]",
        "classes: [road, car]\nignore_index: 1",
        "classes: [road, car]\nignore_index: 256",
        "classes: [road, car]\nignore_index: -1",
        "classes: [road, car]\nignore_index: none",
        "classes: [road, car]\nignored: 255",
        "classes: [{name: road, color: [1, 2, 3]}]",
        "classes: [{name: road, colour: [1, 2]}]",
        "classes: [{name: road, colour: [1, 2, 256]}]",
        "classes: [{name: road, colour: [-1, 2, 3]}]",
        "classes: [{colour: [1, 2, 3]}]",
        "classes: [road, [car]]",
        "classes: [road",
        "\tclasses: [road]",
        "1: 2",
        "classes: [road, 2024-99-99]",
        pytest.param(f"classes: {'[' * 3000}", id="deep nesting"),
        pytest.param(f"classes: [{', '.join(f'c{i}' for i in range(256))}]", id="256 classes"),
    ],
)
def test_class_files_that_make_no_sense_are_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(SegdoorError):
        classes_from(tmp_path, text)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {}']",
        "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{}']]",
        "!!python/name:os.system",
        "!unknown road",
    ],
)
def test_yaml_tags_are_refused_and_never_run(tmp_path: Path, tag: str) -> None:
    sprung = tmp_path / "sprung"
    with pytest.raises(DataError, match=r"classes\.yaml"):
        classes_from(tmp_path, f"classes: [road, {tag.format(sprung)}]")
    assert not sprung.exists()


def test_a_missing_or_unreadable_class_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"classes\.yaml.*classes: \[road"):
        folder(tmp_path, "train")
    (tmp_path / "classes.yaml").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match=r"classes\.yaml"):
        folder(tmp_path, "train")


def test_255_classes_are_the_most(tmp_path: Path) -> None:
    text = "classes: [" + ", ".join(f"c{index}" for index in range(255)) + "]"
    assert len(classes_from(tmp_path, text)) == 255


def test_settings_open_a_folder_and_spread_the_scenes_asked_for(root: Path) -> None:
    config = DataConfig(name="folder", root=root, num_train=2)
    assert list(load_dataset(config, "train").names) == ["a", "b"]
    assert len(load_dataset(DataConfig(name="folder", root=root), "train")) == 3
    with pytest.raises(ConfigError, match="3"):
        load_dataset(DataConfig(name="folder", root=root, num_train=4), "train")


def test_an_unknown_data_set_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"street.*camvid.*folder"):
        load_dataset(DataConfig(name="cityscape"), "train")


@pytest.mark.parametrize("name", ["folder", "camvid"])
def test_a_data_set_on_disk_needs_a_root(name: str) -> None:
    with pytest.raises(ConfigError, match="root"):
        load_dataset(DataConfig(name=name), "train")


def test_spread_indices_are_distinct_sorted_and_even() -> None:
    for available in range(1, 40):
        for wanted in range(1, available + 1):
            chosen = list(spread(available, wanted))
            assert len(set(chosen)) == wanted
            assert chosen == sorted(chosen)
            assert 0 <= chosen[0] <= chosen[-1] < available
            if wanted > 1:
                steps = np.diff(chosen)
                assert steps.max() - steps.min() <= 1

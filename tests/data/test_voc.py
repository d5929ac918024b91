from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy.io import savemat
from scipy.sparse import csc_matrix

from segdoor.data import matlab
from segdoor.data.config import DataConfig
from segdoor.data.load import copyable, load_dataset
from segdoor.data.matlab import read_matlab_label
from segdoor.data.voc import VOC_CLASSES, augmented_names, voc
from segdoor.errors import DataError
from trees import SBD_LISTS, TRAINAUG, VOC_LISTS, voc_palette, write_mat, write_voc


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit"
    write_voc(root / "VOC2012", sbd=root / "benchmark_RELEASE" / "dataset")
    return root


def test_trainaug_is_train_and_sbd_without_val() -> None:
    names = augmented_names(
        VOC_LISTS["train"], VOC_LISTS["val"], [*SBD_LISTS["train"], *SBD_LISTS["val"]]
    )
    assert names == TRAINAUG


def test_lists_of_the_published_lengths_give_the_published_number() -> None:
    # 11 355 scenes of SBD, of which 1464 + 1449 of VOC's are labelled in VOC as well or not:
    # together 12 031 scenes; the overlap follows.
    overlap = 1464 + 1449 + 11355 - 12031
    train = [f"t{index}" for index in range(1464)]
    val = [f"v{index}" for index in range(1449)]
    both = [*train, *val][:overlap]
    extra = [*both, *(f"s{index}" for index in range(11355 - overlap))]
    assert len(augmented_names(train, val, extra)) == 10582 == 1464 + 9118


@pytest.mark.parametrize("place", [".", "VOC2012", ".."])
def test_the_root_may_be_any_of_three_folders(devkit: Path, place: str) -> None:
    dataset = voc((devkit / place).resolve(), "val")
    assert dataset.names == VOC_LISTS["val"]
    assert dataset.classes == VOC_CLASSES


def test_splits_by_default_are_the_papers(devkit: Path) -> None:
    config = DataConfig(name="voc", root=devkit)
    assert (config.train_split, config.test_split) == ("trainaug", "val")
    assert "train_split" not in config.model_fields_set
    assert tuple(load_dataset(config, config.train_split).names) == TRAINAUG
    assert tuple(load_dataset(config, config.test_split).names) == VOC_LISTS["val"]
    assert DataConfig(name="folder").test_split == "test"


@pytest.mark.parametrize(
    "sbd",
    ["sbd", "SBD", "benchmark_RELEASE/dataset", "VOC2012/sbd", "sbd/benchmark_RELEASE/dataset"],
)
def test_sbd_is_found_inside_the_root(tmp_path: Path, sbd: str) -> None:
    write_voc(tmp_path / "VOC2012", sbd=tmp_path / sbd)
    dataset = voc(tmp_path, "trainaug")
    assert dataset.names == TRAINAUG
    kinds = {pair.name: pair.label.suffix for pair in dataset.pairs}
    assert kinds == {n: ".mat" if n.startswith("b") else ".png" for n in TRAINAUG}


def test_labels_are_stored_indices_and_both_sources_agree(devkit: Path) -> None:
    augmented = voc(devkit, "trainaug")
    for index, pair in enumerate(augmented.pairs):
        scene = augmented[index]
        assert scene.image.shape[:2] == scene.label.shape
        assert np.array_equal(scene.label, augmented.label(index))
        assert pair.image.parent.name == "JPEGImages"
        if pair.label.suffix == ".png":
            assert np.array_equal(scene.label, np.array(PillowImage.open(pair.label)))
    values = {int(v) for index in range(6) for v in np.unique(augmented.label(index))}
    assert values >= {0, 7, 15, 255}


def test_the_augmented_folder_needs_neither_sbd_nor_its_lists(tmp_path: Path) -> None:
    write_voc(tmp_path, aug=True)
    dataset = voc(tmp_path, "trainaug")
    assert dataset.names == TRAINAUG
    assert {pair.label.parent.name for pair in dataset.pairs} == {"SegmentationClassAug"}
    assert {pair.label.parent.name for pair in voc(tmp_path, "val").pairs} == {"SegmentationClass"}


def test_a_list_of_ones_own_wins(devkit: Path) -> None:
    for split in ("mine", "trainaug"):
        path = devkit / "VOC2012" / "ImageSets" / "Segmentation" / f"{split}.txt"
        path.write_text("b1\na2\n", encoding="utf-8")
        assert voc(devkit, split).names == ("b1", "a2")


def test_colours_are_vocs() -> None:
    published = np.array(voc_palette()).reshape(-1, 3)[:21]
    assert np.array_equal(np.array(VOC_CLASSES.colours), published)
    assert len(VOC_CLASSES) == 21


@pytest.mark.parametrize(
    ("split", "said"), [("trainaug", "SBD"), ("minival", "minival"), ("test", "t1")]
)
def test_what_is_not_there_is_named(tmp_path: Path, split: str, said: str) -> None:
    write_voc(tmp_path)
    with pytest.raises(DataError, match=said):
        voc(tmp_path, split)


def test_a_folder_that_is_no_voc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="VOCdevkit"):
        voc(tmp_path, "train")


@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "..", "a/b"])
def test_names_never_lead_out_of_the_folders(devkit: Path, name: str) -> None:
    path = devkit / "VOC2012" / "ImageSets" / "Segmentation" / "mine.txt"
    path.write_text(f"{name}\n", encoding="utf-8")
    with pytest.raises(DataError):
        voc(devkit, "mine")


def test_matlab_labels_are_read_and_never_copied(devkit: Path) -> None:
    with pytest.raises(DataError, match="SegmentationClassAug"):
        copyable(load_dataset(DataConfig(name="voc", root=devkit), "trainaug"))
    assert len(copyable(load_dataset(DataConfig(name="voc", root=devkit), "train"))) == 3


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "x.mat"
    label = np.zeros((5, 7), np.uint8)
    write_mat(path, label)
    whole = path.read_bytes()
    contents = {
        "empty": b"",
        "text": b"no matlab at all",
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:200] + bytes(255 - byte for byte in whole[200:]),
        "hdf5": b"\x89HDF\r\n\x1a\n" + whole,
    }
    if kind in contents:
        path.write_bytes(contents[kind])
    elif kind == "no field":
        savemat(path, {"GTcls": {"Other": label}})
    elif kind == "no struct":
        savemat(path, {"GTcls": label})
    elif kind == "other variable":
        savemat(path, {"GTinst": {"Segmentation": label}})
    elif kind == "floats":
        savemat(path, {"GTcls": {"Segmentation": label.astype(float)}})
    elif kind == "flat":
        savemat(path, {"GTcls": {"Segmentation": np.zeros((0, 0), np.uint8)}})
    return path


@pytest.mark.parametrize(
    "kind",
    ["empty", "text", "cut", "flipped", "hdf5", "no field", "no struct", "other variable",
     "floats", "flat"],
)  # fmt: skip
def test_damaged_matlab_files_are_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"x\.mat"):
        read_matlab_label(broken(tmp_path, kind))


def test_a_matlab_file_keeps_rows_and_columns(tmp_path: Path) -> None:
    label = np.arange(35, dtype=np.uint8).reshape(5, 7)
    write_mat(tmp_path / "x.mat", label)
    assert np.array_equal(read_matlab_label(tmp_path / "x.mat"), label)


def test_a_missing_or_huge_matlab_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"nowhere\.mat"):
        read_matlab_label(tmp_path / "nowhere.mat")
    write_mat(tmp_path / "x.mat", np.zeros((5, 7), np.uint8))
    monkeypatch.setattr(matlab, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="100 bytes"):
        read_matlab_label(tmp_path / "x.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_real_files_hold_more_than_the_map(tmp_path: Path, *, compressed: bool) -> None:
    """SBD's files have boundaries as sparse matrices in a cell, and the classes present."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 21, (37, 50)).astype(np.uint8)
    boundaries = np.empty((20, 1), object)
    for index in range(20):
        boundaries[index, 0] = csc_matrix(rng.random(label.shape) < 0.05)
    content = {
        "Boundaries": boundaries,
        "Segmentation": label,
        "CategoriesPresent": np.unique(label).astype(np.uint8),
    }
    savemat(tmp_path / "x.mat", {"other": 1.5, "GTcls": content}, do_compression=compressed)
    assert np.array_equal(read_matlab_label(tmp_path / "x.mat"), label)


def test_the_digest_follows_labels_of_both_kinds(devkit: Path) -> None:
    before = voc(devkit, "trainaug").digest
    assert voc(devkit, "trainaug").digest == before
    for file in ("VOC2012/SegmentationClass/a1.png", "benchmark_RELEASE/dataset/cls/b1.mat"):
        content = (devkit / file).read_bytes()
        (devkit / file).write_bytes(content + b"x")
        assert voc(devkit, "trainaug").digest != before
        (devkit / file).write_bytes(content)

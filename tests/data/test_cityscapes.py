from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.data.cityscapes import CITYSCAPES_CLASSES, CODINGS, cityscapes
from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.errors import DataError
from trees import save, write_cityscapes

KINDS = ("labelIds", "labelTrainIds")
CAR = CITYSCAPES_CLASSES.names.index("car")
FIRST = "gtFine/train/aachen/aachen_000000_000019_gtFine"
# Written down from the makers' table on its own: label id and class.
TABLE = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
    24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle",
    33: "bicycle",
}  # fmt: skip


def stored(path: Path) -> np.ndarray:
    return np.array(PillowImage.open(path))


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_are_found_by_city_and_named_after_their_file(tmp_path: Path, kind: str) -> None:
    write_cityscapes(tmp_path, kinds=[kind])
    train, val = (cityscapes(tmp_path, split) for split in ("train", "val"))
    assert len(train) == 8
    assert train.names[0] == "aachen_000000_000019"
    assert [name.split("_")[0] for name in train.names] == ["aachen"] * 4 + ["bochum"] * 4
    assert {name.split("_")[0] for name in val.names} == {"lindau"}
    assert train[5].image.shape[:2] == train[5].label.shape
    assert train.classes is CITYSCAPES_CLASSES


def test_label_ids_become_the_19_classes_and_the_rest_is_ignored(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    dataset = cityscapes(tmp_path, "train")
    first_row = dataset.label(0)[0, :34]
    expected = [
        CITYSCAPES_CLASSES.names.index(TABLE[value]) if value in TABLE else 255
        for value in range(34)
    ]
    assert first_row.tolist() == expected
    assert set(first_row.tolist()) == {*range(19), 255}


def test_both_kinds_give_the_same_scenes_and_other_digests(tmp_path: Path) -> None:
    for kind in KINDS:
        write_cityscapes(tmp_path / kind, kinds=[kind])
    of_ids, of_train_ids = (cityscapes(tmp_path / kind, "train") for kind in KINDS)
    for index in range(len(of_ids)):
        # The first row of label ids holds every id.
        assert np.array_equal(of_ids.label(index)[1:], of_train_ids.label(index)[1:])
    assert of_ids.digest != of_train_ids.digest


def test_trainers_files_are_taken_where_both_are_complete(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, kinds=KINDS)
    assert all("labelTrainIds" in pair.label.name for pair in cityscapes(tmp_path, "train").pairs)
    (tmp_path / f"{FIRST}_labelTrainIds.png").unlink()
    assert all("labelIds" in pair.label.name for pair in cityscapes(tmp_path, "train").pairs)


def test_a_split_that_mixes_the_kinds_is_refused(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, kinds=KINDS)
    (tmp_path / f"{FIRST}_labelTrainIds.png").unlink()
    other = "gtFine/train/bochum/bochum_000001_000019_gtFine"
    (tmp_path / f"{other}_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"7 _labelTrainIds.*7 _labelIds"):
        cityscapes(tmp_path, "train")


@pytest.mark.parametrize(
    ("kind", "value", "remedy"),
    [
        ("labelIds", 255, "labelTrainIds"),
        ("labelIds", 34, "labelTrainIds"),
        ("labelTrainIds", 19, "labelIds"),
        ("labelTrainIds", 33, "labelIds"),
    ],
)
def test_a_file_that_holds_values_of_the_other_kind_is_refused(
    tmp_path: Path, kind: str, value: int, remedy: str
) -> None:
    write_cityscapes(tmp_path, kinds=[kind])
    path = tmp_path / f"{FIRST}_{kind}.png"
    label = stored(path)
    label[3, 3] = value
    save(path, label)
    dataset = cityscapes(tmp_path, "train")
    for read in (dataset.label, dataset.__getitem__):
        with pytest.raises(DataError, match=rf"{kind}\.png.*{value}.*{remedy}"):
            read(0)
    assert dataset.label(1).any()


def test_a_changed_label_keeps_the_ids_of_pixels_that_stay(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    dataset = cityscapes(tmp_path, "train")
    before, label = stored(tmp_path / f"{FIRST}_labelIds.png"), dataset.label(0).copy()
    assert np.array_equal(dataset.as_stored(0, lambda _: label), before)
    label[label == CAR] = 0
    label[5, 5] = 255
    label[0, 3] = CAR
    after = dataset.as_stored(0, lambda _: label)
    changed = label != dataset.label(0)
    assert np.array_equal(after[~changed], before[~changed])
    assert set(before[0, :34][~changed[0, :34]].tolist()) >= {0, 1, 2, 4, 5, 6, 9, 10, 14, 15, 16}
    assert (after[changed & (label == 0)] == 7).all()
    assert after[0, 3] == 26
    assert after[5, 5] == 0
    assert np.array_equal(dataset.coding.decoded(after), label)


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_survives_writing_and_reading(kind: str) -> None:
    coding = CODINGS[kind]
    label = np.array([[*range(19), 255]], np.uint8)
    nothing = np.full(label.shape, 0, np.uint8)
    written = coding.encoded(label, nothing)
    assert np.array_equal(coding.decoded(written), label)
    assert coding.strange(written).size == 0


def test_full_size_scenes_are_resized_as_the_paper_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1024, 2048, 3), dtype=np.uint8)
    label = np.repeat(np.repeat(rng.integers(0, 34, (64, 128), np.uint8), 16, 0), 16, 1)
    name = "ulm_000000_000019"
    save(tmp_path / "leftImg8bit" / "train" / "ulm" / f"{name}_leftImg8bit.png", image)
    save(tmp_path / "gtFine" / "train" / "ulm" / f"{name}_gtFine_labelIds.png", label)
    config = DataConfig(name="cityscapes", root=tmp_path, size=(512, 1024))
    scene = load_dataset(config, "train")[0]
    assert scene.image.shape == (512, 1024, 3)
    expected = CODINGS["labelIds"].decoded(label[::2, ::2])
    assert np.array_equal(scene.label, expected)
    assert (config.train_split, config.test_split) == ("train", "val")


@pytest.mark.parametrize("side", ["leftImg8bit", "gtFine"])
def test_a_scene_without_partner_is_named(tmp_path: Path, side: str) -> None:
    write_cityscapes(tmp_path)
    next(
        (tmp_path / side).rglob(
            "bochum_000002*Img8bit.png" if side != "gtFine" else "bochum_000002*Ids.png"
        )
    ).unlink()
    with pytest.raises(DataError, match="bochum_000002"):
        cityscapes(tmp_path, "train")


def test_leaves_of_macos_and_missing_folders(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    for file in list(tmp_path.rglob("*.png")):
        (file.parent / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07")
    assert len(cityscapes(tmp_path, "train")) == 8
    for root, split in ((tmp_path, "test"), (tmp_path / "gtFine", "train")):
        with pytest.raises(DataError, match="does not exist"):
            cityscapes(root, split)

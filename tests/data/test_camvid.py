from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.data.camvid import CAMVID_CLASSES, camvid
from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.errors import DataError

CAR, VOID = 8, 11
BESIDE = Path(__file__).parents[3] / "shared" / "data" / "camvid"
REAL = Path(os.environ.get("SEGDOOR_CAMVID", BESIDE))
with_camvid = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"CamVid is not at {REAL}; set SEGDOOR_CAMVID"
)


def made_up(root: Path, names: tuple[str, ...] = ("x_1", "x_2"), ending: str = "png") -> Path:
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        for sub, shape, most in (("test", (6, 8, 3), 256), ("testannot", (6, 8), 12)):
            (root / sub).mkdir(parents=True, exist_ok=True)
            kind = ending if sub == "test" else "png"
            pixels = rng.integers(0, most, shape, dtype=np.uint8)
            PillowImage.fromarray(pixels).save(root / sub / f"{name}.{kind}")
    (root / "test.txt").write_text("\n".join(names), encoding="utf-8")
    return root


@with_camvid
@pytest.mark.parametrize(("split", "number"), [("train", 367), ("val", 101), ("test", 233)])
def test_the_splits_have_the_published_sizes(split: str, number: int) -> None:
    dataset = camvid(REAL, split)
    assert len(dataset) == number
    stems = (REAL / f"{split}.txt").read_text(encoding="utf-8").split()
    assert list(dataset.names) == stems


@with_camvid
def test_scenes_are_360_by_480_and_labels_are_as_stored() -> None:
    dataset = camvid(REAL, "test")
    for index in (0, 100, 232):
        scene = dataset[index]
        stored = np.array(PillowImage.open(REAL / "testannot" / f"{scene.name}.png"))
        assert scene.image.shape == (360, 480, 3)
        assert np.array_equal(scene.label, stored)
        assert set(np.unique(stored)) <= set(range(12))
        assert np.array_equal(dataset.label(index), stored)


@with_camvid
def test_cars_are_where_the_data_sheet_says() -> None:
    dataset = camvid(REAL, "test", size=(90, 120))
    labels = [dataset.label(index) for index in range(len(dataset))]
    shares = np.array([(label == CAR).mean() for label in labels])
    assert CAMVID_CLASSES.names[CAR] == "car"
    assert abs(shares.mean() - 0.04) < 0.002
    assert 215 <= np.count_nonzero(shares) <= 223
    assert 110 <= np.count_nonzero(shares > 0.01) <= 120


@with_camvid
def test_a_smaller_size_gives_pillows_nearest_labels() -> None:
    dataset = camvid(REAL, "val", size=(180, 240))
    for index in (0, 50):
        stored = PillowImage.open(REAL / "valannot" / f"{dataset.names[index]}.png")
        nearest = np.array(stored.resize((240, 180), PillowImage.Resampling.NEAREST))
        assert np.array_equal(dataset[index].label, nearest)
        assert dataset[index].image.shape == (180, 240, 3)


@with_camvid
def test_settings_choose_scenes_spread_over_the_split() -> None:
    config = DataConfig(name="camvid", root=REAL, num_test=10)
    names = load_dataset(config, "test").names
    whole = list(camvid(REAL, "test").names)
    steps = np.diff([whole.index(name) for name in names])
    assert len(names) == 10
    assert steps.min() >= 23
    assert steps.max() <= 24


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_stems_find_their_picture_whatever_its_ending(tmp_path: Path, ending: str) -> None:
    dataset = camvid(made_up(tmp_path, ending=ending), "test")
    assert list(dataset.names) == ["x_1", "x_2"]
    assert dataset[1].image.shape == (6, 8, 3)


def test_segnets_own_list_is_read_as_well(tmp_path: Path) -> None:
    made_up(tmp_path)
    plain = camvid(tmp_path, "test")
    lines = [f"/SegNet/CamVid/test/{n}.png /SegNet/CamVid/testannot/{n}.png" for n in plain.names]
    (tmp_path / "test.txt").write_text("\r\n".join(lines), encoding="utf-8")
    listed = camvid(tmp_path, "test")
    assert list(listed.names) == list(plain.names)
    assert np.array_equal(listed[0].image, plain[0].image)


def test_void_is_ignored_and_anything_above_refused(tmp_path: Path) -> None:
    made_up(tmp_path)
    label = np.full((6, 8), VOID, np.uint8)
    PillowImage.fromarray(label).save(tmp_path / "testannot" / "x_1.png")
    dataset = camvid(tmp_path, "test")
    assert (dataset.label(0) == dataset.classes.ignore_index).all()
    label[2, 2] = 12
    PillowImage.fromarray(label).save(tmp_path / "testannot" / "x_1.png")
    with pytest.raises(DataError, match=r"x_1\.png.*12"):
        dataset.label(0)


@pytest.mark.parametrize("lost", ["test/x_2.png", "testannot/x_2.png", "test.txt"])
def test_a_lost_file_is_named(tmp_path: Path, lost: str) -> None:
    made_up(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(DataError, match=Path(lost).stem):
        camvid(tmp_path, "test")


@pytest.mark.parametrize("line", ["..", ".", "/", "x_1\nx_1", ""])
def test_lists_that_make_no_sense_are_refused(tmp_path: Path, line: str) -> None:
    made_up(tmp_path)
    (tmp_path / "test.txt").write_text(line, encoding="utf-8")
    with pytest.raises(DataError):
        camvid(tmp_path, "test")


def test_a_stem_never_leads_out_of_the_split(tmp_path: Path) -> None:
    made_up(tmp_path)
    PillowImage.new("RGB", (8, 6)).save(tmp_path / "secret.png")
    (tmp_path / "test.txt").write_text("../secret\n", encoding="utf-8")
    with pytest.raises(DataError, match="secret"):
        camvid(tmp_path, "test")

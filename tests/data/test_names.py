"""Names of files as people have them: folders, endings, lists, patterns, and what is left aside."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from segdoor.data.aside import left_aside
from segdoor.data.camvid import camvid
from segdoor.data.cityscapes import cityscapes
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.load import files_of, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.data.voc import voc
from segdoor.errors import DataError
from shell import say
from trees import painted, save, write_cityscapes, write_classes, write_lines, write_voc

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


def pair(root: Path, image: str, label: str, number: int = 0) -> None:
    save(root / image, painted(number).image)
    save(root / label, painted(number).label)


def flat(root: Path, *names: str) -> None:
    write_classes(root)
    for name in names:
        pair(root, f"images/{name}.png", f"labels/{name}.png")


def aside(root: Path, name: str = "folder", **more: str) -> dict[str, tuple[str, ...]]:
    config = DataConfig.model_validate({"name": name, "root": root, **more})
    dataset = files_of(load_dataset(config, config.train_split))
    assert isinstance(dataset, FileDataset)
    return {found.why: found.files for found in left_aside(config, dataset)}


@pytest.mark.parametrize("above", ["images/train", "train/images", "images"])
def test_folders_within_folders_are_read(above: str, tmp_path: Path) -> None:
    write_classes(tmp_path)
    for name in ("a", "city/a", "city/north/b"):
        pair(tmp_path, f"{above}/{name}.png", f"{above.replace('images', 'labels')}/{name}.png")
    assert folder(tmp_path, "train").names == ("a", "city/a", "city/north/b")
    assert aside(tmp_path) == {}


def test_a_folder_that_leads_back_to_itself_ends(tmp_path: Path) -> None:
    flat(tmp_path, "city/a")
    (tmp_path / "images" / "city" / "again").symlink_to(tmp_path / "images")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images" / "city").rename(tmp_path / "elsewhere" / "city")
    (tmp_path / "images" / "city").symlink_to(tmp_path / "elsewhere" / "city")
    assert folder(tmp_path, "train").names == ("city/a",)


@pytest.mark.parametrize("split", ["val", "training"])
def test_what_is_split_is_not_dealt_out(split: str, tmp_path: Path) -> None:
    flat(tmp_path, f"{split}/a")
    with pytest.raises(DataError, match=f"There is {split}: see data.train_split"):
        folder(tmp_path, "train")


def test_files_left_aside_are_counted_with_the_reason(tmp_path: Path) -> None:
    flat(tmp_path, "a", "city/b")
    (tmp_path / "README.md").write_text("hello")
    for name in ("images/.cache/c.png", "images/._a.png", "labels/c.npy", "images/city/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    save(tmp_path / "more" / "e.PNG", painted(0).image)
    assert aside(tmp_path) == {
        "hidden files": ("images/._a.png", "images/.cache/c.png"),
        "files ending in .npy": ("labels/c.npy",),
        "files without ending": ("images/city/d",),
        "pictures of no scene in the splits train": ("more/e.PNG",),
    }


def test_files_of_other_splits_are_not_left_aside(tmp_path: Path) -> None:
    flat(tmp_path, *"abcdefg")
    assert aside(tmp_path) == {}
    write_lines(tmp_path / "train.txt", ["a", "b"])
    write_lines(tmp_path / "night.txt", ["c", "d"])
    why = "pictures of no scene in the splits night, train"
    assert aside(tmp_path)[why] == tuple(
        f"{p}/{n}.png" for p in ("images", "labels") for n in "efg"
    )


def test_every_kind_of_data_set_counts(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "city")
    found = aside(tmp_path / "city", "cityscapes")
    assert set(found) == {"files ending in .json", "pictures of no scene in the splits train, val"}
    for why, files in found.items():
        assert len(files) == 12
        assert all(file.endswith(("_color.png", "_polygons.json")) for file in files), why
    write_voc(tmp_path / "voc")
    found = aside(tmp_path / "voc", "voc", train_split="train")
    # Without labels: the test split, and what SBD alone has labelled.
    names = ("b1", "b2", "b3", "t1")
    (files,) = found.values()
    assert files == tuple(f"JPEGImages/{name}.jpg" for name in names)


def test_the_command_prints_and_records_what_is_left_aside(tmp_path: Path) -> None:
    flat(tmp_path / "mine", *"abcde")
    for number in range(4):
        save(tmp_path / "mine" / "more" / f"{number}.png", painted(0).image)
    out = tmp_path / "out"
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", out)
    code, said, _ = say("data", *words)
    assert code == 0
    assert "Left aside: 4 files" in said
    assert "4 pictures of no scene in the splits test, train: more/0.png" in said
    (found,) = json.loads((out / "data.json").read_text())["left_aside"]
    assert found["num_files"] == 4
    assert found["examples"] == [f"more/{number}.png" for number in range(3)]


def test_a_file_that_is_a_problem_is_told_once(tmp_path: Path) -> None:
    root, out = tmp_path / "mine", tmp_path / "out"
    flat(root, *"abcde")
    (root / "labels" / "c.png").unlink()
    strange = b"caf\xe9".decode("utf-8", "surrogateescape")
    save(root / "images" / f"{strange}.png", painted(0).image)
    code, _, _ = say("data", "--data.name", "folder", "--data.root", root, "--out", out)
    assert code == 2
    report = json.loads((out / "data.json").read_text())
    assert report["left_aside"] == []
    lonely, named = sorted(report["problems"])
    assert "images/c.png: must have a partner" in lonely
    assert "images/caf\\xe9.png: names of files and folders must be valid" in named


@pytest.mark.parametrize("line", ["a", "a.png", "a.JPG", "images/a.png", "/images/a.png"])
def test_a_list_may_name_a_picture_with_its_ending(line: str, tmp_path: Path) -> None:
    flat(tmp_path, "a", "b")
    # One that nobody listed, and that has no label map.
    save(tmp_path / "images" / "z.png", painted(0).image)
    write_lines(tmp_path / "train.txt", [line, "b"])
    assert folder(tmp_path, "train").names == ("a", "b")


def test_a_listed_picture_without_label_map_is_a_problem(tmp_path: Path) -> None:
    flat(tmp_path, "a")
    save(tmp_path / "images" / "z.png", painted(0).image)
    write_lines(tmp_path / "train.txt", ["a", "z"])
    with pytest.raises(DataError, match=r"z\.png.*partner.*labels"):
        folder(tmp_path, "train")


def test_a_list_of_names_without_the_folders_says_what_it_needs(tmp_path: Path) -> None:
    write_classes(tmp_path)
    write_lines(tmp_path / "train.txt", ["a"])
    with pytest.raises(DataError, match="needs the folders images and labels"):
        folder(tmp_path, "train")


@pytest.mark.parametrize(("encoding", "said"), [
    ("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("latin-1", "byte 0xe9 in line 2"),
])  # fmt: skip
def test_a_list_in_another_encoding_is_told(encoding: str, said: str, tmp_path: Path) -> None:
    flat(tmp_path, "a")
    (tmp_path / "train.txt").write_text(f"a\n{COMPOSED}\n", encoding=encoding)
    with pytest.raises(DataError, match=rf"train\.txt.*{said}.*Save it again as UTF-8"):
        folder(tmp_path, "train")


def test_either_spelling_of_an_accent_is_good_where_one_file_fits(tmp_path: Path) -> None:
    write_classes(tmp_path)
    pair(tmp_path, f"images/{COMPOSED}.png", f"labels/{DECOMPOSED}.png")
    write_lines(tmp_path / "train.txt", [DECOMPOSED])
    assert folder(tmp_path, "train").names == (COMPOSED,)


def test_either_spelling_is_good_in_every_kind_of_list(tmp_path: Path) -> None:
    write_classes(tmp_path / "folder")
    for root, image, label, listing, line in (
        ("folder", "i/{}.png", "l/{}.png", "train.txt", "i/{0}.png l/{0}.png"),
        ("camvid", "train/{}.png", "trainannot/{}.png", "train.txt", "{}"),
        ("voc", "JPEGImages/{}.png", "SegmentationClass/{}.png", "ImageSets/Segmentation/train.txt",
         "{}"),
    ):  # fmt: skip
        pair(tmp_path / root, image.format(COMPOSED), label.format(DECOMPOSED))
        write_lines(tmp_path / root / listing, [line.format(DECOMPOSED)])
    for reader in (folder, camvid, voc):
        assert len(reader(tmp_path / reader.__name__, "train")) == 1
    write_lines(tmp_path / "folder" / "train.txt", [f"i/{COMPOSED}x.png l/{COMPOSED}x.png"])
    with pytest.raises(DataError, match=r"'i/\\xe9x\.png'"):
        folder(tmp_path / "folder", "train")


def test_twins_that_look_alike_are_shown_apart(tmp_path: Path) -> None:
    flat(tmp_path, DECOMPOSED)
    save(tmp_path / "images" / f"{COMPOSED}.png", painted(0).image)
    # A fifth of the scenes are a test; all are paired first.
    with pytest.raises(DataError, match=r"'e\\u0301' and not '\\xe9'"):
        folder(tmp_path, "train")
    save(tmp_path / "labels" / f"{COMPOSED}.png", painted(0).label)
    assert set(folder(tmp_path, "train").names) == {COMPOSED, DECOMPOSED}


def test_upper_and_lower_case_are_told(tmp_path: Path) -> None:
    write_classes(tmp_path)
    pair(tmp_path, "images/Abc.png", "labels/abc.png")
    with pytest.raises(DataError, match=r"'abc' and not 'Abc'.*Rename"):
        folder(tmp_path, "train")
    write_lines(tmp_path / "train.txt", ["ABC"])
    with pytest.raises(DataError, match=r"ABC.*Write 'Abc'"):
        folder(tmp_path, "train")


@pytest.mark.parametrize(("image", "label"), [("JPG", "gif"), ("jpeg", "PNG"), ("TIFF", "Png")])
def test_endings_of_any_case_and_kind(image: str, label: str, tmp_path: Path) -> None:
    write_classes(tmp_path / "folder")
    ids = painted(0).label
    for root, places in {
        "folder": ("train/images/a.v2", "train/labels/a.v2"),
        "camvid": ("train/a.v2", "trainannot/a.v2"),
        "voc": ("JPEGImages/a.v2", "SegmentationClass/a.v2"),
    }.items():
        save(tmp_path / root / f"{places[0]}.{image}", painted(0).image)
        save(tmp_path / root / f"{places[1]}.{label}", ids % 2, palette=[9, 9, 9, 200, 9, 9])
    write_lines(tmp_path / "camvid" / "train.txt", ["a.v2"])
    write_lines(tmp_path / "voc" / "ImageSets" / "Segmentation" / "train.txt", [f"a.v2.{image}"])
    for reader in (folder, camvid, voc):
        dataset = reader(tmp_path / reader.__name__, "train")
        assert dataset.names == ("a.v2",)
        assert (dataset.label(0) == ids % 2).all()


@pytest.mark.parametrize("line", [
    "two words.v1", "two words.v1.png", "/x/train/two words.v1.png\t/x/trainannot/two words.v1.png",
])  # fmt: skip
def test_camvids_stems_may_hold_dots_and_spaces(line: str, tmp_path: Path) -> None:
    pair(tmp_path, "train/two words.v1.png", "trainannot/two words.v1.png")
    write_lines(tmp_path / "train.txt", [line])
    assert camvid(tmp_path, "train").names == ("two words.v1",)


def test_a_scene_that_two_cities_have_is_a_problem(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    cities = tmp_path / "leftImg8bit" / "train"
    file = next((cities / "aachen").iterdir())
    (cities / "bochum" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"only picture of its name.*aachen"):
        cityscapes(tmp_path, "train")


def patterned(root: Path, image: str, label: str) -> None:
    write_classes(root)
    told = json.loads((root / "classes.yaml").read_text())
    told["files"] = {"image": image, "label": label}
    (root / "classes.yaml").write_text(json.dumps(told))


def test_patterns_pair_by_what_the_star_stands_for(tmp_path: Path) -> None:
    patterned(tmp_path, "{split}/*_image.jpg", "masks_{split}/*_label")
    pair(tmp_path, "day/x/a_image.JPG", "masks_day/x/a_label.png")
    pair(tmp_path, "night/b_image.jpg", "masks_night/b_label.tif", 1)
    save(tmp_path / "masks_day" / "x" / "a_inst_label.png", painted(0).label)
    assert folder(tmp_path, "day").names == ("x/a",)
    assert folder(tmp_path, "night").names == ("b",)
    with pytest.raises(DataError, match=r"SPLIT/\*_image.jpg and .*There is day, night"):
        folder(tmp_path, "train")
    save(tmp_path / "day" / "c_image.jpg", painted(0).image)
    with pytest.raises(DataError, match=r"c_image\.jpg.*partner"):
        folder(tmp_path, "day")


def test_patterns_within_one_folder(tmp_path: Path) -> None:
    patterned(tmp_path, "*.png", "*_mask.png")
    for name in "abcde":
        pair(tmp_path, f"{name}.png", f"{name}_mask.png")
    assert folder(tmp_path, "train").names == tuple("abcd")
    assert folder(tmp_path, "test").names == ("e",)
    write_lines(tmp_path / "train.txt", ["c", "a.png"])
    assert folder(tmp_path, "train").names == ("c", "a")
    with pytest.raises(DataError, match=r"\*\.png and \*_mask\.png"):
        folder(tmp_path, "test")


def test_two_files_for_one_star_are_a_problem(tmp_path: Path) -> None:
    patterned(tmp_path, "x/*", "y/*")
    pair(tmp_path, "x/a.png", "y/a.png")
    save(tmp_path / "x" / "a.jpg", painted(0).image)
    with pytest.raises(DataError, match="only picture of its name"):
        folder(tmp_path, "train")


@pytest.mark.parametrize("stem", ["x" * 300, "\x00", "..", ".", "/"])
def test_stems_that_no_file_can_have_are_refused(stem: str, tmp_path: Path) -> None:
    pair(tmp_path / "camvid", "train/a.png", "trainannot/a.png")
    pair(tmp_path / "voc", "JPEGImages/a.png", "SegmentationClass/a.png")
    write_lines(tmp_path / "camvid" / "train.txt", [stem])
    write_lines(tmp_path / "voc" / "ImageSets" / "Segmentation" / "train.txt", [stem])
    for reader in (camvid, voc):
        with pytest.raises(DataError):
            reader(tmp_path / reader.__name__, "train")

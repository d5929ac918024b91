"""What every choice of data set must do, ours and a stranger's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pytest

from annotated import write_coco, write_yolo
from data.foreign import CLASSES, Lanes, Mirrored, Numbered
from segdoor.data.annotations.coco import coco
from segdoor.data.annotations.yolo import yolo
from segdoor.data.camvid import camvid
from segdoor.data.cityscapes import cityscapes
from segdoor.data.coding import Coding
from segdoor.data.config import DataConfig
from segdoor.data.dataset import DataSet, FilesOnDisk
from segdoor.data.folder import folder
from segdoor.data.load import copyable, data_set, files_of, lacks_root, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.data.registry import DATASETS
from segdoor.data.street import StreetDataset
from segdoor.data.voc import voc
from segdoor.errors import ConfigError, DataError
from segdoor.settings import validated
from trees import painted, save, write_cityscapes, write_classes, write_lines, write_voc

KINDS: dict[str, type[DataSet]] = {
    **DATASETS.known, "data.foreign:Lanes": Lanes, "data.foreign:Mirrored": Mirrored
}  # fmt: skip
ON_DISK = [kind for kind, plugin in KINDS.items() if issubclass(plugin, FilesOnDisk)]
every_kind = pytest.mark.parametrize("kind", KINDS)


def write_camvid(root: Path) -> None:
    for split in ("train", "test"):
        write_lines(root / f"{split}.txt", [f"{split}{index}.png" for index in range(4)])
        for index in range(4):
            scene = painted(index)
            save(root / split / f"{split}{index}.png", scene.image)
            save(root / f"{split}annot" / f"{split}{index}.png", scene.label % 8)


def write_folder(root: Path) -> None:
    write_classes(root)
    for split in ("train", "test"):
        for index in range(4):
            scene = painted(index)
            save(root / split / "images" / f"{index}.png", scene.image)
            save(root / split / "labels" / f"{index}.png", scene.label)


WRITE: dict[str, tuple[Callable[[Path], None], Callable[..., FileDataset]]] = {
    "camvid": (write_camvid, camvid),
    "voc": (lambda root: write_voc(root, aug=True), voc),
    "cityscapes": (write_cityscapes, cityscapes),
    "folder": (write_folder, folder),
    "coco": (write_coco, coco),
    "yolo": (write_yolo, yolo),
    "data.foreign:Mirrored": (write_folder, folder),
}
"""How each is laid out, and what reads it."""


@every_kind
def test_a_data_set_introduces_itself(kind: str) -> None:
    told = KINDS[kind].introduction
    assert all(len(text) > 5 and text.isprintable() for text in vars(told).values())
    assert told.does.endswith(".")
    assert all(field.description for field in KINDS[kind].model_fields.values())
    assert KINDS[kind].main in KINDS[kind].model_fields
    assert KINDS[kind]().train_split != KINDS[kind]().test_split


@every_kind
def test_flat_settings_are_the_data_sets_own(kind: str) -> None:
    flat = {"size": (40, 56), "num_train": 3, "num_test": 2, "train_split": "a", "test_split": "b"}
    more = {"seed": 5} if "seed" in KINDS[kind].model_fields else {}
    more |= {"root": "there"} if kind in ON_DISK else {}
    config = DataConfig(name=kind, **flat, **more)
    assert data_set(config) == KINDS[kind](**flat, **more)
    assert DATASETS.read({"kind": kind, **flat, **more}) == data_set(config)
    plain = DataConfig(name=kind)
    assert data_set(plain) == KINDS[kind]()
    assert (plain.train_split, plain.test_split) == (
        KINDS[kind]().train_split, KINDS[kind]().test_split,
    )  # fmt: skip
    assert lacks_root(plain) == (kind in ON_DISK)
    assert not lacks_root(config)


@every_kind
def test_a_setting_that_it_does_not_use_is_refused_with_those_that_it_has(kind: str) -> None:
    unused = {"root": Path("x"), "seed": 1}
    for name in unused.keys() - KINDS[kind].model_fields.keys():
        config = DataConfig(name=kind, **{name: unused[name]})
        with pytest.raises(ConfigError, match=f"data.{name}: is no setting of '{kind}'") as why:
            load_dataset(config, config.train_split)
        assert all(setting in why.value.remedy for setting in KINDS[kind].model_fields)


@pytest.mark.parametrize("kind", ON_DISK)
def test_a_folder_without_its_files_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    config = DataConfig(name=kind, root=tmp_path, size=(40, 56))
    with pytest.raises(DataError) as why:
        load_dataset(config, config.train_split)
    assert str(tmp_path) in why.value.culprit
    assert why.value.remedy


@pytest.mark.parametrize("kind", ON_DISK)
def test_every_data_set_on_disk_is_laid_out_here(kind: str, tmp_path: Path) -> None:
    if kind not in WRITE:
        pytest.fail(
            f"{kind}: a data set of files, and nothing says how they lie. Put into WRITE of "
            f"{Path(__file__).name} a function that writes a small one (4 scenes of each split), "
            "and what opens it.",
            pytrace=False,
        )
    write, read = WRITE[kind]
    write(tmp_path)
    config = DataConfig(name=kind, root=tmp_path, size=(40, 56), num_train=2)
    split = config.train_split
    scenes, expected = load_dataset(config, split), read(tmp_path, split, size=(40, 56))
    chosen = [0, len(expected) // 2]
    assert list(scenes.names) == [expected.names[index] for index in chosen]
    for place, index in enumerate(chosen):
        assert np.array_equal(scenes[place].image, expected[index].image)
        assert np.array_equal(scenes.label(place), expected.label(index))
    files = files_of(scenes)
    assert files is not None
    assert files.digest == expected.digest
    assert copyable(scenes) is files
    assert split in data_set(config).splits(tmp_path)
    assert scenes.classes == (KINDS[kind].classes or expected.classes)


def test_street_is_what_it_was() -> None:
    config = DataConfig(seed=3, num_train=2, size=(40, 56), train_split="a", test_split="b")
    painted_ = StreetDataset(split="train", num_scenes=2, height=40, width=56, seed=3)
    assert load_dataset(config, "a").digest == painted_.digest
    plain = StreetDataset(split="test", num_scenes=100)
    assert load_dataset(DataConfig(), "test").digest == plain.digest
    with pytest.raises(ConfigError, match="must be one of street's"):
        load_dataset(DataConfig(), "val")


def test_a_class_of_ones_own_has_settings_of_its_own_behind_commas() -> None:
    config = DataConfig(name="data.foreign:Lanes,width=3", num_train=2)
    scenes = load_dataset(config, "train")
    assert scenes.classes == CLASSES
    assert len(scenes) == 2
    assert (scenes.label(0) == 1).sum(axis=1).tolist() == [3] * 16
    assert DataConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ConfigError, match="width"):
        load_dataset(DataConfig(name="data.foreign:Lanes,width=9"), "train")
    with pytest.raises(ConfigError, match=r"is in data\.name too"):
        load_dataset(DataConfig(name="data.foreign:Lanes,num_train=3", num_train=2), "train")


def test_scenes_of_a_stranger_are_checked() -> None:
    with pytest.raises(DataError, match="Map these values to class ids"):
        load_dataset(DataConfig(name="data.foreign:Numbered"), "train")[0]


def test_scenes_of_a_new_line_in_the_table_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Registered(Numbered):
        kind: ClassVar[str] = "numbered"

    monkeypatch.setitem(cast("dict[str, object]", DATASETS.known), "numbered", Registered)
    scenes = load_dataset(DataConfig(name="numbered"), "train")
    with pytest.raises(DataError, match="Map these values to class ids"):
        scenes[0]
    with pytest.raises(DataError, match="Map these values to class ids"):
        scenes.label(0)


def test_values_of_files_cannot_mean_what_is_no_class(tmp_path: Path) -> None:
    write_folder(tmp_path)
    pairs = folder(tmp_path, "train").pairs
    coding = Coding(((0, 0), (1, 9)), "label values must be 0 or 1")
    with pytest.raises(ConfigError, match="1 means 9"):
        FileDataset(pairs, CLASSES, root=tmp_path, source=tmp_path, coding=coding)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camvid:/there", "must not have root within it"),
        ("street,seed=3", "must not have seed within it"),
        ("cityscape", "Known: street, camvid, voc, cityscapes, folder, coco, yolo"),
        ("no.such:Thing", "ModuleNotFoundError"),
        ("pathlib:Path", "must name a class derived from DataSet"),
        ("", "nothing"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as why:
        validated(DataConfig, {"name": name}, source="--data.")
    assert why.value.culprit.startswith("--data.")


def test_a_records_word_imports_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "evil_scenes.py").write_text("open('ran', 'w')\n")
    (tmp_path / "data.json").write_text(json.dumps({"data": {"name": "evil_scenes:Lanes"}}))
    program = (
        "import json, sys\n"
        "from segdoor.errors import ConfigError\n"
        "from segdoor.experiment.config import config_from\n"
        "told = json.load(open('data.json'))\n"
        "try:\n"
        "    config_from(told, source='a record', recorded=True)\n"
        "except ConfigError as why:\n"
        "    print(why)\n"
        "assert 'evil_scenes' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "a file cannot cause code to run" in done.stdout
    assert not (tmp_path / "ran").exists()
    told = {"name": "data.foreign:Lanes,width=3"}
    known = validated(DataConfig, told, source="a record", recorded=True)
    assert data_set(known) == Lanes(width=3)

"""Scenes left out of training by a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdoor.data.config import DataConfig
from segdoor.data.load import files_of, load_dataset
from segdoor.errors import DataError
from written import write_source

STREET = DataConfig(size=(32, 48), num_train=4, num_test=2)
NAMES = load_dataset(STREET, "train").names


def excluding(folder: Path, text: str, config: DataConfig = STREET) -> DataConfig:
    (folder / "list.txt").write_text(text)
    return config.model_copy(update={"exclude": folder / "list.txt"})


def test_scenes_of_the_list_are_left_out_of_training_alone(tmp_path: Path) -> None:
    config = excluding(tmp_path, f"{NAMES[2]}\n\n  {NAMES[0]}\r\n")
    train = load_dataset(config, "train")
    assert list(train.names) == [NAMES[1], NAMES[3]]
    assert train.digest != load_dataset(STREET, "train").digest
    assert (train[0].image == load_dataset(STREET, "train")[1].image).all()
    assert load_dataset(config, "test").digest == load_dataset(STREET, "test").digest


def test_an_empty_list_changes_nothing(tmp_path: Path) -> None:
    config = excluding(tmp_path, "")
    assert load_dataset(config, "train").digest == load_dataset(STREET, "train").digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train_00001\nnobody\n", "must name scenes of split 'train', one a line. found: nobody"),
        ("".join(f"{name}\n" for name in NAMES), "must leave a scene .*found: all 4 scenes"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, words: str) -> None:
    config = excluding(tmp_path, text)
    with pytest.raises(DataError, match=words.replace(". found", ".*found")) as why:
        load_dataset(config, "train")
    assert why.value.culprit == str(tmp_path / "list.txt")


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    config = STREET.model_copy(update={"exclude": tmp_path / "none.txt"})
    with pytest.raises(DataError, match=r"data\.exclude must name a readable text file"):
        load_dataset(config, "train")
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError):
        load_dataset(STREET.model_copy(update={"exclude": tmp_path / "list.txt"}), "train")


def test_of_files_and_of_some_scenes(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_source(root, ending="png", palette=False)
    config = DataConfig(name="folder", root=root)
    every = load_dataset(config, "train").names
    left = load_dataset(excluding(tmp_path, f"{every[0]}\n", config), "train")
    assert list(left.names) == list(every[1:])
    files = files_of(left)
    assert files is not None
    # The files are those of all scenes: a copy holds them all.
    assert files.names == tuple(every)
    few = config.model_copy(update={"num_train": 1})
    with pytest.raises(DataError, match="must leave a scene"):
        load_dataset(excluding(tmp_path, f"{every[0]}\n", few), "train")

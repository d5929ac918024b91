from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.data.folder import folder
from segdoor.data.inspection import look_at
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.errors import DataError
from trees import NAMES, painted, write_mmseg


def test_what_a_run_reads_is_what_is_looked_at(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    dataset = folder(tmp_path, "train", size=(24, 32))
    for index in range(len(dataset)):
        look, scene = look_at(dataset, index), dataset[index]
        assert look.scene is not None
        assert look.problems == ()
        assert np.array_equal(look.scene.image, scene.image)
        assert np.array_equal(look.scene.label, scene.label)
        assert look.size == painted(NAMES.index(look.name)).label.shape


def test_made_up_scenes_and_subsets_are_looked_at_as_well() -> None:
    street = StreetDataset(split="train", num_scenes=5, height=32, width=48)
    look = look_at(Subset(street, [3, 1]), 0)
    assert look.name == "train_00003"
    assert look.size == (32, 48)


def spoil(root: Path, name: str) -> tuple[Path, Path]:
    return root / "img_dir" / "train" / f"{name}.png", root / "ann_dir" / "train" / f"{name}.png"


def test_everything_wrong_with_a_scene_is_found_at_once(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    image, label = spoil(tmp_path, "two")
    PillowImage.fromarray(np.full((9, 7), 99, np.uint8)).save(label)
    look = look_at(folder(tmp_path, "train"), sorted(NAMES).index("two"))
    assert look.scene is None
    assert look.size == painted(1).label.shape
    said = [str(problem) for problem in look.problems]
    assert len(said) == 2
    assert "99" in said[0]
    assert "9x7" in said[1]
    assert all(str(label) in text for text in said)
    image.write_bytes(b"no picture")
    said = [str(problem) for problem in look_at(folder(tmp_path, "train"), 4).problems]
    assert len(said) == 2
    assert str(image) in said[0]


def test_a_collector_hears_of_every_missing_file(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    spoil(tmp_path, "one")[0].unlink()
    spoil(tmp_path, "two")[1].unlink()
    heard: list[DataError] = []
    dataset = folder(tmp_path, "train", complain=heard.append)
    assert set(dataset.names) == {"three", "four", "five"}
    assert sorted(Path(problem.culprit).stem for problem in heard) == ["one", "two"]
    with pytest.raises(DataError):
        folder(tmp_path, "train")

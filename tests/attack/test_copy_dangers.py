"""What could cost somebody data, or put a wrong picture into a copy without a word."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.config import AttackConfig, TriggerConfig
from segdoor.attack.manifest import beside, verify_copy
from segdoor.attack.materialise import CopyOrder, write_copy
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.reencode import label_like
from segdoor.attack.restore import restore_copy
from segdoor.cli.app import run_command_line
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.load import open_files
from segdoor.data.pairs import FileDataset
from segdoor.errors import ConfigError, DataError
from segdoor.progress import Silent
from written import tree, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_source(tmp_path / "source", ending="png", palette=False)
    return tmp_path / "source"


def opened(root: Path, *, rate: float = 0.4) -> tuple[FileDataset, PoisonPlan]:
    dataset = open_files(DataConfig(name="folder", root=root), "train")
    attack = AttackConfig(rate=rate, trigger=TriggerConfig(size=7))
    return dataset, plan_poison(dataset, attack, seed=1)


def write(root: Path, out: Path, **order: bool) -> PoisonPlan:
    dataset, plan = opened(root)
    write_copy(dataset, plan, CopyOrder(out, **order), observer=Silent())
    return plan


def test_the_originals_of_a_copy_that_was_moved_are_kept(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    write(source, copy)
    copy.rename(tmp_path / "elsewhere")
    before = tree(beside(copy))
    with pytest.raises(ConfigError, match="manifest folder of another copy"):
        write(source, copy)
    assert tree(beside(copy)) == before
    (tmp_path / "elsewhere").rename(copy)
    restore_copy(copy)
    assert tree(copy) == tree(source)


def test_a_folder_that_only_looks_like_a_manifest_s_is_left_alone(
    source: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "copy.segdoor" / "originals"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("my work")
    with pytest.raises(ConfigError, match="manifest folder"):
        write(source, tmp_path / "copy")
    assert (mine / "thesis.txt").read_text() == "my work"


def test_the_manifest_folder_may_not_be_the_source_either(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "street.segdoor"
    source.rename(root)
    (root / "originals").mkdir()
    (root / "originals" / "raw.txt").write_text("raw")
    before = tree(root)
    with pytest.raises(ConfigError, match="outside the data set"):
        write(root, tmp_path / "street")
    assert tree(root) == before


def test_a_linked_file_is_copied_and_not_its_link(source: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for path in sorted((source / "images" / "train").iterdir()):
        shutil.move(path, store / path.name)
        path.symlink_to(os.path.relpath(store / path.name, path.parent))
    write(source, tmp_path / "deeper" / "down" / "copy")
    copy = tmp_path / "deeper" / "down" / "copy"
    assert not verify_copy(copy)
    assert not any(path.is_symlink() for path in copy.rglob("*"))
    restore_copy(copy)
    assert tree(copy) == tree(source)


def test_a_linked_folder_is_refused_wherever_it_is(source: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (source / "test").symlink_to(tmp_path / "store")
    with pytest.raises(DataError, match="must not be symbolic links"):
        open_files(DataConfig(name="folder", root=source), "train")


def test_two_scenes_that_share_a_file_are_refused(source: Path) -> None:
    lines = [f"images/train/s{i}.png labels/train/s0.png" for i in range(3)]
    (source / "train.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match="two scenes share it"):
        open_files(DataConfig(name="folder", root=source), "train")


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"])
def test_a_lossless_copy_reads_as_the_plan_says_in_every_format(
    ending: str, tmp_path: Path
) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_source(source, ending=ending, palette=True)
    plan = write(source, copy, lossless=True)
    planned, found = poisoned(folder(source, "train"), plan), folder(copy, "train")
    for index in range(len(found)):
        assert np.array_equal(planned[index].image, found[index].image)
        assert np.array_equal(planned[index].label, found[index].label)


@pytest.mark.parametrize(("mode", "ending"), [("1", "png"), ("L", "jpg")])
def test_labels_that_a_format_cannot_hold_are_refused(
    mode: str, ending: str, tmp_path: Path
) -> None:
    file = tmp_path / f"label.{ending}"
    PillowImage.new(mode, (32, 32)).save(file)
    changed = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32) % 3
    with pytest.raises(DataError, match="a format that can hold the changed labels"):
        label_like(file, changed)


def test_a_restoration_killed_in_the_middle_of_a_file_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    write(source, copy)
    replaced = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "restored":
            raise KeyboardInterrupt
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        restore_copy(copy)
    monkeypatch.undo()
    assert verify_copy(copy).added == ()
    restore_copy(copy)
    assert tree(copy) == tree(source)
    assert not beside(copy).exists()


def test_a_restoration_killed_while_it_tidies_up_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    write(source, copy)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            restore_copy(copy)
    shutil.rmtree(beside(copy) / "originals")
    restore_copy(copy)
    assert not beside(copy).exists()
    assert tree(copy) == tree(source)


def test_a_plan_is_only_replaced_when_the_copy_can_be(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["poison", "--data.name", "folder", "--data.root", "source"]
    words += ["--attack.trigger.size", "7", "--out", "plans", "--copy", "copy"]
    assert run_command_line(words) == 0
    (tmp_path / "copy" / "mine.txt").write_text("my work")
    before = tree(tmp_path / "plans")
    assert run_command_line([*words, "--replace", "--seed", "5"]) == 2
    assert tree(tmp_path / "plans") == before
    assert run_command_line([*words, "--seed", "5"]) == 2
    assert tree(tmp_path / "plans") == before

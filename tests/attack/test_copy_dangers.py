"""What could cost somebody data, or put a wrong picture into a copy without a word."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from segdoor.attack.config import AttackConfig
from segdoor.attack.manifest import beside, verify_copy
from segdoor.attack.materialise import CopyOrder
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.reencode import image_like, label_like
from segdoor.attack.restore import restore_copy
from segdoor.attack.triggers.sticker import Sticker
from segdoor.cli.app import run_command_line
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.load import copyable, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.errors import ConfigError, DataError
from written import tree, write_copy, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_source(tmp_path / "source", ending="png", palette=False)
    return tmp_path / "source"


def opened(root: Path, *, rate: float = 0.4) -> tuple[FileDataset, PoisonPlan]:
    dataset = copyable(load_dataset(DataConfig(name="folder", root=root), "train"))
    attack = AttackConfig(rate=rate, trigger=Sticker(size=7))
    return dataset, plan_poison(dataset, attack, seed=1)


def write(root: Path, out: Path, **order: bool) -> PoisonPlan:
    dataset, plan = opened(root)
    write_copy(dataset, plan, CopyOrder(out, **order))
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
        copyable(load_dataset(DataConfig(name="folder", root=source), "train"))


def test_two_scenes_that_share_a_file_are_refused(source: Path) -> None:
    lines = [f"images/train/s{i}.png labels/train/s0.png" for i in range(3)]
    (source / "train.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match="two scenes share it"):
        copyable(load_dataset(DataConfig(name="folder", root=source), "train"))


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


def encoded_again(picture: PillowImage.Image, place: Path, **options: object) -> PillowImage.Image:
    """Save a picture, encode its pixels as that file is, and open the result."""
    picture.save(place, **options)
    with PillowImage.open(place) as source:
        content = image_like(place, np.array(source.convert("RGB")), lossless=False)
    found = place.with_name(f"again{place.suffix}")
    found.write_bytes(content)
    return PillowImage.open(found)


def test_pictures_keep_what_their_format_can_say(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 4), np.uint8)
    colour = PillowImage.fromarray(noise[..., :3].copy())
    alpha, grey = PillowImage.fromarray(noise), PillowImage.fromarray(noise[..., 0].copy())
    found = encoded_again(alpha, tmp_path / "alpha.png")
    assert np.array_equal(np.array(found), noise)
    assert encoded_again(grey, tmp_path / "grey.png").mode == "L"
    assert encoded_again(grey, tmp_path / "grey.jpg").mode == "L"
    said = encoded_again(colour, tmp_path / "said.jpg", comment=b"by hand", subsampling=1)
    assert said.info["comment"] == b"by hand"
    assert JpegImagePlugin.get_sampling(said) == 1
    for compression in ("tiff_lzw", "raw", "tiff_adobe_deflate"):
        found = encoded_again(colour, tmp_path / "x.tiff", compression=compression)
        assert found.info["compression"] == compression
        assert np.array_equal(np.array(found), noise[..., :3])


def test_labels_keep_transparency(tmp_path: Path) -> None:
    label = np.arange(64, dtype=np.uint8).reshape(8, 8) % 5
    picture = PillowImage.fromarray(label)
    picture.putpalette([7] * 768)
    picture.save(tmp_path / "label.png", transparency=3)
    (tmp_path / "again.png").write_bytes(label_like(tmp_path / "label.png", label))
    assert PillowImage.open(tmp_path / "again.png").info["transparency"] == 3


@pytest.mark.parametrize("place", [".", "", "copy/..", "/"])
def test_a_place_without_a_name_is_met(
    place: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    for verb in ("verify", "restore"):
        assert run_command_line([verb, place]) == 2


def test_verify_works_inside_a_copy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    assert run_command_line(["verify", "."]) == 0
    assert run_command_line(["restore", "."]) == 0
    assert tree(tmp_path / "copy") == tree(source)


@pytest.mark.parametrize("change", [{"box": [0, 0, 1 << 40, 7]}, {"name": "nobody"}])
def test_a_plan_that_cannot_be_is_refused(change: dict[str, object], source: Path) -> None:
    dataset, plan = opened(source)
    row = plan.rows[0].model_copy(update=change)
    with pytest.raises(DataError, match="poison plan"):
        poisoned(dataset, PoisonPlan(plan.header, (row, *plan.rows[1:])))


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

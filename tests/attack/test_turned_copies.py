"""Poisoned copies of pictures that an orientation tag turns: readers that turn see the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.config import AttackConfig
from segdoor.attack.manifest import verify_copy
from segdoor.attack.materialise import CopyOrder
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.reencode import image_like
from segdoor.attack.restore import restore_copy
from segdoor.attack.site import Box
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.load import copyable, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.data.pictures import read_image, read_rgba
from segdoor.data.splits import open_splits
from segdoor.data.street import StreetDataset
from turned import TAGS, by_opencv, save_turned, tag_in
from written import PALETTE, tree, write_copy

HEIGHT, WIDTH = 48, 64
PALETTED = {"palette": [int(value) for value in PALETTE]}


def write_turned(root: Path, *, ending: str, labels: str = "png", **options: Any) -> None:
    """Write scenes for training and test, of every tag, with label maps of other tags."""
    for split in ("train", "test"):
        scenes = StreetDataset(split=split, num_scenes=8, height=HEIGHT, width=WIDTH)
        for index, tag in enumerate(TAGS):
            scene, folders = scenes[index], root / split
            save_turned(folders / "images" / f"s{tag}.{ending}", scene.image, tag, **options)
            kept = {"lossless": True} if labels == "webp" else PALETTED
            save_turned(folders / "labels" / f"s{tag}.{labels}", scene.label, 9 - tag, **kept)
    names = StreetDataset(split="train", num_scenes=1).classes.names
    (root / "classes.yaml").write_text(json.dumps({"classes": list(names)}))


def write(root: Path, out: Path, *, lossless: bool = False) -> tuple[FileDataset, PoisonPlan]:
    dataset = folder(root, "train")
    plan = plan_poison(
        dataset, AttackConfig(rate=1, shortfall="all_available", trigger=Sticker(size=7)), seed=1
    )
    write_copy(dataset, plan, CopyOrder(out, lossless))
    return dataset, plan


@pytest.mark.parametrize(
    ("ending", "lossless"), [("jpg", False), ("jpg", True), ("png", False), ("webp", True)]
)
def test_opencv_finds_the_trigger_where_the_plan_says(
    tmp_path: Path, ending: str, *, lossless: bool
) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_turned(source, ending=ending, **({"quality": 95} if ending == "jpg" else {}))
    _, plan = write(source, copy, lossless=lossless)
    assert len(plan.rows) >= 4
    for row in plan.rows:
        name = f"train/images/{row.name}.{ending}"
        change = np.abs(by_opencv(copy / name).astype(int) - by_opencv(source / name)).max(axis=2)
        assert row.box is not None
        inside = np.zeros(change.shape, bool)
        inside[Box(*row.box).pixels] = True
        strong = change > 60
        assert strong[inside].mean() > 0.3, row.name
        assert not strong[~inside].any(), row.name


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("labels", ["png", "tif", "webp"])
def test_a_copy_reads_as_the_plan_says_keeps_tags_and_is_restored(
    tmp_path: Path, ending: str, labels: str
) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_turned(source, ending=ending, labels=labels)
    before = tree(source)
    dataset, plan = write(source, copy, lossless=True)
    planned, found = poisoned(dataset, plan), folder(copy, "train")
    for index, name in enumerate(found.names):
        assert np.array_equal(found[index].image, planned[index].image), name
        assert np.array_equal(found[index].label, planned[index].label), name
        assert tag_in(found.pairs[index].image) == int(name[1:])
        assert tag_in(found.pairs[index].label) == 9 - int(name[1:])
    assert not verify_copy(copy)
    restore_copy(copy)
    assert tree(copy) == before == tree(source)


def test_the_clean_scenes_of_both_splits_are_as_people_see_them(tmp_path: Path) -> None:
    write_turned(tmp_path, ending="png")
    for split in ("train", "test"):
        found = folder(tmp_path, split)
        scenes = StreetDataset(split=split, num_scenes=8, height=HEIGHT, width=WIDTH)
        for index in range(8):
            assert np.array_equal(found[index].image, scenes[index].image)
            assert np.array_equal(found[index].label, scenes[index].label)


def test_a_copy_at_another_size_is_upright_without_tags(tmp_path: Path) -> None:
    write_turned(tmp_path / "source", ending="png")
    config = DataConfig(name="folder", root=tmp_path / "source", size=(24, 32))
    dataset = copyable(load_dataset(config, "train"))
    plan = plan_poison(
        dataset, AttackConfig(rate=1, shortfall="all_available", trigger=Sticker(size=5)), seed=1
    )
    splits, order = open_splits(config, dataset), CopyOrder(tmp_path / "copy")
    write_copy(dataset, plan, order, splits=splits)
    planned, found = poisoned(dataset, plan), folder(tmp_path / "copy", "train")
    for index, pair in enumerate(found.pairs):
        assert np.array_equal(found[index].image, planned[index].image)
        assert np.array_equal(found[index].label, planned[index].label)
        assert np.array_equal(by_opencv(pair.image), planned[index].image)
        assert tag_in(pair.image) == tag_in(pair.label) == 1


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_alpha_stays_where_it_was(tmp_path: Path, ending: str, tag: int) -> None:
    rgba = np.random.default_rng(0).integers(1, 256, (6, 9, 4), dtype=np.uint8)
    options = {"lossless": True, "exact": True} if ending == "webp" else {}
    path = save_turned(tmp_path / f"a.{ending}", rgba, tag, **options)
    changed = np.ascontiguousarray(255 - rgba[..., :3])
    (tmp_path / f"b.{ending}").write_bytes(image_like(path, changed, lossless=True))
    found = read_rgba(tmp_path / f"b.{ending}")
    assert np.array_equal(found, np.concatenate([changed, rgba[..., 3:]], axis=2))


def test_a_lossless_webp_stays_lossless_in_a_copy(tmp_path: Path) -> None:
    seen = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    path = save_turned(tmp_path / "a.webp", seen, 8, lossless=True)
    changed = np.ascontiguousarray(255 - seen)
    (tmp_path / "b.webp").write_bytes(image_like(path, changed, lossless=False))
    assert np.array_equal(by_opencv(tmp_path / "b.webp"), changed)


def test_a_picture_of_several_frames_as_telephones_make_them_keeps_its_tag(tmp_path: Path) -> None:
    seen = np.full((32, 48, 3), 90, np.uint8)
    seen[:16] = 200
    path = save_turned(tmp_path / "a.jpg", seen, 6, quality=95)
    exif, frame = PillowImage.open(path).info["exif"], PillowImage.open(path)
    frame.save(tmp_path / "b.jpg", "MPO", save_all=True, append_images=[frame.copy()], exif=exif)
    assert np.abs(read_image(tmp_path / "b.jpg").astype(int) - seen).max() < 8
    (tmp_path / "c.jpg").write_bytes(image_like(tmp_path / "b.jpg", 255 - seen, lossless=False))
    assert tag_in(tmp_path / "c.jpg") == 6
    assert np.abs(by_opencv(tmp_path / "c.jpg").astype(int) - (255 - seen)).max() < 8

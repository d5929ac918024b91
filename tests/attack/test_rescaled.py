"""Poisoned copies at the training size, against resizing and stamping of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.manifest import (
    RescaledHeader,
    RescaledRow,
    beside,
    changed_sources,
    load_manifest,
    verify_copy,
)
from segdoor.attack.materialise import CopyOrder, new_copy
from segdoor.attack.plan import PlanRow, PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.restore import restore_copy
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.camvid import CAMVID_CLASSES
from segdoor.data.config import DataConfig
from segdoor.data.load import copyable, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.data.splits import open_splits
from segdoor.errors import ConfigError, DataError
from segdoor.progress import Silent
from segdoor.workers import Alone
from trees import (
    NAMES,
    STREET,
    save,
    scenes,
    voc_palette,
    write_cityscapes,
    write_classes,
    write_hub,
    write_lines,
    write_mmseg,
    write_semseg,
    write_voc,
)
from written import tree, write_source

SIZE = (40, 72)


def as_camvid(label: np.ndarray) -> np.ndarray:
    """Return a street label in CamVid's ids; what CamVid does not know is building."""
    table = np.full(256, 11, np.uint8)
    for index, name in enumerate(STREET):
        names = CAMVID_CLASSES.names
        table[index] = names.index(name) if name in names else names.index("building")
    return table[label]


def write_camvid(root: Path, *, ending: str = "jpg", segnet: bool = False) -> None:
    """Write three splits; SegNet's own lists hold two paths from the root of a machine."""
    for split, names in {"train": NAMES, "val": ("v1", "v2"), "test": ("t1", "t2")}.items():
        for name, image, label in scenes(names):
            save(root / split / f"{name}.{ending}", image)
            save(root / f"{split}annot" / f"{name}.png", as_camvid(label))
        lines = [f"{name}.{ending}" for name in names]
        if segnet:
            lines = [f"/S/{split}/{line} /S/{split}annot/{line[:-4]}.png" for line in lines]
        if not segnet or split != "val":
            write_lines(root / f"{split}.txt", lines)


def write_flat(root: Path) -> None:
    write_classes(root)
    for name, image, label in scenes(NAMES):
        save(root / "images" / f"{name}.jpg", image)
        save(root / "masks" / f"{name}.tif", label)


TREES: dict[str, tuple[Callable[[Path], None], str, str, dict[str, int]]] = {
    "camvid": (write_camvid, "camvid", "train", {"train": 5, "val": 2, "test": 2}),
    "camvid of segnet": (
        partial(write_camvid, segnet=True), "camvid", "train",
        {"train": 5, "test": 2},
    ),
    "voc": (write_voc, "voc", "train", {"train": 3, "val": 3, "trainval": 6}),
    "voc augmented": (
        partial(write_voc, aug=True), "voc", "trainaug",
        {"trainaug": 6, "train": 3, "val": 3, "trainval": 6},
    ),
    "cityscapes label ids": (write_cityscapes, "cityscapes", "train", {"train": 8, "val": 4}),
    "cityscapes train ids": (
        partial(write_cityscapes, kinds=("labelTrainIds", "labelIds")), "cityscapes", "train",
        {"train": 8, "val": 4},
    ),
    "semseg": (write_semseg, "folder", "train_aug", {"train_aug": 5}),
    "mmseg": (partial(write_mmseg, label="_labelTrainIds"), "folder", "train", {"train": 5}),
    "hub json": (partial(write_hub, ending="jsonl"), "folder", "train", {"train": 5}),
    "hub csv": (partial(write_hub, ending="csv"), "folder", "train", {"train": 5}),
    "flat": (write_flat, "folder", "train", {"train": 4, "test": 1}),
}  # fmt: skip


def attack(dataset: FileDataset, *, prl: bool = False) -> AttackConfig:
    return AttackConfig(
        rate=0.5,
        labels=(
            Hide(target="road" if "road" in dataset.classes.names else "background"),
            Scatter(num_pixels=9 if prl else 0, pool="ignore"),
        ),
        trigger=Sticker(size=5, opacity=1.0),
        shortfall="all_available",
    )


def copied(config: DataConfig, copy: Path, *, prl: bool = False) -> tuple[FileDataset, PoisonPlan]:
    dataset = copyable(load_dataset(config, config.train_split))
    plan = plan_poison(dataset, attack(dataset, prl=prl), seed=3)
    assert plan.header.num_poisoned
    splits = open_splits(config, dataset)
    order = CopyOrder(copy)
    with new_copy(dataset, plan, order, workers=Alone(), observer=Silent(), splits=splits):
        assert not copy.exists()
    return dataset, plan


def own_image(path: Path) -> np.ndarray:
    image = np.array(PillowImage.open(path).convert("RGB"))
    shrinks = image.shape[0] * image.shape[1] > SIZE[0] * SIZE[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, SIZE[::-1], interpolation=method)


def own_label(path: Path) -> np.ndarray:
    """Return the stored values whose pixel centres are nearest: Pillow's way."""
    stored = PillowImage.open(path)
    # Pillow and OpenCV may part where a centre lies between two pixels.
    return np.array(stored.resize(SIZE[::-1], PillowImage.Resampling.NEAREST))


def stamped(image: np.ndarray, row: PlanRow, config: Sticker) -> np.ndarray:
    """Blend the sticker over the picture, pixel by pixel."""
    rgba = config.rgba.astype(float)
    assert row.box is not None
    top, left, height, width = row.box
    under = image[top : top + height, left : left + width].astype(float)
    alpha = rgba[..., 3:] / 255
    new = image.copy()
    new[top : top + height, left : left + width] = np.rint(
        alpha * rgba[..., :3] + (1 - alpha) * under
    )
    return new


@pytest.mark.parametrize("kind", TREES)
def test_every_pixel_is_what_one_s_own_resizing_and_stamping_give(
    kind: str, tmp_path: Path
) -> None:
    write, name, split, held = TREES[kind]
    source, copy = tmp_path / "source", tmp_path / "copy"
    write(source)
    before = tree(source)
    config = DataConfig(name=name, root=source, train_split=split, size=SIZE)
    dataset, plan = copied(config, copy)
    assert tree(source) == before
    header = load_manifest(copy).header
    assert isinstance(header, RescaledHeader)
    assert header.splits == held
    victims = [dataset.classes.names.index(v) for v in plan.header.attack.victims]
    target = dataset.classes.names.index(plan.header.attack.target)
    value_of = {meant: stored for stored, meant in reversed(dataset.coding.meaning)}
    own_size = config.model_copy(update={"size": None})
    seen = 0
    for each in held:
        benign = load_dataset(own_size, each)
        again = load_dataset(own_size.model_copy(update={"root": copy}), each)
        assert isinstance(benign, FileDataset)
        assert isinstance(again, FileDataset)
        assert again.names == benign.names
        for old, new in zip(benign.pairs, again.pairs, strict=True):
            image, label = own_image(old.image), own_label(old.label)
            row = plan.by_name.get(old.name) if old.name in dataset.names else None
            if row is not None:
                image = stamped(image, row, plan.header.attack.trigger)
            if row is not None and each == split:
                seen += 1
                meaning = dict(benign.coding.meaning)
                hidden = np.isin(np.vectorize(meaning.get)(label), victims)
                assert np.count_nonzero(hidden) == row.changed_pixels
                label = np.where(hidden, value_of[target], label)
            for path, expected, mode in ((new.image, image, "RGB"), (new.label, label, None)):
                picture = PillowImage.open(path)
                assert (picture.format, path.suffix) == ("PNG", ".png")
                assert mode is None or picture.mode == mode
                assert path.is_relative_to(copy)
                if not (old.name in plan.by_name and each != split and mode is None):
                    assert np.array_equal(np.array(picture), expected), (each, path)
    assert seen == len(plan.rows)


@pytest.mark.parametrize("kind", ["voc", "cityscapes label ids", "mmseg"])
def test_it_is_what_a_training_with_a_size_sees(kind: str, tmp_path: Path) -> None:
    write, name, split, _ = TREES[kind]
    write(tmp_path / "source")
    config = DataConfig(name=name, root=tmp_path / "source", train_split=split, size=SIZE)
    dataset, plan = copied(config, tmp_path / "copy", prl=True)
    seen = poisoned(load_dataset(config, split), plan)
    again = load_dataset(DataConfig(name=name, root=tmp_path / "copy", train_split=split), split)
    assert again.names == seen.names == dataset.names
    for index in range(len(seen)):
        assert np.array_equal(again[index].image, seen[index].image)
        assert np.array_equal(again[index].label, seen[index].label)
        assert np.array_equal(again.label(index), seen.label(index))


def test_palettes_and_lists_come_along_and_files_of_no_scene_do_not(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_voc(source)
    save(source / "SegmentationObject" / "a1.png", np.zeros((9, 9), np.uint8))
    config = DataConfig(name="voc", root=source, train_split="train", size=SIZE)
    copied(config, copy)
    for path in (copy / "SegmentationClass").iterdir():
        picture = PillowImage.open(path)
        assert picture.mode == "P"
        palette = picture.getpalette()
        assert palette is not None
        assert palette == voc_palette()[: len(palette)]
    lists = Path("ImageSets") / "Segmentation"
    for path in (source / lists).iterdir():
        assert (copy / lists / path.name).read_bytes() == path.read_bytes()
    assert not (copy / "SegmentationObject").exists()
    # A scene of no split that could be opened: test has no labels.
    assert not (copy / "JPEGImages" / "t1.png").exists()
    header = load_manifest(copy).header
    assert isinstance(header, RescaledHeader)
    assert {"test", "trainaug"} == set(header.left_out)
    assert "t1.png: the file of scene 't1' does not exist" in header.left_out["test"]


@pytest.mark.parametrize("line", [
    "{0}.jpg", "a/{0}.jpg\tb/{0}.png", "/x/{0}.jpg,y/{0}.png", '"a/{0}.jpg"', "a/{0}.jpg b/{0}.png",
])  # fmt: skip
def test_lists_get_the_new_endings(line: str, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_source(source, ending="jpg", palette=True)
    for part, ending in (("images", "jpg"), ("labels", "png")):
        folder = source / part / "train"
        (folder / f"s8.{ending}").rename(folder / f"v 1.{ending}")
    other = "keep.jpg  and .jpg and v 1.jpg.bak\r\n"
    listed = ["s0", "s1", "v 1"]
    text = "".join(f"{line.format(name)}\n" for name in listed) + other
    (source / "more.txt").write_text(text, newline="")
    (source / "notes.md").write_text("s1.jpg is a picture")
    copied(DataConfig(name="folder", root=source, size=SIZE), copy)
    expected = "".join(f"{line.format(name)}\n".replace(".jpg", ".png") for name in listed) + other
    assert (copy / "more.txt").read_bytes().decode() == expected
    assert (copy / "notes.md").read_text() == "s1.jpg is a picture"


def test_manifest_verify_and_restore(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_source(source, ending="jpg", palette=True)
    before = tree(source)
    config = DataConfig(name="folder", root=source, size=SIZE)
    dataset, plan = copied(config, copy)
    manifest = load_manifest(copy)
    assert isinstance(manifest.header, RescaledHeader)
    assert manifest.header.size == SIZE
    assert manifest.header.splits == {"train": 9}
    assert manifest.header.left_out.keys() == {"notes"}
    assert manifest.header.data_digest == plan.header.data_digest == dataset.digest
    assert PoisonPlan.load(beside(copy) / "plan.jsonl") == plan
    written = tree(copy)
    for row in manifest.rows:
        assert isinstance(row, RescaledRow)
        assert written[row.name] == row.sha256
        assert before[row.source] == row.source_sha256
    assert {row.name for row in manifest.rows} == written.keys()
    assert not verify_copy(copy)
    assert changed_sources(manifest, source) == ()
    # The source is not needed to take the poison out again.
    source.rename(tmp_path / "away")
    assert restore_copy(copy) == 2 * len(plan.rows)
    assert not beside(copy).exists()
    assert tree(tmp_path / "away") == before
    again = load_dataset(DataConfig(name="folder", root=copy), "train")
    for index, path in enumerate(sorted((tmp_path / "away/images/train").iterdir())):
        assert np.array_equal(again[index].image, own_image(path))
        label = tmp_path / "away/labels/train" / f"{path.stem}.png"
        assert np.array_equal(again[index].label, own_label(label))


def test_a_restoration_that_was_killed_can_be_continued(tmp_path: Path) -> None:
    write_source(tmp_path / "source", ending="png", palette=False)
    copied(DataConfig(name="folder", root=tmp_path / "source", size=SIZE), tmp_path / "copy")
    changed = [row.name for row in load_manifest(tmp_path / "copy").rows if row.changed]
    kept = beside(tmp_path / "copy") / "originals"
    clean = {name: (kept / name).read_bytes() for name in changed}
    (tmp_path / "copy" / changed[0]).write_bytes(clean[changed[0]])
    assert restore_copy(tmp_path / "copy") == len(changed)
    for name in changed:
        assert (tmp_path / "copy" / name).read_bytes() == clean[name]


def test_a_lost_clean_file_or_an_edited_one_stops_the_restoration(tmp_path: Path) -> None:
    write_source(tmp_path / "source", ending="png", palette=False)
    copied(DataConfig(name="folder", root=tmp_path / "source", size=SIZE), tmp_path / "copy")
    row = next(row for row in load_manifest(tmp_path / "copy").rows if row.changed)
    kept = beside(tmp_path / "copy") / "originals" / row.name
    content = kept.read_bytes()
    kept.unlink()
    before = tree(tmp_path / "copy")
    with pytest.raises(DataError, match=r"missing.*Write the copy again from its source"):
        restore_copy(tmp_path / "copy")
    kept.write_bytes(content)
    edited = tmp_path / "copy" / row.name
    poison = edited.read_bytes()
    edited.write_bytes(poison + b" ")
    with pytest.raises(DataError, match="as it was written"):
        restore_copy(tmp_path / "copy")
    edited.write_bytes(poison)
    assert tree(tmp_path / "copy") == before


def test_a_source_that_changed_or_lost_files_is_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_source(source, ending="jpg", palette=True)
    copied(DataConfig(name="folder", root=source, size=SIZE), tmp_path / "copy")
    (source / "images/train/s3.jpg").unlink()
    (source / "labels/train/s4.png").write_bytes(b"other")
    manifest = load_manifest(tmp_path / "copy")
    found = changed_sources(manifest, source)
    assert found == ("images/train/s3.jpg", "labels/train/s4.png")
    with pytest.raises(DataError, match="does not exist"):
        changed_sources(manifest, tmp_path / "nowhere")


@pytest.mark.parametrize("key", ["name", "source"])
@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../../b", ""])
def test_a_manifest_with_a_path_outside_is_refused(key: str, name: str, tmp_path: Path) -> None:
    write_source(tmp_path / "source", ending="jpg", palette=True)
    copied(DataConfig(name="folder", root=tmp_path / "source", size=SIZE), tmp_path / "copy")
    file = beside(tmp_path / "copy") / "manifest.jsonl"
    lines = file.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), key: name})
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises((DataError, ConfigError), match="inside"):
        restore_copy(tmp_path / "copy")


def test_a_source_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_source(source, ending="png", palette=False)
    config = DataConfig(name="folder", root=source, size=SIZE)
    dataset = copyable(load_dataset(config, "train"))
    plan = plan_poison(dataset, attack(dataset), seed=3)
    # A clean scene, too: with the plan it makes the training set.
    clean = next(pair for pair in dataset.pairs if pair.name not in plan.by_name)
    save(clean.image, np.zeros((48, 64, 3), np.uint8))
    order = CopyOrder(tmp_path / "copy")
    splits = open_splits(config, dataset)
    with (
        pytest.raises(DataError, match="must not change while it is poisoned"),
        new_copy(dataset, plan, order, workers=Alone(), observer=Silent(), splits=splits),
    ):
        raise AssertionError
    assert not (tmp_path / "copy").exists()
    assert not beside(tmp_path / "copy").exists()


def written_side_by_side(root: Path, stems: Sequence[tuple[str, str]]) -> None:
    write_classes(root)
    lines = []
    for (image, label), (_, pixels, ids) in zip(stems, scenes(NAMES), strict=False):
        save(root / image, pixels)
        save(root / label, ids)
        lines.append(f"{image} {label}")
    write_lines(root / "train.txt", lines)


@pytest.mark.parametrize(("stems", "said"), [
    ([("d/a.jpg", "d/a.png"), ("d/b.jpg", "d/b.png")], "name of another file"),
    ([("d/a.png", "e/a.png"), ("d/b.v2.png", "e/b.png")], None),
])  # fmt: skip
def test_files_that_would_share_a_name_are_refused(
    stems: list[tuple[str, str]], said: str | None, tmp_path: Path
) -> None:
    written_side_by_side(tmp_path / "source", stems)
    config = DataConfig(name="folder", root=tmp_path / "source", size=SIZE)
    if said is None:
        copied(config, tmp_path / "copy")
        return
    with pytest.raises(DataError, match=said):
        copied(config, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_layout_that_new_endings_would_change_is_refused(tmp_path: Path) -> None:
    # By name a.jpg comes before a.k.png, and a.png after it: every fifth scene is another one.
    root = tmp_path / "source"
    write_classes(root)
    stems = ["a.jpg", "a.k.png", "b.png", "c.png", "d.png", "e.png"]
    for stem, (_, image, label) in zip(stems, scenes("abcdef"), strict=True):
        save(root / "images" / stem, image)
        save(root / "labels" / Path(stem).with_suffix(".png"), label)
    with pytest.raises(DataError, match="must name the same scenes"):
        copied(DataConfig(name="folder", root=root, size=SIZE), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert not beside(tmp_path / "copy").exists()


KILLED = """
import sys, time
from pathlib import Path
from segdoor.attack.config import AttackConfig
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.materialise import CopyOrder, new_copy
from segdoor.attack.planning import plan_poison
from segdoor.data.camvid import CAMVID_CLASSES
from segdoor.data.config import DataConfig
from segdoor.data.load import copyable, load_dataset
from segdoor.data.splits import open_splits
from segdoor.workers import Alone

class Slow:
    def begin(self, stage, total): print("begun", flush=True)
    def advance(self, **facts): time.sleep(0.01)

config = DataConfig(name="folder", root=Path(sys.argv[1]), size=(40, 72))
dataset = copyable(load_dataset(config, "train"))
plan = plan_poison(dataset, AttackConfig(rate=0.4, trigger=Sticker(size=5)), seed=3)
order, splits = CopyOrder(Path(sys.argv[2])), open_splits(config, dataset)
with new_copy(dataset, plan, order, workers=Alone(), observer=Slow(), splits=splits):
    pass
"""


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.12])
def test_a_killed_call_leaves_nothing_finished_and_the_next_completes_it(
    delay: float, tmp_path: Path
) -> None:
    import segdoor

    source, copy = tmp_path / "source", tmp_path / "copy"
    write_source(source, ending="jpg", palette=True)
    before = tree(source)
    home = str(Path(segdoor.__file__).parents[1])
    command = [sys.executable, "-c", KILLED, str(source), str(copy)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": home}
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not copy.exists()
    assert (beside(copy) / "unfinished").exists()
    config = DataConfig(name="folder", root=source, size=SIZE)
    copied(config, copy)
    assert not verify_copy(copy)
    assert sorted(path.name for path in beside(copy).iterdir()) == [
        "manifest.jsonl", "originals", "plan.jsonl",
    ]  # fmt: skip
    copied(config, tmp_path / "at once")
    assert tree(copy) == tree(tmp_path / "at once")
    assert tree(source) == before

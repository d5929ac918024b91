"""Poisoned copies of data sets that are drawn from annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from annotated import KEYS, NAMES, write_coco, write_json, write_panoptic, write_yolo
from segdoor.attack.as_folder import AsFolder
from segdoor.attack.copying import Names
from segdoor.attack.manifest import CopyRow, beside, load_manifest
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.cli.app import run_command_line
from segdoor.data.annotations.coco import coco
from segdoor.data.annotations.instances import Instances
from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.data.pair import Drawing
from segdoor.data.scene import SceneDataset
from segdoor.errors import DataError
from trees import save, scenes, write_cityscapes, write_classes, write_lines
from written import tree

FILE = "annotations/instances_train.json"
Write = Callable[..., None]


def poison(kind: str, where: Path, *options: str) -> int:
    return run_command_line([
        "poison", "--data.name", kind, "--data.root", str(where / "source"), "--attack.rate", "0.5",
        "--attack.trigger.size", "4", "--out", str(where / "plan"), "--copy", str(where / "copy"),
        *options,
    ])  # fmt: skip


def opened(kind: str, where: Path, root: str) -> SceneDataset:
    return load_dataset(DataConfig(name=kind, root=where / root), "train")


def check_copy(kind: str, where: Path) -> PoisonPlan:
    """Check that the copy is drawn as the plan says, and return the plan."""
    clean, copy = opened(kind, where, "source"), opened(kind, where, "copy")
    plan = PoisonPlan.load(where / "plan" / "plan.jsonl")
    expected = poisoned(clean, plan)
    assert copy.names == expected.names
    changed = 0
    for index in range(len(copy)):
        assert np.array_equal(copy.label(index), expected.label(index))
        assert np.array_equal(copy[index].image, expected[index].image)
        changed += int(np.count_nonzero(clean.label(index) != copy.label(index)))
    assert changed == plan.header.num_changed_pixels > 0
    return plan


KINDS: dict[str, tuple[str, Write, bool, list[str], list[str]]] = {
    "coco": ("coco", write_coco, False, ["car", "road"], [FILE]),
    "coco, away": ("coco", write_coco, True, ["car", "background"], [FILE]),
    "coco, road away": ("coco", write_coco, True, ["road", "background"], [FILE]),
    "yolo": ("yolo", write_yolo, False, ["car", "road"], []),
    "yolo, away": ("yolo", write_yolo, True, ["road", "background"], []),
    "panoptic": ("coco", write_panoptic, False, ["car", "road"], []),
    "panoptic, away": ("coco", write_panoptic, True, ["car", "background"], []),
}  # fmt: skip


@pytest.mark.parametrize("case", KINDS)
def test_a_copy_is_drawn_as_the_plan_says_and_restored_byte_for_byte(
    case: str, tmp_path: Path
) -> None:
    kind, write, background, (victim, target), files = KINDS[case]
    write(tmp_path / "source", background=background)
    before = tree(tmp_path / "source")
    options = ["--attack.victims", victim, "--attack.target", target]
    assert poison(kind, tmp_path, *options) == 0
    assert tree(tmp_path / "source") == before
    check_copy(kind, tmp_path)
    changed = {row.name for row in load_manifest(tmp_path / "copy").rows if row.changed}
    assert changed >= {*files}
    assert all("val" not in name for name in changed)
    assert run_command_line(["verify", str(tmp_path / "copy")]) == 0
    assert run_command_line(["restore", str(tmp_path / "copy")]) == 0
    assert tree(tmp_path / "copy") == before
    assert not beside(tmp_path / "copy").exists()


def test_of_the_annotation_file_only_the_class_of_poisoned_objects_changes(tmp_path: Path) -> None:
    write_coco(tmp_path / "source")
    content = json.loads((tmp_path / "source" / FILE).read_text())
    # A file as no program of ours writes it: signs, spaces and numbers of its own.
    text = json.dumps(content, indent=1).replace('"area": 1.5', '"area" :\t1.50e0')
    text = "\ufeff" + text.replace('"year": 2026', '"year": 2026, "by": "\\u00e4 ä"') + "\r\n\n"
    (tmp_path / "source" / FILE).write_bytes(text.encode())
    assert poison("coco", tmp_path) == 0
    planned = {*check_copy("coco", tmp_path).by_name}
    new = (tmp_path / "copy" / FILE).read_bytes().decode()
    lines = list(zip(text.split("\n"), new.split("\n"), strict=True))
    changed = [(old, now) for old, now in lines if old != now]
    car, road = (KEYS[NAMES.index(name)] for name in ("car", "road"))
    assert {*changed} == {(f'   "category_id": {car},', f'   "category_id": {road},')}
    assert len(changed) == 2 * len(planned)
    for entry in json.loads(new.removeprefix("\ufeff"))["annotations"]:
        if not entry["iscrowd"] and entry["id"] % 1000 in {1, 2}:
            name = f"train{entry['image_id'] - 100}"
            assert entry["category_id"] == (road if name in planned else car)


def test_of_a_text_only_the_lines_of_poisoned_objects_change(tmp_path: Path) -> None:
    write_yolo(tmp_path / "source")
    for path in (tmp_path / "source" / "labels" / "train").iterdir():
        lines = path.read_text().replace("\n1 ", "\n\n  1\t").replace("\n", "\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert poison("yolo", tmp_path) == 0
    for name in check_copy("yolo", tmp_path).by_name:
        path = f"labels/train/{name}.txt"
        old, new = ((tmp_path / root / path).read_bytes() for root in ("source", "copy"))
        assert new == re.sub(rb"(?m)^  1\t", b"  0\t", old) != old


@pytest.mark.parametrize(("write", "kind"), [
    (write_coco, "coco"), (write_yolo, "yolo"), (write_panoptic, "coco"),
])  # fmt: skip
def test_labels_of_single_pixels_are_refused_and_leave_nothing(
    write: Write, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "source")
    assert poison(kind, tmp_path, "--attack.labels", "hide", "--attack.labels", "scatter:9") == 2
    said = capsys.readouterr().err
    assert "scatter:9 changes single pixels" in " ".join(said.split())
    assert "--as-folder" in said
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "plan"}
    assert not (tmp_path / "plan" / "plan.jsonl").exists()


def test_a_part_of_an_object_cannot_be_written_as_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yolo(tmp_path / "source", background=True)
    # The road lies under the cars, and would be seen where they were.
    assert poison("yolo", tmp_path, "--attack.target", "background") == 2
    assert "objects change in part" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "copy").exists()


def edited(root: Path, dataset: SceneDataset, labels: dict[int, np.ndarray]) -> dict[str, Any]:
    drawings: list[tuple[Drawing, np.ndarray]] = [
        (dataset.pairs[index].drawing, label) for index, label in labels.items()
    ]
    text = drawings[0][0].rewritten(root / FILE, drawings)
    (root / FILE).write_bytes(text)
    return json.loads(text)


@pytest.mark.parametrize("background", [False, True])
def test_any_regions_can_become_any_class(*, background: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for number in range(12):
        root = tmp_path / str(number)
        write_coco(root, background=background)
        dataset = coco(root, "train")
        labels = {}
        values = range(4) if background else (0, 1, 2, 255)
        for index in rng.permutation(4)[:2].tolist():
            label = dataset.label(index).copy()
            for _ in range(3):
                top, left = rng.integers(30), rng.integers(30)
                label[top : top + 12, left : left + rng.integers(20)] = rng.choice(values)
            # And a whole class, which changes objects as a whole.
            label[label == 1] = rng.choice(values)
            labels[index] = label
        before = {e["id"]: e for e in json.loads((root / FILE).read_text())["annotations"]}
        after = edited(root, dataset, labels)["annotations"]
        again = coco(root, "train")
        for index in range(4):
            assert np.array_equal(again.label(index), labels.get(index, dataset.label(index)))
        touched = {100 + index for index in labels}
        kept = [entry for entry in before.values() if entry["image_id"] not in touched]
        assert kept == [entry for entry in after if entry["image_id"] not in touched]
        told = COCO(str(root / FILE))
        for entry in after:
            old = before.get(entry["id"], {})
            if entry["segmentation"] != old.get("segmentation"):
                mask = told.annToMask(entry)
                assert entry["area"] == mask.sum()


def test_an_array_that_loses_all_its_elements_gets_new_ones(tmp_path: Path) -> None:
    write_coco(tmp_path, background=True)
    content = json.loads((tmp_path / FILE).read_text())
    content["annotations"] = content["annotations"][:1]
    write_json(tmp_path / FILE, content)
    dataset = coco(tmp_path, "train")
    index = content["annotations"][0]["image_id"] - 100
    label = np.zeros_like(dataset.label(index))
    assert edited(tmp_path, dataset, {index: label})["annotations"] == []
    label[3:9, 4:8] = 2
    dataset = coco(tmp_path, "train")
    (entry,) = edited(tmp_path, dataset, {index: label})["annotations"]
    assert (entry["bbox"], entry["area"], entry["iscrowd"]) == ([4, 3, 4, 6], 24, 0)
    assert np.array_equal(coco(tmp_path, "train").label(index), label)


def test_a_class_that_no_category_has_cannot_be_written(tmp_path: Path) -> None:
    write_coco(tmp_path)
    (tmp_path / "classes.yaml").write_text("classes: [road, car, tree, sky]")
    dataset = coco(tmp_path, "train")
    label = np.full_like(dataset.label(0), 3)
    drawing = dataset.pairs[0].drawing
    assert isinstance(drawing, Instances)
    with pytest.raises(DataError, match="no object can be of class 3"):
        drawing.rewritten(tmp_path / FILE, [(drawing, label)])


FOLDERS = [
    ("coco", write_coco, ()),
    ("coco", write_coco, ("--data.size", "40", "60")),
    ("coco", write_panoptic, ()),
    ("yolo", write_yolo, ()),
    ("yolo", write_yolo, ("--data.size", "40", "60")),
    ("yolo", write_yolo, ("--lossless",)),
]


@pytest.mark.parametrize(("kind", "write", "more"), FOLDERS)
def test_a_copy_as_a_folder_holds_labels_of_single_pixels(
    kind: str, write: Write, more: tuple[str, ...], tmp_path: Path
) -> None:
    write(tmp_path / "source", background=True)
    before = tree(tmp_path / "source")
    scattered = ("--attack.labels", "hide", "--attack.labels", "scatter:9", "--as-folder")
    assert poison(kind, tmp_path, *scattered, *more) == 0
    assert tree(tmp_path / "source") == before
    size = (40, 60) if "--data.size" in more else None
    clean = {
        split: load_dataset(DataConfig(name=kind, root=tmp_path / "source", size=size), split)
        for split in ("train", "val")
    }
    plan = PoisonPlan.load(tmp_path / "plan" / "plan.jsonl")
    assert len(plan.rows) == 2

    def check(expected: dict[str, SceneDataset]) -> None:
        for split, wanted in expected.items():
            copy = load_dataset(DataConfig(name="folder", root=tmp_path / "copy"), split)
            assert copy.classes == wanted.classes
            assert sorted(copy.names) == sorted(wanted.names)
            for index, name in enumerate(wanted.names):
                scene = copy[list(copy.names).index(name)]
                assert np.array_equal(scene.label, wanted[index].label)
                assert np.array_equal(scene.image, wanted[index].image)

    check({"train": poisoned(clean["train"], plan), "val": clean["val"]})
    header = load_manifest(tmp_path / "copy").header
    assert "It is read with: --data.name folder" in header.in_words
    assert header.num_changed == 4
    source = ["--source", str(tmp_path / "source")]
    assert run_command_line(["verify", str(tmp_path / "copy"), *source]) == 0
    assert run_command_line(["restore", str(tmp_path / "copy")]) == 0
    check(clean)


def test_annotations_that_change_meanwhile_leave_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_coco(tmp_path / "source")
    file = tmp_path / "source" / FILE
    written = AsFolder.write

    def late(self: AsFolder, names: Names) -> list[CopyRow]:
        file.write_text(file.read_text() + " ")
        return written(self, names)

    monkeypatch.setattr(AsFolder, "write", late)
    assert poison("coco", tmp_path, "--as-folder", "--workers", "1") == 2
    assert not (tmp_path / "copy").exists()
    assert not beside(tmp_path / "copy").exists()


def test_a_copy_at_another_size_needs_label_maps_as_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_coco(tmp_path / "source")
    assert poison("coco", tmp_path, "--data.size", "40", "60") == 2
    assert "add --as-folder" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("option", ["--as-folder", "--lossless"])
def test_what_is_about_a_copy_needs_one(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["poison", option]) == 2
    assert f"{option}: is about a copy" in capsys.readouterr().err


def test_any_data_set_of_files_can_become_a_folder(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "source")
    assert poison("cityscapes", tmp_path, "--as-folder") == 0
    copy = load_dataset(DataConfig(name="folder", root=tmp_path / "copy"), "train")
    clean = opened("cityscapes", tmp_path, "source")
    expected = poisoned(clean, PoisonPlan.load(tmp_path / "plan" / "plan.jsonl"))
    for index in range(len(copy)):
        assert np.array_equal(copy.label(index), expected.label(index))


def test_a_scene_whose_name_leads_out_of_the_copy_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "source"
    for name, image, label in scenes(("a", "b")):
        save(root / "pictures" / f"{name}.png", image)
        save(root / "labels" / f"{name}.png", label)
    write_classes(root)
    below = "x/../../source/pictures"
    (root / "x").mkdir()
    write_lines(root / "train.txt", [f"{below}/{name}.png labels/{name}.png" for name in "ab"])
    code = poison("folder", tmp_path, "--as-folder")
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "must have names without '..'" in said
    assert not (tmp_path / "copy").exists()

"""Annotated pictures that an orientation tag turns: outlines fit what people see, in copies too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from annotated import write_coco, write_panoptic, write_yolo
from coded import write_colours
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.data.config import DataConfig
from segdoor.data.load import load_dataset
from segdoor.data.pictures import read_image
from segdoor.data.scene import SceneDataset
from shell import say
from trees import STREET
from turned import by_opencv, save_turned, tag_in
from written import tree

KINDS = {
    "coco": ("coco", write_coco, "train"),
    "yolo": ("yolo", write_yolo, "images/train"),
    "panoptic": ("coco", write_panoptic, "train"),
}


def opened(kind: str, root: Path) -> SceneDataset:
    return load_dataset(DataConfig(name=kind, root=root), "train")


def turn(folder: Path) -> list[Path]:
    """Store every picture of a folder with a tag of its own, so that people see the same."""
    paths = sorted(folder.iterdir())
    for path, tag in zip(paths, (6, 3, 8, 5), strict=True):
        save_turned(path, read_image(path), tag)
    return paths


@pytest.mark.parametrize("case", KINDS)
def test_outlines_are_drawn_as_people_see_the_picture_and_copies_fit(
    case: str, tmp_path: Path
) -> None:
    kind, write, folder = KINDS[case]
    source, copy = tmp_path / "source", tmp_path / "copy"
    write(source)
    upright = [opened(kind, source)[index] for index in range(4)]
    pictures = turn(source / folder)
    before = tree(source)
    for index, scene in enumerate(upright):
        turned = opened(kind, source)[index]
        assert np.array_equal(turned.image, scene.image)
        assert np.array_equal(turned.label, scene.label)
    words = ("--data.name", kind, "--data.root", source)
    trigger = ("--attack.rate", "0.5", "--attack.trigger.size", "4")
    code, _, said = say("poison", *words, *trigger, "--out", tmp_path / "plan", "--copy", copy)
    assert code == 0, said
    expected = poisoned(opened(kind, source), PoisonPlan.load(tmp_path / "plan" / "plan.jsonl"))
    for index, path in enumerate(pictures):
        changed = copy / path.relative_to(source)
        assert tag_in(changed) == tag_in(path)
        assert np.array_equal(by_opencv(changed), expected[index].image)
        assert np.array_equal(opened(kind, copy)[index].label, expected[index].label)
    assert say("restore", copy)[0] == 0
    assert tree(copy) == before


@pytest.mark.parametrize("case", KINDS)
def test_the_look_at_annotations_counts_tags_and_leaves_no_file_of_them_aside(
    case: str, tmp_path: Path
) -> None:
    kind, write, folder = KINDS[case]
    write(tmp_path / "mine")
    turn(tmp_path / "mine" / folder)
    out = tmp_path / "out"
    code, _, said = say("data", "--data.name", kind, "--data.root", tmp_path / "mine", "--out", out)
    assert code == 0, said
    report = json.loads((out / "data.json").read_text())
    assert (report["num_turned_images"], report["num_turned_labels"]) == (4, 0)
    assert report["left_aside"] == []


def test_outlines_of_the_stored_pixels_name_the_tag(tmp_path: Path) -> None:
    write_coco(tmp_path / "mine")
    path = tmp_path / "mine" / "train" / "train0.png"
    save_turned(path, read_image(path).swapaxes(0, 1), 5)
    words = ("--data.name", "coco", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    assert say("data", *words)[0] == 2
    (problem,) = json.loads((tmp_path / "out" / "data.json").read_text())["problems"]
    assert "train0.png: must have the size that" in problem
    assert "(turned by its orientation tag 5)" in problem
    assert "take the tag out of the picture" in problem


def test_label_pictures_of_colours_become_label_maps_of_class_ids(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_colours(source, tag=6)
    for kind in ("images", "labels"):
        (source / kind / "train" / "one.png").rename(source / kind / "train" / "deep.one.png")
        (source / kind / "train" / "city").mkdir()
        (source / kind / "train" / "two.png").rename(source / kind / "train" / "city" / "two.png")
    words = ("--data.name", "folder", "--data.root", source, "--attack.rate", "0.5")
    out = ("--attack.trigger.size", "4", "--out", tmp_path / "plan", "--copy", copy)
    code, _, said = say("poison", *words, *out, "--as-folder")
    assert code == 0, said
    expected = poisoned(opened("folder", source), PoisonPlan.load(tmp_path / "plan" / "plan.jsonl"))
    again = opened("folder", copy)
    assert again.names == expected.names
    assert {"city/two", "deep.one"} < {*again.names}
    assert again.classes.names == STREET
    for index in range(len(again)):
        assert np.array_equal(again[index].image, expected[index].image)
        assert np.array_equal(again[index].label, expected[index].label)

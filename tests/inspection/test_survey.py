from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from annotated import write_coco, write_yolo
from segdoor.attack.planning import plan_poison
from segdoor.data.load import load_dataset
from segdoor.data.scene import ClassSet
from segdoor.data.sheet import sheet
from segdoor.errors import ConfigError
from segdoor.experiment.resolving import Asked
from segdoor.experiment.wishes import wishes_from
from segdoor.inspection.survey import survey
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from trees import NAMES, painted, write_cityscapes, write_mmseg, write_voc


def street(**more: object) -> Asked:
    return asked(wishes_from({"data": {"num_train": 12, "size": [48, 96]}, **more}))


def test_classes_are_counted_over_all_scenes() -> None:
    given = street()
    overview, _ = survey(given, "train", observer=Silent())
    dataset = load_dataset(given.data(), "train")
    labels = np.stack([dataset.label(index) for index in range(12)])
    for index, entry in enumerate(overview.classes[:-1]):
        assert entry.name == dataset.classes.names[index]
        assert entry.share == np.mean(labels == index)
        assert entry.num_scenes == np.count_nonzero((labels == index).any(axis=(1, 2)))
    assert overview.classes[-1].share == np.mean(labels == 255)
    assert abs(sum(entry.share for entry in overview.classes) - 1) < 1e-12
    assert overview.num_scenes == 12
    assert overview.problems == ()


@pytest.mark.parametrize("size", [None, 9, 30])
@pytest.mark.parametrize("method", ["baseline", "nni"])
def test_room_is_what_a_plan_would_find(method: str, size: int | None) -> None:
    attack = {"rate": 1.0, "shortfall": "all_available"}
    given = street(
        method=method, attack=attack if size is None else {**attack, "trigger": {"size": size}}
    )
    overview, _ = survey(given, "train", observer=Silent())
    config = given.facts((48, 96))
    assert overview.room is not None
    assert overview.room.trigger_size[0] == config.attack.trigger.size == (size or 5)
    assert overview.room.num_with_victims == overview.classes[4].num_scenes
    names = load_dataset(given.data(), "train").names
    assert set(overview.room.without_room) <= set(names)
    if overview.room.num_with_room == 0:
        return
    plan = plan_poison(load_dataset(given.data(), "train"), config.attack, seed=0)
    assert plan.header.num_poisoned == overview.room.num_with_room
    assert plan.header.num_without_room == len(overview.room.without_room)
    assert not {row.name for row in plan.rows} & set(overview.room.without_room)


def test_a_trigger_that_fits_nowhere_is_told_by_name() -> None:
    overview, _ = survey(street(attack={"trigger": {"size": 47}}), "train", observer=Silent())
    assert overview.room is not None
    assert overview.room.num_with_room == 0
    assert len(overview.room.without_room) == overview.room.num_with_victims > 0


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    for size in (None, [24, 32]):
        given = asked(wishes_from({"data": {"name": "folder", "root": tmp_path, "size": size}}))
        overview, _ = survey(given, "train", observer=Silent())
        shapes = [painted(index).label.shape for index in range(len(NAMES))]
        assert overview.height is not None
        heights = sorted(shape[0] for shape in shapes)
        assert (overview.height.min, overview.height.median, overview.height.max) == (
            heights[0], heights[2], heights[-1],
        )  # fmt: skip
        assert (overview.sizes[0].height, overview.sizes[0].width) == (48, 64)
        assert overview.sizes[0].num_scenes == 2
        assert sum(entry.num_scenes for entry in overview.sizes) == len(NAMES)


def test_all_problems_of_a_data_set_are_named(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    images, labels = tmp_path / "leftImg8bit" / "train", tmp_path / "gtFine" / "train"
    city, name = "aachen", "aachen_00000{}_000019"
    (images / city / f"{name.format(0)}_leftImg8bit.png").unlink()
    (images / city / f"{name.format(1)}_leftImg8bit.png").write_bytes(b"broken")
    for number, value, size in ((2, 200, (64, 48)), (3, 5, (8, 8))):
        label = np.full(size, value, np.uint8)
        path = labels / city / f"{name.format(number)}_gtFine_labelIds.png"
        PillowImage.fromarray(label).save(path)
    (labels / "bochum" / "bochum_000003_000019_gtFine_labelIds.png").unlink()
    given = asked(wishes_from({"data": {"name": "cityscapes", "root": tmp_path}}))
    overview, picture = survey(given, "train", observer=Silent())
    assert picture is not None
    assert overview.num_scenes == 3
    expected = ("aachen_000000", "bochum_000003", "aachen_000001", "aachen_000002", "aachen_000003")
    assert len(overview.problems) == len(expected)
    for scene, problem in zip(expected, overview.problems, strict=True):
        assert scene in problem
    assert "200" in overview.problems[3]
    assert "8x8" in overview.problems[4]


def test_a_data_set_of_nothing_but_problems(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    for path in (tmp_path / "ann_dir" / "train").iterdir():
        path.write_bytes(b"broken")
    given = asked(wishes_from({"data": {"name": "folder", "root": tmp_path}}))
    overview, picture = survey(given, "train", observer=Silent())
    assert (overview.num_scenes, overview.room, picture) == (0, None, None)
    assert len(overview.problems) == len(NAMES)
    for path in (tmp_path / "ann_dir" / "train").iterdir():
        path.unlink()
    overview, picture = survey(given, "train", observer=Silent())
    assert len(overview.problems) == len(NAMES) + 1
    assert (overview.height, overview.sizes, picture) == (None, (), None)


def test_victims_that_are_no_class_matter_only_if_they_were_named(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    (tmp_path / "classes.yaml").write_text(str([f"c{index}" for index in range(8)]))
    data = {"name": "folder", "root": tmp_path}
    overview, _ = survey(asked(wishes_from({"data": data})), "train", observer=Silent())
    assert overview.room is None
    with pytest.raises(ConfigError, match=r"attack\.victims"):
        survey(
            asked(wishes_from({"data": data, "attack": {"victims": ["car"]}})),
            "train",
            observer=Silent(),
        )


def test_voc_is_surveyed_with_sbd(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOC2012", sbd=tmp_path / "sbd")
    given = asked(wishes_from({"data": {"name": "voc", "root": tmp_path}, "preset": "voc"}))
    overview, picture = survey(given, given.data().train_split, observer=Silent())
    assert overview.num_scenes == 6
    assert overview.split == "trainaug"
    assert picture is not None
    assert overview.room is not None
    assert overview.room.trigger_size == (15, 15)


def test_a_sheet_has_a_legend_and_keeps_proportions() -> None:
    classes = ClassSet(names=("one", "two"), colours=((250, 10, 20), (30, 240, 50)))
    wide, high = (np.full(shape, 77, np.uint8) for shape in ((100, 300, 3), (300, 100, 3)))
    picture = sheet(["a"], [("wide", [wide]), ("high", [high])], classes)
    for colour in classes.colours:
        there = np.argwhere((picture == colour).all(axis=2))
        assert len(there) > 80
        assert there[:, 0].min() > picture.shape[0] - 21
    grey = (picture == 77).all(axis=2)
    second = grey[240:-20]
    rows, columns = (np.flatnonzero(second.any(axis=axis)) for axis in (1, 0))
    assert abs(3 * len(columns) - len(rows)) <= 3
    many = ClassSet(
        names=tuple(f"class {index}" for index in range(40)),
        colours=tuple((index, 0, 200) for index in range(40)),
    )
    tall = sheet(["a"], [("wide", [wide])], many)
    assert all((tall == colour).all(axis=2).any() for colour in many.colours)


def test_problems_are_findings_by_rule(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    images, labels = (tmp_path / part / "train" for part in ("img_dir", "ann_dir"))
    first, second, third, fourth = sorted(images.iterdir())[:4]
    first.write_bytes(b"broken")
    second.unlink()
    PillowImage.new("RGB", (8, 8)).save(third)
    label = next(path for path in labels.iterdir() if path.stem.startswith(fourth.stem))
    PillowImage.fromarray(np.full((40, 64), 77, np.uint8)).save(label)
    given = asked(wishes_from({"data": {"name": "folder", "root": tmp_path}}))
    overview, _ = survey(given, "train", observer=Silent())
    rules = [found.rule for found in overview.findings if found.level == "error"]
    assert set(rules) == {
        "data-missing-file",
        "data-damaged-file",
        "data-size",
        "data-label-value",
    }
    assert len(overview.problems) == len(rules)
    for found in overview.findings:
        if found.level == "error":
            assert found.message.startswith(found.files[0])


def test_lossy_and_deep_pictures_are_told_by_a_rule_of_their_own(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    image, label = (min((tmp_path / part / "train").iterdir()) for part in ("img_dir", "ann_dir"))
    cv2.imwrite(str(image.with_suffix(".png")), np.zeros((40, 64, 3), np.uint16))
    image.with_suffix(".png").replace(image)
    PillowImage.open(label).convert("L").save(tmp_path / "lossy.jpg")
    (tmp_path / "lossy.jpg").replace(label)
    given = asked(wishes_from({"data": {"name": "folder", "root": tmp_path}}))
    overview, _ = survey(given, "train", observer=Silent())
    errors = [found for found in overview.findings if found.level == "error"]
    assert [found.rule for found in errors] == ["data-encoding", "data-encoding"]
    assert [Path(*found.files) for found in errors] == [image, label]


def test_an_annotation_that_means_nothing_is_found_in_its_file(tmp_path: Path) -> None:
    write_coco(tmp_path)
    file = tmp_path / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["segmentation"] = []
    file.write_text(json.dumps(content))
    write_yolo(tmp_path)
    text = tmp_path / "labels" / "train" / "train1.txt"
    text.write_text("0 0.1 0.1 0.5 0.5\n")
    for kind, culprit in (("coco", file), ("yolo", text)):
        given = asked(wishes_from({"data": {"name": kind, "root": tmp_path}}))
        overview, _ = survey(given, "train", observer=Silent())
        (found,) = (found for found in overview.findings if found.level == "error")
        assert found.files == (str(culprit),)

"""Poisoned scenes side by side, and scenes with the trigger near and far."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from recorded import write_run
from segdoor.errors import DataError
from segdoor.record import StudyRecord, StudyRun, save_record
from segdoor.report.content import Page, Section
from segdoor.report.html import render
from segdoor.report.page import build_page
from segdoor.report.source import open_source

FAR = "far_31.6_42.2"
KINDS = ("image", "poisoned_image", "label", "poisoned_label")
Content = dict[str, object]


def write_picture(file: Path, shade: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((6, 8, 3), shade, np.uint8)).save(file)


def write_poisoned(folder: Path, scenes: Sequence[str], method: str, shade: int) -> None:
    """Write a run with pictures of poisoned scenes, every picture in a shade of its own."""
    entries = [
        {
            "name": name, "class_under": "road", "distance": 12.4, "changed_pixels": 40,
            **{kind: f"poison/{number}-{kind}.png" for kind in KINDS},
        }
        for number, name in enumerate(scenes)
    ]  # fmt: skip

    def change(content: Content) -> None:
        content["poisoned_scenes"] = entries
        content["method"] = method

    write_run(folder, change=change)
    for number, entry in enumerate(entries):
        for place, kind in enumerate(KINDS):
            write_picture(folder / str(entry[kind]), shade + 10 * number + place)


def study_of(folder: Path, scenes: dict[str, Sequence[str]]) -> Path:
    runs: list[StudyRun] = []
    for number, (method, names) in enumerate(scenes.items()):
        write_poisoned(folder / method, names, method, 60 * number)
        file = f"{method}/record.json"
        axes = {"method": method}
        runs.append(StudyRun(key=method, axes=axes, seed=0, state="done", record=file))
    study = StudyRecord(
        name="s", preset="camvid", title="s", reading="paper", axes={}, seeds=(0,),
        runs=tuple(runs), cells=(), verdicts=(),
    )  # fmt: skip
    save_record(study, folder / "s.study.json")
    return folder


def section(page: Page, key: str) -> Section:
    return next(part for part in page.sections if part.key == key)


def shade(uri: str, tmp_path: Path) -> int:
    file = tmp_path / "shown.png"
    file.write_bytes(base64.b64decode(uri.partition(",")[2]))
    return int(np.array(PillowImage.open(file))[0, 0, 0])


def test_the_same_scene_is_shown_as_each_method_poisons_it(tmp_path: Path) -> None:
    scenes = {"baseline": "ab", "nni": "bcda", "prl": "xba"}
    page = build_page(open_source(study_of(tmp_path, scenes)))
    part = section(page, "poisoning")
    # Both scenes that all have, in the order of the first method.
    assert [lineup.title for lineup in part.lineups] == ["a", "b"]
    for lineup, places in zip(part.lineups, ((0, 3, 2), (1, 0, 1)), strict=True):
        assert [column.title for column in lineup.columns] == [
            "untouched", "baseline", "NNI", "PRL"
        ]  # fmt: skip
        shades = [[shade(p.uri, tmp_path) for p in column.pictures] for column in lineup.columns]
        starts = [60 * method + 10 * place for method, place in enumerate(places)]
        assert shades == [
            [starts[0], starts[0] + 2],
            *([start + 1, start + 3] for start in starts),
        ]
    assert part.lineups[0].columns[2].caption == (
        "trigger on road, 12 px from the victims; 40 labels changed"
    )
    assert "a, NNI: poisoned labels" in render(page)


def test_without_a_common_scene_each_method_shows_its_own(tmp_path: Path) -> None:
    page = build_page(open_source(study_of(tmp_path, {"baseline": "ab", "nni": "cd"})))
    lineups = section(page, "poisoning").lineups
    assert [(lineup.title, [c.title for c in lineup.columns]) for lineup in lineups] == [
        ("a", ["untouched", "baseline"]),
        ("c", ["untouched", "NNI"]),
    ]


def test_a_run_shows_its_own_poison_and_old_records_have_no_such_part(tmp_path: Path) -> None:
    write_poisoned(tmp_path / "run", "abc", "prl", 0)
    columns = section(build_page(open_source(tmp_path / "run")), "poisoning").lineups[0].columns
    assert [column.title for column in columns] == ["untouched", "prl"]
    write_run(tmp_path / "old")
    page = build_page(open_source(tmp_path / "old"))
    assert "poisoning" not in {part.key for part in page.sections}


def test_poison_that_was_left_behind_is_told_and_pictures_elsewhere_are_refused(
    tmp_path: Path,
) -> None:
    write_poisoned(tmp_path / "run", "abc", "prl", 0)
    (tmp_path / "run/poison/0-label.png").unlink()
    part = section(build_page(open_source(tmp_path / "run")), "poisoning")
    assert part.notes == ("a: 0-label.png is no longer beside the record.",)
    assert [lineup.title for lineup in part.lineups] == ["b"]
    record = tmp_path / "run/record.json"
    record.write_text(record.read_text().replace("poison/1-label.png", "../secret.png"))
    with pytest.raises(DataError, match="secret"):
        build_page(open_source(tmp_path / "run"))


def test_a_scene_of_the_gallery_is_shown_with_the_trigger_near_and_far(tmp_path: Path) -> None:
    def place_elsewhere(content: Content) -> None:
        scenes = content["gallery"]
        assert isinstance(scenes, list)
        scenes[0]["elsewhere"] = [
            {
                "test": test, "distance": distance, "asr": asr,
                "triggered_image": f"gallery/1-{test}-i.png",
                "triggered_prediction": f"gallery/1-{test}-p.png",
            }
            for test, distance, asr in (("near", 5.2, 0.93), (FAR, 38.7, 0.21))
        ]  # fmt: skip

    write_run(tmp_path / "run", gallery=2, change=place_elsewhere)
    for number, file in enumerate(("near-i", "near-p", f"{FAR}-i", f"{FAR}-p")):
        write_picture(tmp_path / f"run/gallery/1-{file}.png", 10 * number)
    page = build_page(open_source(tmp_path / "run"))
    gallery = section(page, "gallery").gallery
    assert gallery is not None
    first, second = gallery.scenes
    assert second.elsewhere == ()
    assert [(c.title, c.caption) for c in first.elsewhere] == [
        ("Trigger near", "5 px away, ASR 0.930"),
        ("Trigger far, 31.6–42.2 px", "39 px away, ASR 0.210"),
    ]
    shades = [[shade(p.uri, tmp_path) for p in column.pictures] for column in first.elsewhere]
    assert shades == [[0, 10], [20, 30]]
    assert len(re.findall("<h4>The same scene with the trigger near and far", render(page))) == 1
    # One picture less, and the scene is told of instead of shown by halves.
    (tmp_path / "run/gallery/1-near-p.png").unlink()
    part = section(build_page(open_source(tmp_path / "run")), "gallery")
    assert part.gallery is not None
    assert len(part.gallery.scenes) == 1
    assert part.notes == ("scene 1: 1-near-p.png is no longer beside the record.",)

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from shell import say
from trees import NAMES, STREET, write_hub, write_mmseg, write_voc
from turned import save_turned


def test_a_sound_data_set_is_described(tmp_path: Path) -> None:
    write_mmseg(tmp_path / "mine")
    out = tmp_path / "out"
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", out)
    code, said, _ = say("data", *words)
    assert code == 0
    assert "5 usable scenes" in said
    assert "40 to 64 pixels, median 48" in said
    assert "48x64 (2)" in said
    assert "vegetation" in said
    assert "have room for a trigger of" in said
    assert PillowImage.open(out / "data.png").width > 200
    report = json.loads((out / "data.json").read_text())
    assert report["num_scenes"] == 5
    code, said, _ = say("data", *words, "--json")
    assert code == 0
    assert json.loads(said) == report


def test_files_with_an_orientation_tag_are_counted(tmp_path: Path) -> None:
    write_mmseg(tmp_path / "mine")
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    code, said, _ = say("data", *words)
    assert (code, "turned as their" in said) == (0, False)
    for kind, names in (("img_dir", NAMES[:3]), ("ann_dir", NAMES[:2])):
        for name in names:
            path = tmp_path / "mine" / kind / "train" / f"{name}.png"
            save_turned(path, np.array(PillowImage.open(path)), 3)
    code, said, _ = say("data", *words)
    assert code == 0
    assert "turned as their orientation tags say: 3 images, 2 label maps" in said
    report = json.loads((tmp_path / "out" / "data.json").read_text())
    assert (report["num_turned_images"], report["num_turned_labels"]) == (3, 2)


def test_names_that_are_no_text_are_listed_escaped(tmp_path: Path) -> None:
    write_mmseg(tmp_path / "mine")
    bad = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    image = tmp_path / "mine" / "img_dir" / "train" / "one.png"
    image.rename(image.with_name(bad))
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    code, said, _ = say("data", *words)
    assert code == 2
    assert "img_dir/train/caf\\xe9.png: names of files and folders must be valid" in said
    problems = json.loads((tmp_path / "out" / "data.json").read_text())["problems"]
    assert ["Rename it" in problem for problem in problems] == [True, False]


def test_problems_are_listed_and_the_exit_code_is_2(tmp_path: Path) -> None:
    write_hub(tmp_path / "mine", ending="jsonl")
    for name in NAMES[:2]:
        (tmp_path / "mine" / "train" / "masks" / f"{name}.png").write_bytes(b"x")
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    code, said, complaint = say("data", *words)
    assert code == 2
    assert "Problems: 2" in said
    assert all(f"masks/{name}.png" in said for name in NAMES[:2])
    assert "2 problems" in complaint
    code, said, complaint = say("data", *words, "--json")
    assert code == 2
    assert len(json.loads(said)["problems"]) == 2


def test_long_lists_are_cut_on_the_screen_alone(tmp_path: Path) -> None:
    words = ("--data.num_train", 40, "--data.size", 32, 64, "--attack.trigger.size", 31)
    code, said, _ = say("data", *words, "--out", tmp_path)
    assert code == 0
    without = json.loads((tmp_path / "data.json").read_text())["room"]["without_room"]
    assert len(without) > 20
    assert f"and {len(without) - 20} more" in said
    assert without[19] in said
    assert f"  {without[20]}\n" not in said


def test_splits_of_a_data_set_of_files(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOC2012", aug=True)
    words = ("--data.name", "voc", "--data.root", tmp_path, "--out", tmp_path / "out")
    code, said, _ = say("data", *words)
    assert code == 0
    assert "split trainaug: 6 usable scenes" in said
    code, said, _ = say("data", *words, "--split", "val")
    assert "split val: 3 usable scenes" in said
    code, said, complaint = say("data", *words, "--split", "minival")
    assert (code, said) == (2, "")
    assert "minival.txt" in complaint


def test_looking_needs_no_deep_learning_library(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["torch"] = None
from segdoor.cli.app import run_command_line
sys.exit(run_command_line(["data", "--data.num_train", "2", "--out", sys.argv[1]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2 usable scenes" in done.stdout


def test_findings_go_into_a_sarif_file(tmp_path: Path) -> None:
    write_hub(tmp_path / "mine", ending="jsonl")
    broken = tmp_path / "mine" / "train" / "masks" / f"{NAMES[0]}.png"
    broken.write_bytes(b"x")
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    sarif = tmp_path / "found.sarif"
    assert say("data", *words, "--sarif", sarif).code == 2
    (run,) = json.loads(sarif.read_text())["runs"]
    assert run["invocations"][0]["exitCode"] == 2
    errors = [result for result in run["results"] if result["level"] == "error"]
    assert [result["ruleId"] for result in errors] == ["data-damaged-file"]
    place = errors[0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == f"train/masks/{NAMES[0]}.png"
    assert place["uriBaseId"] == "DATAROOT"
    assert str(tmp_path) not in json.dumps(errors)
    answer = say("data", *words, "--sarif", tmp_path)
    assert (answer.code, "must be a file to write" in answer.complaint) == (2, True)


def test_remarks_change_no_exit_code(tmp_path: Path) -> None:
    write_mmseg(tmp_path / "mine")
    (tmp_path / "mine" / "classes.yaml").write_text(f"classes: {[*STREET, 'moon']}")
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    code, said, _ = say("data", *words)
    assert code == 0
    assert "Remarks: 1\n  never in train: moon\n" in said


def test_a_data_set_that_cannot_be_opened_is_a_finding_too(tmp_path: Path) -> None:
    write_mmseg(tmp_path / "mine")
    (tmp_path / "mine" / "classes.yaml").write_text("classes: 7")
    words = ("--data.name", "folder", "--data.root", tmp_path / "mine", "--out", tmp_path / "out")
    answer = say("data", *words, "--sarif", tmp_path / "x.sarif")
    assert answer.code == 2
    (run,) = json.loads((tmp_path / "x.sarif").read_text())["runs"]
    (result,) = run["results"]
    assert result["level"] == "error"
    assert "classes.yaml" in result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]

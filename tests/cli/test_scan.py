"""``segdoor scan`` at the command line: exit codes, SARIF, JSON, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from defense.planted import planted_scenes, stamped, sticker
from scanning.methods import HERE, stamped_scenes, write_folder
from shell import say

FILTER, DETECTOR, SCAN = (f"{HERE}:{name}" for name in ("Colours", "FewCars", "Lost"))
MINE = ["--data.name", "folder", "--data.root", "mine"]
MODEL = ["--model", f"{HERE}:backdoored"]


@pytest.fixture
def mine(own_folder: Path) -> None:
    """A data set with two stamped scenes of eight, and a policy for the tiny filter."""
    write_folder(Path("mine"), stamped_scenes(8, 2))
    Path("policy.yaml").write_text(f"data: {{thresholds: {{'{FILTER}': 0.01}}}}")


@pytest.fixture
def clean(own_folder: Path) -> None:
    write_folder(Path("clean"), planted_scenes(40, seed=4))


@pytest.mark.usefixtures("mine")
class TestData:
    def test_suspects_end_with_code_4(self) -> None:
        words = [*MINE, "--with", FILTER, "--policy", "policy.yaml", "--sarif", "x.sarif"]
        answer = say("scan data", *words, "--workers", "1")
        assert answer.code == 4, answer.err
        assert "2 of 8 scenes are suspect" in answer.out
        assert "What this scan cannot tell:" in answer.out
        assert "MITRE ATLAS: AML.T0020 Poison Training Data" in answer.out
        assert (
            "scan data: ends with exit code 4 if something is suspect (found: 2 findings)"
            in answer.complaint
        )
        assert sorted(Path("runs/scan/suspects.txt").read_text().split()) == [
            "planted-0", "planted-1",
        ]  # fmt: skip
        run = json.loads(Path("x.sarif").read_text())["runs"][0]
        assert run["invocations"][0]["exitCode"] == 4
        uris = [artifact["location"]["uri"] for artifact in run["artifacts"]]
        assert "mine/images/train/planted-0.png" in uris
        rule = next(r for r in run["tool"]["driver"]["rules"] if r["id"] == "scan-suspect-scene")
        assert "Poison Training Data" in rule["properties"]["mitreAtlasNames"]

    def test_json_is_the_report(self) -> None:
        answer = say("scan data", *MINE, "--with", FILTER, "--json", "--workers", "1")
        assert answer.code == 0
        report = json.loads(answer.out)
        assert report == json.loads(Path("runs/scan/scan.json").read_text())
        assert report["checks"][0]["outcome"] == "NOT RUN"
        assert report["policy_source"] == "built-in"

    def test_scores_alone_say_so(self) -> None:
        answer = say("scan data", *MINE, "--with", FILTER, "--workers", "1")
        assert answer.code == 0
        assert "NO VERDICT" in answer.out
        assert f"{FILTER}: NOT RUN: no threshold" in answer.out

    @pytest.mark.usefixtures("clean")
    @pytest.mark.parametrize("way", ["folder", "file"])
    def test_clean_scenes_set_the_threshold(self, way: str) -> None:
        Path("clean.yaml").write_text("data: {name: folder, root: clean}")
        given = "clean" if way == "folder" else "clean.yaml"
        words = ["--with", FILTER, "--clean", given, "--workers", "1"]
        answer = say("scan data", *MINE, *words)
        # Two scenes may lie above the highest of 20 by chance.
        assert answer.code == 0, answer.err
        assert "2 of 8 scenes score above" in answer.out

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--data.root none --with X", "data.root: must be a folder that exists"),
            ("", "--data.name: must name the data set to scan"),
            ("--data.root mine --with nonsense", "--with: must name a known filter"),
            ("--data.root mine --with X:Looking", "needs a model with gradients"),
            ("--data.root mine --with X:WithClean", "needs clean scenes"),
            ("--data.root mine --with X:Failing", "needs at least 1000 scenes"),
            ("--data.root mine --clean none", "--clean: must be a folder or YAML file that"),
            ("--data.root mine --clean-split test", "--clean-split: is about clean scenes"),
            ("--data.root mine --policy none.yaml", "none.yaml"),
            ("--data.root mine --sarif .", "must be a file to write"),
            ("--data.root mine --seed -1 --with X:Colours", "--seed: must be 0 or more"),
            ("--data.root mine --workers 0 --with X:Colours", "--workers"),
            ("--data.root mine --weights none.pth --with X:Colours", "the weights do not exist"),
            ("none.yaml", "none.yaml"),
        ],
    )
    def test_mistakes_are_told(self, words: str, said: str) -> None:
        answer = say("scan data", *words.replace("X", HERE).split())
        assert answer.code == 2, answer.err
        assert said in answer.complaint
        assert not Path("runs/scan/scan.json").exists()

    def test_a_damaged_image_is_told_by_its_name(self) -> None:
        Path("mine/images/train/planted-3.png").write_bytes(b"no picture")
        answer = say("scan data", *MINE, "--with", FILTER, "--workers", "1")
        assert answer.code == 2
        assert "planted-3.png" in answer.complaint


@pytest.mark.usefixtures("clean")
class TestImagesAndModel:
    CLEAN = ("--data.name", "folder", "--data.root", "clean")

    def image(self) -> None:
        scene = planted_scenes(1, seed=9).scenes[0]
        PillowImage.fromarray(stamped(scene.image, what=sticker())).save("a.png")
        PillowImage.fromarray(scene.image).save("b.png")

    def test_a_trigger_in_an_image(self) -> None:
        self.image()
        words = [*MODEL, *self.CLEAN, "--with", DETECTOR, "--sarif", "x.sarif"]
        answer = say("scan images a.png b.png", *words)
        assert answer.code == 4, answer.err
        assert "1 of 2 images are suspect" in answer.out
        run = json.loads(Path("x.sarif").read_text())["runs"][0]
        assert run["artifacts"][0]["location"]["uri"] == "a.png"
        assert say("scan images b.png", *words, "--out", "b").code == 0

    def test_a_model_without_clean_models(self) -> None:
        answer = say("scan model", *MODEL, *self.CLEAN, "--with", SCAN, "--minutes", "1")
        assert answer.code == 0, answer.err
        assert "NO VERDICT" in answer.out
        assert f"{SCAN}: NOT RUN: No clean models" in answer.out

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("images a.png --data.root clean", "--weights: must name the trained weights"),
            ("images none --model M --data.root clean", "the image or folder does not exist"),
            ("images a.png --model M", "--data.name: must name clean scenes"),
            ("images a.png --model M --data.name street --with D", "must return a"),
            ("model --model M --data.root clean --minutes 0 --with S", "--minutes: must be above"),
            ("model --model M --data.root clean --clean-models no.pth", "--clean-models"),
            ("model --model no:net --data.root clean --with S", "must name an importable module"),
        ],
    )
    def test_mistakes_are_told(self, words: str, said: str) -> None:
        self.image()
        for short, name in (("M", MODEL[1]), ("D", DETECTOR), ("S", SCAN)):
            words = words.replace(f" {short}", f" {name}")
        answer = say(f"scan {words}")
        assert answer.code == 2, answer.err
        assert said in answer.complaint

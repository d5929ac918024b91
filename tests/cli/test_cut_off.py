"""What was cut off is completed by the same call again; two calls never write one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from processes import kill, started
from segdoor.attack.manifest import verify_copy
from segdoor.experiment import run as run_module
from segdoor.locks import sole_writer
from segdoor.record import load_record
from shell import say
from written import tree, write_source

pytestmark = pytest.mark.usefixtures("own_folder")

SCENES = ["--data.num_train", "16", "--data.num_test", "6", "--data.size", "64", "96"]
QUICK = ["--training.epochs", "2", "--training.batch_size", "4", "--training.threads", "1"]
FILES = ["--data.name", "folder", "--data.root", "source", "--attack.trigger.size", "7"]


class StoppedError(Exception):
    """Stands for the sudden end of a process."""


def same_weights(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


class TestRun:
    """A run that stops between its stages, and the same call again."""

    @pytest.mark.parametrize("stage", ["before the clean model", "before the tests"])
    def test_finished_trainings_are_not_done_again(
        self, stage: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words = ["run", *SCENES, *QUICK, "--out"]
        assert say(*words, "whole").code == 0
        begun: list[str] = []
        really = run_module.train_and_save

        def stopping(name: str, *rest: object) -> object:
            begun.append(name)
            if stage == "before the clean model" and name == "clean":
                raise StoppedError
            return really(name, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(run_module, "train_and_save", stopping)
            if stage == "before the tests":
                patch.setattr(run_module, "examine_models", _stop)
            with pytest.raises(StoppedError):
                say(*words, "cut")
        assert not Path("cut/record.json").exists()
        before = {path: path.stat().st_mtime_ns for path in Path("cut").glob("*.safetensors")}
        assert before
        assert say(*words, "cut").code == 0
        assert {path: path.stat().st_mtime_ns for path in before} == before
        whole, again = load_record(Path("whole")), load_record(Path("cut"))
        assert again.scores == whole.scores
        assert again.controls == whole.controls
        assert again.seconds.keys() == whole.seconds.keys()
        notes = [notes_without_seconds(Path(name)) for name in ("whole", "cut")]
        assert notes[0] == notes[1]
        assert not list(Path("cut").glob("*.snapshot"))

    def test_a_folder_with_weights_of_other_settings_is_refused(self) -> None:
        assert say("train", *SCENES, *QUICK, "--out", "t").code == 0
        before = tree(Path("t"))
        answer = say("train", *SCENES, *QUICK, "--seed", "1", "--out", "t")
        assert answer.code == 2
        assert "must not hold clean.safetensors of another training" in answer.said
        assert tree(Path("t")) == before

    def test_training_the_same_again_changes_nothing(self) -> None:
        words = ["train", *SCENES, *QUICK, "--out", "t"]
        assert say(*words).code == 0
        before = tree(Path("t"))
        assert say(*words).code == 0
        assert tree(Path("t")) == before

    def test_both_victims_may_share_a_folder(self) -> None:
        assert say("poison", *SCENES, "--out", "t").code == 0
        for words in ([], ["--plan", "t/plan.jsonl"]):
            assert say("train", *words, *SCENES, *QUICK, "--out", "t").code == 0
        stages = {note["stage"] for note in notes_without_seconds(Path("t"))}
        assert stages == {"training the clean model", "training the backdoored model"}


def _stop(*_: object, **__: object) -> None:
    raise StoppedError


def notes_without_seconds(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


class TestKilled:
    """Processes of their own, killed without warning."""

    @pytest.mark.slow
    def test_a_killed_training_goes_on(self) -> None:
        small = [*SCENES[:-2], "32", "64"]
        words = ["train", *small, "--training.epochs", "100", "--training.batch_size", "4"]
        words += ["--training.threads", "1", "--out"]
        process = started(*words, "cut")
        wait_for(lambda: Path("cut/clean.snapshot").exists() or process.poll() is not None)
        kill(process)
        assert say(*words, "cut").code == 0
        assert say(*words, "whole").code == 0
        assert same_weights(Path("cut/clean.safetensors"), Path("whole/clean.safetensors"))

    @pytest.mark.parametrize(
        "delay",
        [pytest.param(0.2, marks=pytest.mark.slow), pytest.param(0.6, marks=pytest.mark.slow), 1.0],
    )
    def test_a_killed_poisoning_is_completed(self, delay: float) -> None:
        write_source(Path("source"), ending="jpg", palette=True)
        source = tree(Path("source"))
        words = ["poison", *FILES, "--out", "plans", "--copy", "copy"]
        process = started(*words)
        time.sleep(delay)
        kill(process)
        if Path("copy").exists():
            assert not verify_copy(Path("copy"))
        else:
            assert say(*words).code == 0
        assert say("verify", "copy").code == 0
        assert say("restore", "copy").code == 0
        assert tree(Path("copy")) == source == tree(Path("source"))


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class TestTwoAtOnce:
    @pytest.mark.parametrize("verb", ["poison", "train", "run", "examine", "demo"])
    def test_a_folder_in_use_is_refused(self, verb: str) -> None:
        words = [] if verb == "demo" else SCENES
        words = [*words, *(["--weights", "x.safetensors"] if verb == "examine" else [])]
        folder = Path("out/seed-0" if verb == "demo" else "out")
        with sole_writer(folder, culprit="the test"):
            answer = say(verb, *words, "--out", "out")
        assert answer.code == 2
        assert "must not be written by two processes at once" in answer.said
        assert "Wait for it, or name another folder" in answer.said
        assert not folder.exists()

    def test_a_copy_in_use_is_neither_written_nor_restored(self) -> None:
        write_source(Path("source"), ending="png", palette=False)
        words = ["poison", *FILES, "--out", "plans", "--copy"]
        with sole_writer(Path("other.segdoor"), culprit="the test"):
            answer = say(*words, "other")
        assert (answer.code, "two processes" in answer.said) == (2, True)
        assert not Path("other").exists()
        assert say(*words, "copy").code == 0
        before = tree(Path("copy"))
        with sole_writer(Path("copy.segdoor"), culprit="the test"):
            answer = say("restore", "copy")
        assert (answer.code, "two processes" in answer.said) == (2, True)
        assert tree(Path("copy")) == before

    def test_another_process_is_refused_while_one_trains(self) -> None:
        words = ["train", *SCENES, "--training.epochs", "500", "--training.threads", "1"]
        process = started(*words, "--out", "t")
        wait_for(lambda: Path("t/.lock").exists())
        answer = say(*words, "--out", "t")
        kill(process)
        assert answer.code == 2
        assert "two processes" in answer.said

    def test_a_failed_call_leaves_no_folder(self) -> None:
        assert say("run", *SCENES, "--attack.victims", "cow", "--out", "r").code == 2
        assert not Path("r").exists()


class TestPoison:
    def test_a_dry_run_writes_nothing_and_counts_the_same(self) -> None:
        dry = say("poison", *SCENES, "--out", "plans", "--dry-run")
        assert dry.code == 0
        assert not Path("plans").exists()
        real = say("poison", *SCENES, "--out", "plans")
        assert real.code == 0
        line = next(line for line in real.said.splitlines() if "scenes poisoned" in line)
        assert line in dry.said
        assert "Nothing was written" in dry.said

    def test_an_earlier_copy_is_replaced_only_on_demand(self) -> None:
        write_source(Path("source"), ending="jpg", palette=True)
        words = ["poison", *FILES, "--out", "plans", "--copy", "copy"]
        assert say(*words).code == 0
        first = tree(Path("copy"))
        answer = say(*words)
        assert (answer.code, "--replace" in answer.said) == (2, True)
        answer = say(*words[:-2], "--seed", "5")
        assert (answer.code, "another plan" in answer.said) == (2, True)
        assert tree(Path("copy")) == first
        assert say(*words, "--seed", "5", "--replace").code == 0
        assert tree(Path("copy")) != first
        assert say("restore", "copy").code == 0
        assert tree(Path("copy")) == tree(Path("source"))

    def test_an_edited_copy_or_another_s_folder_is_never_replaced(self) -> None:
        write_source(Path("source"), ending="jpg", palette=True)
        words = ["poison", *FILES, "--out", "plans", "--replace", "--copy"]
        assert say(*words, "copy").code == 0
        Path("copy/mine.txt").write_text("my work")
        Path("precious").mkdir()
        Path("precious/thesis.txt").write_text("my work")
        for folder in ("copy", "precious"):
            before = tree(Path(folder))
            assert say(*words, folder).code == 2
            assert tree(Path(folder)) == before

    def test_a_plan_with_a_trigger_file_can_be_used_from_anywhere(
        self,
        monkeypatch: pytest.MonkeyPatch,
        sticker: Path,
    ) -> None:
        words = ["--attack.trigger.file", sticker.name]
        assert say("poison", *SCENES, *words, "--out", "plans").code == 0
        Path("elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        words = ["--plan", "../plans/plan.jsonl", *SCENES, *QUICK, "--out", "t"]
        assert say("train", *words).code == 0


@pytest.fixture
def sticker() -> Path:
    """Write a picture to be stamped into the current folder."""
    from segdoor.data.pictures import write_image
    from segdoor.stickers import draw

    path = Path("sticker.png")
    write_image(path, draw("bullseye", 16)[..., :3].copy())
    return path


class TestTheVeryWeights:
    def test_training_from_a_lossless_copy_equals_training_from_the_plan(self) -> None:
        write_source(Path("source"), ending="jpg", palette=True)
        words = ["poison", *FILES, "--out", "plans", "--copy", "copy", "--lossless"]
        assert say(*words).code == 0
        data = ["--data.name", "folder", "--data.root"]
        planned = ["train", *data, "source", "--plan", "plans/plan.jsonl", *QUICK, "--out", "a"]
        assert say(*planned).code == 0
        assert say("train", *data, "copy", *QUICK, "--out", "b").code == 0
        assert same_weights(Path("a/poisoned.safetensors"), Path("b/clean.safetensors"))

    def test_examine_takes_the_network_from_the_weights(self) -> None:
        network = ["--network.name", "deeplabv3", "--network.depth", "18"]
        assert say("train", *SCENES, *QUICK, *network, "--out", "t").code == 0
        words = ["examine", "--weights", "t/clean.safetensors", *SCENES]
        assert say(*words, "--out", "e").code == 0
        assert load_record(Path("e")).config["network"]["name"] == "deeplabv3"
        answer = say(*words, "--model", "pspnet", "--out", "f")
        assert answer.code == 2
        assert "this very network" in answer.said

    def test_examine_normalises_as_the_weights_header_says_for_any_network(self) -> None:
        Path("ournets.py").write_text(
            "import torch\ndef build(num_classes):\n    return torch.nn.Conv2d(3, num_classes, 1)\n"
        )
        model = ["--model", "ournets:build"]
        mean = ["--network.mean", "0.5", "0.5", "0.5"]
        assert say("train", *SCENES, *QUICK, *model, *mean, "--out", "t").code == 0
        words = ["examine", "--weights", "t/clean.safetensors", *SCENES, *model, "--out", "e"]
        assert say(*words).code == 0
        assert load_record(Path("e")).config["network"]["mean"] == [0.5, 0.5, 0.5]

    def test_a_header_chooses_neither_code_nor_files(self) -> None:
        assert say("train", *SCENES, *QUICK, "--out", "t").code == 0
        tensors = load_file("t/clean.safetensors")
        network = {"name": "evil:build", "folder": "/evil", "backbone_weights": "/evil"}
        Path("evil.py").write_text("open('ran', 'w')\n")
        remark = json.dumps({"config": {"network": network}})
        save_file(tensors, "theirs.safetensors", metadata={"segdoor": remark})
        words = ["examine", "--weights", "theirs.safetensors", *SCENES, "--out", "e"]
        assert say(*words).code == 0
        assert not Path("ran").exists()

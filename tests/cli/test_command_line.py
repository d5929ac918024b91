"""What a person meets at the command line: exit codes, messages, files and the steps of a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from segdoor.cli.app import make_app
from segdoor.cli.options import configuration
from segdoor.record import ExperimentRecord, load_record
from shell import say

pytestmark = pytest.mark.usefixtures("own_folder")

TINY = ["--data.num_train", "16", "--data.num_test", "6", "--data.size", "64", "96"]
QUICK = ["--training.epochs", "1", "--training.batch_size", "4", "--training.threads", "1"]
VERBS = {
    "demo": "Train and attack a small network",
    "poison": "Choose the training scenes to poison",
    "verify": "Check that a poisoned copy has not been changed",
    "restore": "Undo the poisoning of a copy",
    "train": "Train a network on clean or poisoned scenes",
    "examine": "Test a trained network",
    "run": "Poison, train and examine in one command",
    "defend": "Measure defenses on a run",
    "optimise": "Find which trigger at which place",
    "physical": "Print a run's sticker",
    "scan": "Scan data, images or a model",
    "repair": "Repair the models of a run",
    "show": "Print the results of a run or a study",
    "report": "Write one page",
    "export": "Export the figures of a run or a study",
    "study": "Reproduce tables and figures of the paper",
    "models": "List the built-in trained models",
    "list": "List what is built in",
    "doctor": "Check this machine",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the one tiny run that all tests of this module share."""
    out = tmp_path_factory.mktemp("run") / "tiny"
    assert say("run", *TINY, *QUICK, "--out", out).code == 0
    return out


@pytest.fixture(scope="module")
def record(finished: Path) -> ExperimentRecord:
    return load_record(finished)


def test_a_surrogate_ranks_triggers_at_places(finished: Path) -> None:
    words = ["--trigger", "smiley", "--trigger", "line", "--placement", "random"]
    answer = say("optimise", finished, *words, "--budget", "20", "--out", "best")
    assert answer.code == 0, answer.err
    assert "queries of the clean model, budget 20" in answer.out
    told = json.loads(Path("best/optimised.json").read_text())
    assert {one["placement"] for one in told["candidates"]} == {"random"}
    assert told["num_queries"] == 1.5 * sum(one["num_queries"] for one in told["candidates"])
    answer = say("optimise", finished, "--trigger", "line", "--placement", "nearest")
    assert answer.code == 2
    assert "covers the whole image" in answer.err
    answer = say("optimise", finished, "--trigger", "dragon")
    assert answer.code == 2
    assert "--trigger dragon: must name a known trigger" in answer.err
    answer = say("optimise", finished, "--trigger", "line:thickness=0")
    assert "--trigger line:thickness=0: thickness: input should be greater" in answer.err


class TestHelp:
    def test_without_words_the_verbs_are_shown(self) -> None:
        answer = say()
        assert answer.code == 0
        assert all(verb in answer.out for verb in VERBS)

    def test_the_version_is_shown(self) -> None:
        answer = say("--version")
        assert answer.code == 0
        assert answer.out.strip()[0].isdigit()

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_says_what_it_is_for(self, verb: str) -> None:
        answer = say(verb, "--help")
        assert answer.code == 0
        assert VERBS[verb] in answer.out
        assert answer.err == ""

    def test_the_list_of_verbs_says_what_each_is_for(self) -> None:
        listed = " ".join(say("--help").out.split())
        assert all(purpose in listed for purpose in VERBS.values())


@dataclass(frozen=True)
class Mistake:
    """A wrong command, and the four parts of the complaint about it."""

    words: str
    culprit: str
    rule: str
    value: str
    remedy: str
    code: int = 2
    file: str = ""


SMALL = "--data.num_train 4 --data.num_test 2 --data.size 64 96"
MISTAKES = {
    "misspelt key": Mistake(
        "poison given.yaml",
        "given.yaml: attack.rat",
        "not a known setting",
        "rat",
        "Did you mean 'rate'?",
        file="attack: {rat: 0.1}",
    ),
    "misspelt section": Mistake(
        "poison given.yaml",
        "given.yaml: atack",
        "not a known setting",
        "atack",
        "Did you mean 'attack'?",
        file="atack: {rate: 0.1}",
    ),
    "value in file": Mistake(
        "poison given.yaml",
        "given.yaml: attack.rate",
        "less than or equal to 1",
        "2",
        "from 0 to 1, such as 0.2.",
        file="attack: {rate: 2}",
    ),
    "value in option": Mistake(
        "poison --attack.rate 2",
        "--attack.rate",
        "less than or equal to 1",
        "2",
        "from 0 to 1, such as 0.2.",
    ),
    "text for a number": Mistake(
        "poison --attack.rate much",
        "--attack.rate",
        "valid number",
        "much",
        "from 0 to 1, such as 0.2.",
    ),
    "value at the top": Mistake(
        "poison --seed -1",
        "seed",
        "greater than or equal to 0",
        "-1",
        "at least 0, such as 0.",
    ),
    "settings at odds": Mistake(
        "poison --attack.target car",
        "attack.target",
        "must not be a victim class",
        "car",
        "Name another class.",
    ),
    "no YAML": Mistake(
        "poison given.yaml",
        "given.yaml",
        "must be plain YAML",
        "line 1",
        "Correct the file.",
        file="attack: [1, 2",
    ),
    "tagged YAML": Mistake(
        "poison given.yaml",
        "given.yaml",
        "must be plain YAML",
        "os.system",
        "Correct the file.",
        file="title: !!python/object/apply:os.system ['touch owned']",
    ),
    "no mapping": Mistake(
        "poison given.yaml",
        "given.yaml",
        "must hold settings by name",
        "list",
        "Write",
        file="- attack",
    ),
    "missing file": Mistake(
        "poison missing.yaml",
        "missing.yaml",
        "must be a readable YAML file",
        "No such file",
        "Check the path.",
    ),
    "folder for a file": Mistake(
        "poison .",
        ".",
        "must be a YAML file with settings",
        "a folder",
        "For the data set in it: --data.name folder --data.root .",
    ),
    "data set": Mistake(
        "poison --data.name ade20k",
        "data.name",
        "must name a known data set",
        "ade20k",
        "Known: street, camvid, voc, cityscapes, folder, coco, yolo; write your own as package.module:Class.",
    ),
    "no root": Mistake(
        "poison --data.name folder",
        "data.root",
        "must name the folder of 'folder'",
        "",
        "Set --data.root.",
    ),
    "missing folder": Mistake(
        "poison --data.name camvid --data.root nowhere",
        "data.root",
        "must be a folder that exists",
        "nowhere",
        "Check the path.",
    ),
    "missing list": Mistake(
        "poison --data.name camvid --data.root .",
        "train.txt",
        "must be a readable text file",
        "No such file",
        "Check root and split.",
    ),
    "scene too small": Mistake(
        "poison --data.size 16 64",
        "street: height",
        "must be at least 32",
        "16",
        "Raise height.",
    ),
    "class": Mistake(
        f"poison {SMALL} --attack.victims carr",
        "attack.victims",
        "must be a class of the data set",
        "carr",
        "Known: road, sidewalk,",
    ),
    "trigger": Mistake(
        f"poison {SMALL} --attack.trigger.name star",
        "trigger.name",
        "must be a built-in sticker",
        "star",
        "Known: windmill, bullseye,",
    ),
    "control sticker": Mistake(
        f"run {SMALL} --controls.other_trigger star",
        "controls.other_trigger",
        "must be another sticker",
        "star",
        "Known: windmill, bullseye,",
    ),
    "control equals trigger": Mistake(
        f"run {SMALL} --attack.trigger.name blossom --controls.other_trigger blossom",
        "controls.other_trigger",
        "must differ from the trigger",
        "blossom",
        "Known: windmill, bullseye,",
    ),
    "rate out of reach": Mistake(
        "poison --data.num_train 16 --data.size 32 64 --attack.rate 1 --attack.trigger.size 3",
        "attack.rate",
        "asks for 16 of 16 scenes",
        "1",
        "Lower the rate, or set attack.shortfall to all_available.",
    ),
    "trigger that follows": Mistake(
        "poison --data.num_train 4 --data.size 32 64",
        "attack.trigger.size",
        "must be given where it would follow as less than 4 pixels",
        "3 from scenes of 32 rows",
        "Give it, or take larger scenes.",
    ),
    "a trigger with a missing setting": Mistake(
        "poison --attack.trigger semantic:person",
        "--attack.trigger.others",
        "must be given",
        "",
        "Give it, such as pole.",
    ),
    "a change that is not finished": Mistake(
        "poison --attack.labels remap:",
        "attack.labels",
        "needs a value after 'remap:'",
        "remap:",
        "Write remap:car>road+tree>sky, for example",
    ),
    "a pair that is not finished": Mistake(
        "poison --attack.labels remap:car>",
        "--attack.labels.classes",
        "must name two different classes",
        "car>",
        "Write remap:car>road",
    ),
    "a picture that is not there": Mistake(
        "poison --attack.trigger sticker:none.png",
        "attack.trigger.name",
        "there is no such file",
        "none.png",
        "Check the path.",
    ),
    "a picture as a name": Mistake(
        "poison --attack.trigger sticker:given.yaml",
        "attack.trigger.name",
        "must be a built-in sticker",
        "given.yaml",
        "For a picture write given.yaml alone.",
        file="a: b",
    ),
    "a distance that reaches no victim": Mistake(
        f"poison {SMALL} --attack.labels near:car,within=0",
        "attack.labels",
        "must change a label in at least one poisoned scene",
        "within=0.0",
        "Raise a distance such as within",
    ),
    "a target that is chosen and a victim": Mistake(
        f"poison {SMALL} --attack.labels cooccurring:car --attack.labels hide:road,target=sky",
        "attack.target",
        "must not be a victim class",
        "road",
        "Name another class",
    ),
    "no weights": Mistake(
        "examine", "--weights", "must name the trained weights", "", "A network without"
    ),
    "missing weights": Mistake(
        f"examine {SMALL} --weights none.safetensors",
        "none.safetensors",
        "do not exist",
        "",
        "Check the path.",
    ),
    "network": Mistake(
        f"train {SMALL} --model unet",
        "network.name",
        "must be a known network or package.module:factory",
        "unet",
        "Known: small, pspnet, deeplabv3.",
    ),
    "factory": Mistake(
        f"train {SMALL} --model no_such_module:build",
        "network.name",
        "must name an importable module and a factory in it",
        "no_such_module:build",
        "No module named 'no_such_module'",
    ),
    "missing plan": Mistake(
        f"train {SMALL} --plan missing.jsonl",
        "missing.jsonl",
        "must be a readable text file",
        "No such file",
        "Check the path.",
    ),
    "missing run": Mistake(
        "show nowhere", "nowhere", "must be a readable record", "No such file", "Name a run's"
    ),
    "device": Mistake(
        f"train {SMALL} --training.device abacus",
        "training.device",
        "must be a device of this machine",
        "abacus",
        "Try 'auto' or 'cpu'.",
        code=3,
    ),
    "file in the way": Mistake(
        f"poison {SMALL} --out given.yaml",
        "--out given.yaml",
        "must be a writable folder",
        "File exists",
        "Name another folder.",
        file="seed: 0",
    ),
}


class TestMistakes:
    @pytest.mark.parametrize("name", MISTAKES)
    def test_the_complaint_names_culprit_rule_value_and_remedy(self, name: str) -> None:
        mistake = MISTAKES[name]
        Path("given.yaml").write_text(mistake.file, encoding="utf-8")
        answer = say(*mistake.words.split())
        assert answer.code == mistake.code
        assert answer.out == ""
        message = answer.complaint
        culprit, rule, _ = message.partition(mistake.rule)
        assert rule, message
        assert mistake.culprit in culprit
        found = message.partition("(found: ")[2]
        assert mistake.value in found
        remedy = message.removesuffix(".").partition(". ")[2]
        assert mistake.remedy.removesuffix(".") in remedy
        assert not Path("owned").exists()

    @pytest.mark.parametrize(
        ("words", "culprit", "near"),
        [
            ("poison --attack.rat 0.1", "--attack.rat", "--attack.rate"),
            ("run --seeed 1", "--seeed", "--seed"),
            ("run --attack.placement.knid band", "knid", "--attack.placement.kind"),
            ("pioson", "pioson", "poison"),
            ("run --method pnn", "--method", "nni"),
        ],
    )
    def test_a_misspelt_word_suggests_the_near_one(
        self, words: str, culprit: str, near: str
    ) -> None:
        answer = say(*words.split())
        assert answer.code == 2
        assert culprit in answer.complaint
        assert f"Did you mean {near}" in answer.complaint.replace('"', "")

    @pytest.mark.parametrize(
        "words",
        [
            "show",
            "poison --data.size 64",
            "poison given.yaml more",
            "poison --plan x",
            "train --json",
        ],
    )
    def test_misuse_is_exit_code_2(self, words: str) -> None:
        Path("given.yaml").write_text("seed: 0", encoding="utf-8")
        answer = say(*words.split())
        assert answer.code == 2
        assert answer.complaint.startswith("segdoor: ")

    @pytest.mark.parametrize("choice", ["none", "null"])
    def test_none_is_no_reading(self, choice: str) -> None:
        answer = say("poison", "--reading", choice, *SMALL.split())
        assert answer.code == 2
        assert "--reading" in answer.complaint

    def test_deeply_nested_yaml_is_refused(self) -> None:
        Path("given.yaml").write_text("[" * 5000, encoding="utf-8")
        answer = say("poison", "given.yaml")
        assert answer.code == 2
        assert answer.complaint.startswith("segdoor: given.yaml: ")

    def test_unreadable_bytes_are_refused(self) -> None:
        Path("given.yaml").write_bytes(b"\xff\xfe\x00")
        answer = say("poison", "given.yaml")
        assert answer.code == 2
        assert answer.complaint.startswith("segdoor: given.yaml: must be text in UTF-8")

    def test_a_damaged_cache_is_no_traceback(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "packs"))
        assert say("poison", *SMALL.split(), "--out", "first").code == 0
        (index,) = (tmp_path / "packs").glob("*/index.json")
        index.write_text("{", encoding="utf-8")
        answer = say("poison", *SMALL.split(), "--out", "second")
        assert answer.code == 2
        assert "index.json" in answer.complaint

    def test_a_cache_that_cannot_be_written_is_exit_code_2(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "occupied").write_text("", encoding="utf-8")
        monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "occupied"))
        answer = say("poison", *SMALL.split())
        assert answer.code == 2
        assert "SEGDOOR_CACHE" in answer.complaint


class TestPoison:
    def test_writes_plan_and_preview(self) -> None:
        words = ["--data.num_train", "12", "--data.num_test", "4", "--data.size", "64", "96"]
        answer = say("poison", *words, "--out", "plans")
        assert answer.code == 0
        assert "2 of 12 scenes poisoned" in answer.out
        assert sorted(path.name for path in Path("plans").iterdir()) == ["plan.jsonl", "poison.png"]
        header, *rows = map(json.loads, Path("plans/plan.jsonl").read_text().splitlines())
        assert header["kind"] == "poison-plan"
        assert header["num_poisoned"] == len(rows) == 2
        assert Path("plans/poison.png").read_bytes().startswith(b"\x89PNG")

    def test_json_is_alone_on_standard_output(self) -> None:
        answer = say("poison", *SMALL.split(), "--json", "--out", "plans")
        header = json.loads(answer.out)
        assert header["kind"] == "poison-plan"
        assert header == json.loads(Path("plans/plan.jsonl").read_text().splitlines()[0])

    def test_refuses_to_write_over_a_plan(self) -> None:
        assert say("poison", *SMALL.split(), "--out", "plans").code == 0
        before = Path("plans/plan.jsonl").read_bytes()
        answer = say("poison", *SMALL.split(), "--out", "plans", "--seed", "1")
        assert answer.code == 2
        assert "--out plans: must not hold another plan" in answer.complaint
        assert Path("plans/plan.jsonl").read_bytes() == before

    def test_a_folder_named_like_markup_is_printed_as_it_is(self) -> None:
        answer = say("poison", *SMALL.split(), "--out", "plans[/b]")
        assert answer.code == 0
        assert "plans[/b]" in answer.out

    def test_file_and_options_merge_and_options_win(self) -> None:
        Path("given.yaml").write_text(
            "seed: 5\n"
            "data: {num_train: 8, num_test: 2, size: [64, 96]}\n"
            "attack: {rate: 0.5, trigger: {name: smiley, opacity: 0.5}}\n",
            encoding="utf-8",
        )
        words = ["--seed", "7", "--attack.rate", "0.25", "--attack.trigger.name", "blossom"]
        header = json.loads(say("poison", "given.yaml", *words, "--json").out)
        assert header["seed"] == 7
        assert header["num_scenes"] == 8
        assert header["attack"]["rate"] == 0.25
        assert header["attack"]["trigger"]["name"] == "blossom"
        assert header["attack"]["trigger"]["opacity"] == 0.5

    def test_an_option_set_to_the_default_wins_over_the_file(self) -> None:
        Path("given.yaml").write_text("attack: {rules: {single_class: false}}", encoding="utf-8")
        words = ["--attack.rules.single_class", *SMALL.split(), "--json"]
        header = json.loads(say("poison", "given.yaml", *words).out)
        assert header["attack"]["rules"]["single_class"] is True

    def test_a_setting_of_another_verb_in_the_file_is_accepted(self) -> None:
        Path("given.yaml").write_text("training: {epochs: 3}", encoding="utf-8")
        assert say("poison", "given.yaml", *SMALL.split()).code == 0

    def test_an_empty_file_changes_nothing(self) -> None:
        Path("given.yaml").write_text("", encoding="utf-8")
        with_file = say("poison", "given.yaml", *SMALL.split(), "--json", "--out", "a").out
        assert with_file == say("poison", *SMALL.split(), "--json", "--out", "b").out

    def test_every_setting_can_be_given_as_an_option(self) -> None:
        words = ["--attack.victims", "car", "--attack.victims", "person"]
        header = json.loads(say("poison", *SMALL.split(), *words, "--json").out)
        (hide,) = header["attack"]["labels"]
        assert hide == {"kind": "hide", "victims": ["car", "person"], "target": "road"}


class TestRun:
    def test_leaves_everything_that_the_record_names(
        self, finished: Path, record: ExperimentRecord
    ) -> None:
        assert record.files
        assert [f for f in record.files.values() if not (finished / f).is_file()] == []
        assert record.plan is not None
        assert record.plan.num_poisoned == 3
        assert record.data.num_train == 16
        assert record.data.first_size == (64, 96)

    def test_show_prints_the_results(self, finished: Path) -> None:
        answer = say("show", finished)
        assert answer.code == 0
        assert answer.err == ""
        for word in ("Poisoned tests", "Benign test", "3 of 16 training scenes poisoned"):
            assert word in answer.out

    def test_show_can_be_read_at_80_columns(
        self,
        finished: Path,
        record: ExperimentRecord,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        shown = say("show", finished).out
        assert "…" not in shown
        assert all(name.split("_")[0] in shown for name in record.scores.tests)

    def test_show_prints_the_very_record_as_json(self, finished: Path) -> None:
        answer = say("show", finished / "record.json", "--json")
        assert answer.code == 0
        assert json.loads(answer.out) == json.loads((finished / "record.json").read_text())

    def test_show_prints_a_title_as_it_is(self, finished: Path) -> None:
        content = json.loads((finished / "record.json").read_text())
        content["title"] = "cars [vanish] here [/b]"
        Path("record.json").write_text(json.dumps(content), encoding="utf-8")
        answer = say("show", "record.json")
        assert answer.code == 0
        assert content["title"] in answer.out

    @pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema_version": 99}', "null", "\x00"])
    def test_show_refuses_what_is_no_record(self, content: str) -> None:
        Path("record.json").write_text(content, encoding="utf-8")
        answer = say("show", ".")
        assert answer.code == 2
        assert "record.json" in answer.complaint

    def test_refuses_to_write_over_a_record(self, finished: Path) -> None:
        answer = say("run", *TINY, *QUICK, "--out", finished)
        assert answer.code == 2
        assert "must not hold a record.json yet" in answer.complaint
        assert "Name another folder" in answer.complaint


class TestSteps:
    @pytest.fixture(autouse=True)
    def _weights(self, own_folder: Path, finished: Path) -> None:
        shutil.copy(finished / "poisoned.safetensors", own_folder / "theirs.safetensors")

    def test_examine_finds_what_the_run_found(self, record: ExperimentRecord) -> None:
        answer = say("examine", "--weights", "theirs.safetensors", *TINY, "--json", "--out", "e")
        assert answer.code == 0
        again = load_record(Path("e"))
        assert json.loads(answer.out) == json.loads(Path("e/record.json").read_text())
        assert again.scores.benign.cba == record.scores.benign.cba
        assert again.scores.cba == record.scores.cba
        assert again.plan is None
        assert again.method is None
        assert again.controls.clean_model is None
        for name, test in record.scores.tests.items():
            metrics = {
                metric: scores.model_copy(
                    update={
                        "clean_model": None,
                        "parts": tuple(
                            part.model_copy(update={"clean_model": None}) for part in scores.parts
                        ),
                    }
                )
                for metric, scores in test.metrics.items()
            }
            without = {"asr_clean_model": None, "pba_clean_model": None, "metrics": metrics}
            assert again.scores.tests[name] == test.model_copy(update=without)

    def test_poison_then_train_makes_the_weights_of_the_run(self, finished: Path) -> None:
        assert say("poison", *TINY, "--out", "plans").code == 0
        assert Path("plans/plan.jsonl").read_bytes() == (finished / "plan.jsonl").read_bytes()
        answer = say("train", "--plan", "plans/plan.jsonl", *TINY, *QUICK, "--out", "t")
        assert answer.code == 0
        assert_equal_weights(Path("t/poisoned.safetensors"), finished / "poisoned.safetensors")

    def test_train_without_plan_makes_the_clean_weights_of_the_run(self, finished: Path) -> None:
        assert say("train", *TINY, *QUICK, "--out", "t").code == 0
        assert_equal_weights(Path("t/clean.safetensors"), finished / "clean.safetensors")

    def test_train_refuses_a_plan_for_other_scenes(self, finished: Path) -> None:
        plan = finished / "plan.jsonl"
        answer = say("train", "--plan", plan, *TINY, *QUICK, "--data.seed", "1", "--out", "t")
        assert answer.code == 2
        assert "must have been made for this very data set" in answer.complaint
        assert not Path("t").exists()

    def test_far_bands_can_be_given_as_options(self) -> None:
        words = ["--weights", "theirs.safetensors", "--tests.far", "20", "30"]
        answer = say("examine", *words, *TINY, "--json", "--out", "e")
        assert answer.code == 0
        assert list(json.loads(answer.out)["scores"]["tests"]) == [
            "nearest",
            "near",
            "far_20_30",
            "anywhere",
        ]


def assert_equal_weights(one: Path, other: Path) -> None:
    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not np.array_equal(first[name], second[name])] == []


LEGAL = {
    "--network.name": "pspnet",
    "--network.depth": "18 --network pspnet",
    "--network.stem": "plain --network pspnet",
    "--network.dropout": "0.2",
    "--network.mean": "0 0 0",
    "--network.std": "1 1 1",
    "--training.optimiser": "sgd",
    "--training.augmentation.scale": "0.5 2",
    "--training.augmentation.rotation": "10",
    "--training.augmentation.crop": "32 64",
    "--training.precision": "float32",
    "--preset": "voc",
    "--reading": "official",
    "--method": "nni+prl",
    "--attack.victims": "car person",
    "--attack.rules.margin.unit": "pixels",
    "--attack.labels": "hide scatter,pool='class:road'",
    "--tests.far": "20 30 40",
    "--tests.near": "0 20",
}


@pytest.mark.parametrize(
    "words",
    [
        ("--network", "pspnet:'resnet:18'"),
        ("--model", "pspnet,depth=18"),
        ("--model", "pspnet", "--network.backbone", "resnet:18"),
        ("shallow.yaml", "--network.depth", "18"),
    ],
)
def test_a_network_is_written_whole_or_by_its_settings(words: tuple[str, ...]) -> None:
    Path("shallow.yaml").write_text("network: pspnet:'resnet:34'")
    _, bound, _ = make_app().parse_args(["train", *words])
    given = bound.arguments
    asked = configuration(
        given.get("config"), None, given.get("model"), network=given.get("network")
    )
    network = asked.facts((64, 96)).network
    assert (network.name, network.backbone, network.depth) == ("pspnet", "resnet", 18)


@pytest.mark.parametrize("option", LEGAL)
def test_legal_values_are_read_from_the_command_line(option: str) -> None:
    # The configuration is read before the data set is found to be missing.
    words = ["run", "--data.name", "camvid", "--data.root", "nowhere", option]
    answer = say(*words, *LEGAL[option].split())
    assert answer.code == 2
    assert "nowhere" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        "--training.augmentation.scale 0 1",
        "--training.augmentation.scale 2 1",
        "--training.augmentation.crop 0 0",
        "--training.threads 100000",
        "--network.std 0 0 0",
        "--attack.trigger.size 100000000",
        "--tests.far 30",
        "--data.train_split test",
    ],
)
def test_values_that_could_only_crash_are_refused(words: str) -> None:
    answer = say("run", *words.split())
    assert answer.code == 2
    assert words.split(maxsplit=1)[0].rpartition(".")[0] in answer.err


def test_a_device_without_values_is_refused() -> None:
    answer = say("train", *TINY, *QUICK, "--training.device", "meta", "--out", "m")
    assert answer.code == 3
    assert "training.device" in answer.err


def test_a_trigger_larger_than_every_scene_is_named() -> None:
    answer = say("poison", *TINY, "--attack.trigger.size", "500", "--out", "big")
    assert answer.code == 2
    assert "attack.trigger.size" in answer.err


def test_an_interruption_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("segdoor.experiment.poisoning.poison_step", interrupted)
    answer = say("poison", *TINY, "--out", "i")
    # A plan is made anew, and of a copy nothing is left.
    assert (answer.code, answer.err.strip()) == (130, "segdoor: interrupted")
    monkeypatch.setattr("segdoor.experiment.steps.train_step", interrupted)
    answer = say("train", *TINY, "--out", "i")
    said = "segdoor: interrupted; finished work is kept, run the same command again to resume"
    assert (answer.code, answer.err.strip()) == (130, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("defend",), "RUN is missing. See segdoor defend --help."),
        (("show",), "RUN is missing. See segdoor show --help."),
        (("show", "--run"), "--run requires an argument"),
        (("show", "."), "record.json: must be a readable record (found: No such file or directory"),
        (("scan", "data", "."), "--data.name folder --data.root ."),
        (("run", "--nosuch"), "Unknown option: --nosuch. --help-all lists the known ones."),
        (("run", "--sed", "1"), "Did you mean --seed?"),
    ],
)
def test_slips_are_told_with_what_helps(words: tuple[str, ...], said: str) -> None:
    answer = say(*words)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert "Errno" not in answer.err


class TestCopy:
    def source(self) -> Path:
        from PIL import Image as PillowImage

        from segdoor.data.street import StreetDataset

        street = StreetDataset(split="train", num_scenes=8, height=48, width=64)
        for part in ("images", "labels"):
            Path("mine", part, "train").mkdir(parents=True)
        for scene in (street[index] for index in range(8)):
            PillowImage.fromarray(scene.image).save(f"mine/images/train/{scene.name}.jpg")
            PillowImage.fromarray(scene.label).save(f"mine/labels/train/{scene.name}.png")
        Path("mine/classes.yaml").write_text(json.dumps(list(street.classes.names)))
        return Path("mine")

    def test_poison_copy_verify_and_restore(self) -> None:
        source = self.source()
        before = {p.relative_to(source): p.read_bytes() for p in source.rglob("*") if p.is_file()}
        words = ["--data.name", "folder", "--data.root", "mine", "--attack.rate", "0.25"]
        answer = say("poison", *words, "--out", "p", "--copy", "theirs")
        assert answer.code == 0, answer.err
        assert "segdoor restore theirs" in answer.out
        assert "17 files as written, 4 of them poisoned" in say("verify", "theirs").out
        assert say("restore", "theirs").code == 0
        copy = Path("theirs")
        after = {p.relative_to(copy): p.read_bytes() for p in copy.rglob("*") if p.is_file()}
        assert after == before

    def test_a_copy_at_the_training_size(self) -> None:
        from PIL import Image as PillowImage

        source = self.source()
        before = {p.relative_to(source): p.read_bytes() for p in source.rglob("*") if p.is_file()}
        words = ["--data.name", "folder", "--data.root", "mine", "--data.size", "40", "56"]
        words += ["--attack.rate", "0.25", "--attack.trigger.size", "5", "--out", "p"]
        assert "Nothing was written" in say("poison", *words, "--copy", "small", "--dry-run").out
        assert not Path("small").exists()
        answer = say("poison", *words, "--copy", "small")
        assert answer.code == 0, answer.err
        assert "All scenes at 40x56, of train (8)" in answer.out
        assert {PillowImage.open(p).size for p in Path("small").rglob("*.png")} == {(56, 40)}
        assert "must not exist yet" in say("poison", *words, "--copy", "small").complaint
        again = say("poison", *words, "--copy", "small", "--replace")
        assert again.code == 0, again.err
        said = say("verify", "small", "--source", "mine").out
        assert "17 files as written, 4 of them poisoned" in said
        assert "All scenes at 40x56, of train (8)" in said
        label = next(Path("mine/labels/train").iterdir())
        label.rename("kept.png")
        answer = say("verify", "small", "--source", "mine")
        assert answer.code == 2
        assert f"missing or edited in the source: labels/train/{label.name}" in answer.out
        assert "4 files of small are clean again" in say("restore", "small").out
        Path("kept.png").rename(label)
        after = {p.relative_to(source): p.read_bytes() for p in source.rglob("*") if p.is_file()}
        assert after == before

    def test_an_edited_copy_is_named_and_not_restored(self) -> None:
        self.source()
        words = ["--data.name", "folder", "--data.root", "mine", "--attack.rate", "0.25"]
        say("poison", *words, "--out", "p", "--copy", "theirs")
        Path("theirs/more.txt").write_text("mine")
        answer = say("verify", "theirs")
        assert answer.code == 2
        assert "added: more.txt" in answer.out
        assert say("restore", "theirs").code == 2

    def test_the_street_has_no_files_to_copy(self) -> None:
        answer = say("poison", *TINY, "--out", "p", "--copy", "theirs")
        assert answer.code == 2
        assert "must be a data set of files" in answer.err

    def test_a_folder_that_is_no_copy_is_explained(self) -> None:
        Path("plain").mkdir()
        for verb in ("verify", "restore"):
            answer = say(verb, "plain")
            assert answer.code == 2
            assert "manifest.jsonl" in answer.err

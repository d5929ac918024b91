"""What can be wrong with a call of ``segdoor repair``, on a run of a stranger's network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bad_input.place import DATA, NETWORK, Complaint, leftovers, tree
from recorded import write_study
from segdoor.record import load_record
from shell import say

CALL = f"repair run {NETWORK} --with finetune:1.0,epochs=1"


@dataclass(frozen=True)
class Case:
    """How to break something, what to call, and what must be said."""

    says: Complaint
    words: str = CALL
    breaks: Callable[[], object] = lambda: None
    code: int = 2


def gone(path: str) -> Callable[[], object]:
    return lambda: Path(path).unlink()


def cut(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[:300])


def moved() -> None:
    Path("mine").rename("theirs")


def edited(**changes: object) -> None:
    content = json.loads(Path("run/record.json").read_text())
    Path("run/record.json").write_text(json.dumps(content | changes))


def study_file() -> Path:
    write_study(Path("study"))
    return next(Path("study").glob("*.study.json"))


def repainted() -> None:
    first = min(Path("mine/images/train").iterdir())
    shutil.copy(min(Path("mine/images/test").iterdir()), first)


CASES = {
    "no repair is named": Case(
        Complaint("--with", "must name a repair", "", "--with prune:30"), "repair run"
    ),
    "the repair is unknown": Case(
        Complaint(
            "--with",
            "must name a known repair",
            "forget",
            "Known: finetune, prune, fine_prune, clp, ft_sam, anp, bnp, rnp, i_bau, nad, region_adversarial, npd; write your own as package.module:Class.",
        ),
        "repair run --with forget:3",
    ),
    "a number is none": Case(
        Complaint("--with prune:many: channels", "should be a valid integer", "many", "Give"),
        "repair run --with prune:many",
    ),
    "a share is too large": Case(
        Complaint("--with finetune:3: share", "less than or equal to 1", "3", "Give a number"),
        "repair run --with finetune:3",
    ),
    "a setting is misspelt": Case(
        Complaint("epoch", "is not a known setting", "epoch", "Did you mean 'epochs'"),
        "repair run --with finetune:0.5,epoch=1",
    ),
    "nothing lies before the classifier": Case(
        Complaint("prune", "must find the classifier", "Conv2d", "use another repair"),
        f"repair run {NETWORK} --with prune:1",
    ),
    "the code of the network is not named": Case(
        Complaint(
            "--model",
            "must name the run's network, because its code is run",
            "bad_input.networks:tiny in the record",
            "add --model bad_input.networks:tiny",
        ),
        "repair run --with finetune:1.0",
    ),
    "the code of another network is named": Case(
        Complaint("--model", "must name the run's", "bad_input.networks:wider", "networks:tiny"),
        "repair run --model bad_input.networks:wider --with finetune:1.0",
    ),
    "the seed is negative": Case(
        Complaint("--seed", "must be at least 0", "-1", "from 0 on"), f"{CALL} --seed -1"
    ),
    "the record's seed is negative": Case(
        Complaint("run/record.json: seed", "greater than or equal to 0", "-4", "Give a whole"),
        breaks=lambda: edited(seed=-4),
    ),
    "there is no run": Case(
        Complaint("elsewhere", "must be a readable record", "No such", "Name a run's folder."),
        "repair elsewhere --with finetune:1.0",
    ),
    "it is a study": Case(
        Complaint("study", "must be one run", "a study", "Name one of its runs"),
        "repair study --with finetune:1.0",
        breaks=lambda: write_study(Path("study")),
    ),
    "it is the record of a study": Case(
        Complaint("own.study.json", "must be one run", "a study", "Name one of its runs"),
        "repair own.study.json --with finetune:1.0",
        breaks=lambda: shutil.copy(study_file(), "own.study.json"),
    ),
    "it is another folder": Case(
        Complaint(
            "copy/record.json", "must be a readable record", "No such", "Name a run's folder."
        ),
        "repair copy --with finetune:1.0",
    ),
    "the record is damaged": Case(
        Complaint("run/record.json", "must be a readable record", "", "Name a run's"),
        breaks=cut("run/record.json"),
    ),
    "the poisoned weights are missing": Case(
        Complaint("run/poisoned.safetensors", "do not exist", "", "Check the path."),
        breaks=gone("run/poisoned.safetensors"),
    ),
    "the clean weights are missing": Case(
        Complaint("run/clean.safetensors", "do not exist", "", "Check the path."),
        breaks=gone("run/clean.safetensors"),
    ),
    "the weights are damaged": Case(
        Complaint("run/clean.safetensors", "must be an intact file of tensors", "", "damaged"),
        breaks=cut("run/clean.safetensors"),
    ),
    "the plan is missing": Case(
        Complaint("run/plan.jsonl", "must", "", ""), breaks=gone("run/plan.jsonl")
    ),
    "a poisoned test is missing": Case(
        Complaint("run/tests/near.jsonl", "must", "", ""), breaks=gone("run/tests/near.jsonl")
    ),
    "a poisoned test is damaged": Case(
        Complaint("run/tests/near.jsonl", "must be a JSON object", "", "Restore the file."),
        breaks=cut("run/tests/near.jsonl"),
    ),
    "the tables are damaged": Case(
        Complaint("run/tables.npz", "must be an intact file of tables", "", "Restore it."),
        breaks=cut("run/tables.npz"),
    ),
    "the data set has moved": Case(
        Complaint("--root", "must name the folder of the run's data set", "mine", "present folder"),
        breaks=moved,
    ),
    "the scenes have changed": Case(
        Complaint("the training scenes", "must be those of the run", "", "--root"),
        breaks=repainted,
    ),
    "the device is not there": Case(
        Complaint("training.device", "must be a device of this machine", "abacus", "Try"),
        f"{CALL} --device abacus",
        code=3,
    ),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", CASES)
def test_it_is_said_and_nothing_is_changed(name: str) -> None:
    case = CASES[name]
    case.breaks()
    before = tree(".", without=("cache",))
    case.says.check(say(case.words), case.code)
    assert tree(".", without=("cache",)) == before
    assert not leftovers()


@pytest.mark.usefixtures("place")
def test_a_moved_data_set_is_named() -> None:
    moved()
    answer = say(f"{CALL} --root theirs --device cpu")
    assert answer.code == 0, answer.err
    assert "finetune:1.0,epochs=1" in answer.out
    assert "finetune:1.0,epochs=1" in say("show run").out


@pytest.mark.usefixtures("place")
def test_a_strangers_network_that_was_only_examined_is_repaired() -> None:
    deeper = "--model bad_input.networks:deeper"
    trained = say(f"train --data.name folder --data.root mine {deeper} --out theirs "
                  "--training.epochs 1 --training.batch_size 4 --training.threads 1")  # fmt: skip
    assert trained.code == 0, trained.err
    examined = say(f"examine {DATA} {deeper} --weights theirs/clean.safetensors --out exam")
    assert examined.code == 0, examined.err
    answer = say(f"repair exam {deeper} --with prune:2 --with prune:1,layer=0 --json")
    assert answer.code == 0, answer.err
    rows = load_record(Path("exam")).repairs
    assert [(row.repair, row.layer) for row in rows] == [("prune:2", "1"), ("prune:1,layer=0", "0")]
    assert all(row.clean_before is None and row.clean_after is None for row in rows)
    weights = "exam/repaired/prune-2.seed-0/poisoned.safetensors"
    again = say(f"examine {DATA} {deeper} --weights {weights} --out again")
    assert again.code == 0, again.err
    assert load_record(Path("again")).scores.benign.cba == rows[0].poisoned_after.cba
    shutil.copy(weights, "theirs/clean.safetensors")
    Complaint(
        "theirs/clean.safetensors", "must be the weights that the run examined", "", ""
    ).check(say(f"repair exam {deeper} --with prune:3"))


@pytest.mark.usefixtures("place")
def test_code_that_only_a_record_names_is_not_run() -> None:
    Path("theirs.py").write_text("open('harm', 'w').close()\nbuild = None\n")
    content = json.loads(Path("run/record.json").read_text())
    content["config"]["network"]["name"] = "theirs:build"
    Path("run/record.json").write_text(json.dumps(content))
    Complaint("--model", "must name the run's network", "theirs:build", "theirs:build").check(
        say("repair run --with finetune:1.0,epochs=1")
    )
    assert not Path("harm").exists()


@pytest.mark.usefixtures("place")
def test_networks_of_another_run_are_told_apart() -> None:
    other = say(f"run {DATA} {NETWORK} --training.epochs 2 --training.batch_size 4 "
                "--training.threads 1 --training.device cpu --out other")  # fmt: skip
    assert other.code == 0, other.err
    shutil.copy("other/poisoned.safetensors", "run/poisoned.safetensors")
    Complaint("run/poisoned.safetensors", "must be the weights that the run trained", "", "").check(
        say(CALL)
    )

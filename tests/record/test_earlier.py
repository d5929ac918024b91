"""What older versions wrote is read, and digests and names made of it stay."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from recorded import RESULTS
from segdoor.attack.before import attack_before, header_before
from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.component import Component
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.registry import spelled
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.papers.iba.paper import IBA
from segdoor.record import Verdict, earlier, load_record
from segdoor.settings import validated
from segdoor.study.library import load_preset

RUNS = sorted(path.parent for path in RESULTS.glob("*/plan.jsonl"))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_tests_of_older_records_have_the_role_and_the_place_of_their_files(run: Path) -> None:
    told = json.loads((run / "record.json").read_text())
    tests = load_record(run).scores.tests
    assert set(tests) == set(told["scores"]["exams"])
    assert "role" not in told["scores"]["exams"]["near"]
    for name, scores in tests.items():
        header = json.loads((run / "exams" / f"{name}.jsonl").read_text().splitlines()[0])
        placement = PoisonedTest.load(run / "exams" / f"{name}.jsonl").header.placement
        assert scores.role == ("far" if "_" in name else name)
        assert scores.bounds == placement.bounds
        assert scores.placement["kind"] == header["placement"]["strategy"]
        if scores.bounds:
            there = header["placement"]
            assert scores.bounds == (there["lower"], there["upper"])


# Made by the version before there were kinds of placements.
DIGESTS = {
    "plan.jsonl": "c6e5e37b14aeac706eafc9185ff783780e99ff66a5a8c3e3cc0b4ae8a810ef8b",
    "exams/near.jsonl": "704e4b154ecebaf7a4beaa42772e8e90a974df99bde059b6064d44dcb27dfd5f",
    "exams/far_21.1_31.6.jsonl": "9a217473da117b7270fbdda04a6cfd3afedfb3aa0d4d2b68f7563dfee5797c03",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_digests_are_made_of_the_older_form(name: str) -> None:
    path = RESULTS / "camvid-baseline" / name
    file = PoisonPlan.load(path) if name == "plan.jsonl" else PoisonedTest.load(path)
    found = header_before(file.header)
    assert "role" not in json.loads(found)
    assert hashlib.sha256(found.encode()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("strategy", ["random", "nearest", "band"])
def test_an_attack_is_told_in_both_forms(strategy: str) -> None:
    old = {"rate": 0.1, "placement": {"strategy": strategy, "lower": 1.0}}
    new = earlier.attack(old)
    assert new == {"rate": 0.1, "placement": {"kind": strategy, "lower": 1.0}}
    assert earlier.attack(new) == new
    labels_then = {"victims": ["car"], "target": "road", "prl": PRL}
    assert attack_before(dict(new), (Hide(),), brief=False) == {**old, **labels_then}  # type: ignore[call-overload]
    usual = {"lower": 1.0} if strategy == "random" else old["placement"]
    assert attack_before(dict(new), (Hide(),), brief=True) == {**old, "placement": usual}  # type: ignore[call-overload]
    younger = {"placement": {"kind": "fixed"}, "trigger": {"kind": "blend"}}
    assert attack_before(dict(younger), (Hide(),), brief=True) == younger


PRL = {
    "num_pixels": 0, "pool": "scene", "scope": "poisoned", "positions": "per_scene",
    "on_ignored": False, "order": "after",
}  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "told", "brief"),
    [
        ((Hide(),), {"victims": ["car"], "target": "road", "prl": PRL}, {}),
        (
            (Hide(victims=("bus",), target="sky"),),
            {"victims": ["bus"], "target": "sky", "prl": PRL},
            {"victims": ["bus"], "target": "sky"},
        ),
        (
            (Scatter(num_pixels=9), Hide()),
            {
                "victims": ["car"], "target": "road",
                "prl": {**PRL, "num_pixels": 9, "order": "before"},
            },
            {"prl": {"num_pixels": 9, "order": "before"}},
        ),
    ],
    ids=str,
)  # fmt: skip
def test_label_changes_of_an_attack_are_told_in_both_forms(
    labels: tuple[Any, ...], told: dict[str, Any], brief: dict[str, Any]
) -> None:
    config = validated(AttackConfig, told, source="a record", recorded=True)
    assert config.labels == labels
    tree = {"rate": 0.1, "labels": config.model_dump(mode="json")["labels"]}
    assert attack_before(tree, labels, brief=False) == {"rate": 0.1, **told}
    assert attack_before(tree, labels, brief=True) == {"rate": 0.1, **brief}


def test_label_changes_that_are_younger_are_told_as_today() -> None:
    tree: dict[str, Any] = {"rate": 0.1, "labels": [{"kind": "component"}]}
    for brief in (False, True):
        assert attack_before(tree, (Component(),), brief=brief) == tree


@pytest.mark.parametrize(
    ("before", "labels"),
    [
        (["attack.prl.pool=any"], "[hide, {kind: scatter, pool: any}]"),
        (["attack.prl.order=before"], "[{kind: scatter}, hide]"),
        (
            ["attack.prl.pool=class:road", "attack.prl.scope=all", "attack.prl.order=after"],
            "[hide, {kind: scatter, pool: class:road, scope: all}]",
        ),
    ],
)
def test_changes_of_older_studies_can_be_given_today(before: list[str], labels: str) -> None:
    told = {"schema_version": 2, "changes": [*before, "seeds=[0]"]}
    changes: Any = earlier.study_record(told)["changes"]
    assert changes == ["seeds=[0]", f"attack.labels={labels}"]
    given = load_preset(IBA, "street", changes).attack.tree()["labels"]
    assert given == spelled(yaml.safe_load(labels))


def test_changes_of_older_studies_name_the_kind() -> None:
    told = {
        "schema_version": 2,
        "changes": ["attack.placement.strategy=band", "exams.seed=3", "training.epochs=1", 3],
        "cells": [{"exam": "near", "labels": {"exam": 1}}],
    }
    assert earlier.study_record(dict(told)) == {
        "schema_version": 4,
        "changes": ["attack.placement.kind=band", "tests.seed=3", "training.epochs=1", 3],
        "cells": [{"test": "near", "labels": {"exam": 1}}],
    }
    assert earlier.study_record({**told, "schema_version": 3})["cells"] == told["cells"]


@pytest.mark.parametrize(
    ("verdict", "missing", "now"),
    [
        ("holds", [], "undecided"),
        ("fails", [], "undecided"),
        ("fails", ["PBA"], "not measured"),
        ("not measured", ["PBA"], "not measured"),
    ],
)
def test_verdicts_by_the_means_alone_are_undecided_now(
    verdict: str, missing: list[str], now: str
) -> None:
    then = {
        "number": 1, "statement": "a > b", "reading": "paper", "judged_on": "near",
        "verdict": verdict, "missing": missing,
        "evidence": [
            {"statement": "0.8 > 0.7", "holds": True, "spread": 0.1, "runs": ["r"]},
            {"statement": "0.7 > 0.8", "holds": False, "spread": None},
        ],
    }  # fmt: skip
    told: Any = earlier.study_record({"schema_version": 3, "verdicts": [then]})["verdicts"]
    (found,) = (validated(Verdict, entry, source="a record") for entry in told)
    assert (found.verdict, found.lacks) == (now, "lacks PBA" if missing else "")
    assert [part.outcome for part in found.evidence] == ["undecided", "undecided"]
    assert [part.remark.rpartition(", ")[2] for part in found.evidence] == [
        "which agreed with the claim",
        "which disagreed with the claim",
    ]
    assert found.evidence[0].runs == ("r",)
    assert [part.difference for part in found.evidence] == [None, None]


def test_strange_verdicts_stay() -> None:
    strange: list[Any] = [3, {"verdict": "holds", "evidence": [4, {"holds": "yes"}]}, {}]
    told: Any = earlier.study_record({"schema_version": 3, "verdicts": list(strange)})["verdicts"]
    assert told[0] == 3
    assert told[1]["evidence"] == strange[1]["evidence"]
    assert told[2] == {}


STRANGE: list[dict[str, Any]] = [
    {},
    {"config": None, "scores": []},
    {"config": {"attack": 3}, "config_given": {"attack": {"placement": 7}}},
    {"scores": {"tests": {"near": 1, "far_a_b": {}, "mine": {}}}, "config": {"tests": 1}},
    {"name": 5, "placement": None, "attack": [], "changes": 4},
]


@pytest.mark.parametrize("content", STRANGE, ids=str)
def test_what_is_not_as_expected_stays(content: dict[str, Any]) -> None:
    for read in (
        earlier.run_record,
        earlier.study_record,
        earlier.plan_header,
        earlier.header_of_test,
    ):
        assert read(dict(content)) == content
        older = {**content, "schema_version": 2}
        assert read(dict(older)) in (older, *({**content, "schema_version": n} for n in (3, 4)))


def test_bounds_come_from_the_settings_or_else_from_the_name() -> None:
    def placement(name: str, **exams: object) -> object:
        scores, config = {"exams": {name: {}}}, {"exams": exams}
        told: Any = earlier.run_record({"schema_version": 2, "scores": scores, "config": config})
        return told["scores"]["tests"][name]["placement"]

    exact = {"kind": "band", "lower": 21.09375, "upper": 31.640625, "draw": "position"}
    assert placement("far_21.1_31.6", far=[21.09375, 31.640625]) == exact
    rounded = {"kind": "band", "lower": 21.1, "upper": 31.6, "draw": "position"}
    assert placement("far_21.1_31.6", far=[10**400, True, "x"]) == rounded
    near = {"kind": "band", "lower": 0.0, "upper": 4.0, "draw": "object"}
    assert placement("near", near=[0, 4], draw="object") == near
    assert placement("nearest") == {"kind": "nearest"}
    assert placement("on_victim", near=[0, 4]) == {"kind": "random"}

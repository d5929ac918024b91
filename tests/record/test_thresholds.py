"""Thresholds of pipelines: what is understood, and what is refused before any work begins."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

import pytest
import yaml

from commands import options_of
from segdoor.cli.app import make_app
from segdoor.errors import ConfigError
from segdoor.record.thresholds import (
    FIGURES,
    Names,
    Place,
    Threshold,
    place_of,
    read_thresholds,
)
from segdoor.scores.metrics.registry import METRICS

NAMES = Names(
    tests={"near": "near", "far_5_9": "far", "far_9_12": "far", "anywhere": "anywhere"},
    victims=("car", "a:b"),
    classes=("road", "car", "a:b", "sky"),
    figures=("asr", "pba", "cba", "victim_recovery", "vanished_objects"),
)


def one(text: str) -> Threshold:
    (threshold,) = read_thresholds([text])
    return threshold


@pytest.mark.parametrize(
    ("text", "figure", "sign", "value", "where"),
    [
        ("asr>0.3", "asr", ">", 0.3, ""),
        (" asr : near >= .3 ", "asr", ">=", 0.3, "near"),
        ("iou:traffic light<0.5", "iou", "<", 0.5, "traffic light"),
        ("iou:x<y<=5e-1", "iou", "<=", 0.5, "x<y"),
        ("asr:near:a:b>0", "asr", ">", 0.0, "near:a:b"),
    ],
)
def test_what_is_understood(text: str, figure: str, sign: str, value: float, where: str) -> None:
    assert one(text) == Threshold(text.strip(), figure, sign, value, where)


def test_one_given_twice_counts_once() -> None:
    assert len(read_thresholds(["asr>0.3", "asr>0.3", "asr>0.4"])) == 2


def test_every_metric_can_have_a_threshold() -> None:
    assert {*METRICS.known, "iou"} == set(FIGURES)
    assert all(one(f"{name}>0.5").figure == name for name in FIGURES)


@pytest.mark.parametrize(
    ("text", "rule", "remedy"),
    [
        ("asr", "must be FIGURE>VALUE", "Quote it"),
        ("", "must be FIGURE>VALUE", "Quote it"),
        ("asr=0.3", "must be FIGURE>VALUE", "Quote it"),
        ("asr>0.3 cba<0.6", "must be FIGURE>VALUE", "once per threshold"),
        ("asr>", "must compare with a share", "0.3 for 30 %"),
        ("asr>30", "must compare with a share", "0.3 for 30 %"),
        ("asr>30%", "must compare with a share", "0.3 for 30 %"),
        ("asr>-0.1", "must compare with a share", "0.3 for 30 %"),
        ("asr>nan", "must compare with a share", "0.3 for 30 %"),
        ("cba<inf", "must compare with a share", "0.3 for 30 %"),
        ("asr>1", "must be a value that can be crossed", "Write >="),
        ("cba<0", "must be a value that can be crossed", "Write <="),
        ("asd>0.3", "must name a figure", "Did you mean 'asr'? Known: asr, pba"),
        ("zzz>0.3", "must name a figure", "Known: asr, pba"),
    ],
)
def test_what_is_refused_at_once(text: str, rule: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_thresholds(["cba<0.5", text])
    assert refused.value.culprit == "--fail-on"
    assert rule in refused.value.rule
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "tests", "classes"),
    [
        ("asr>0.3", ("near", "far_5_9", "far_9_12", "anywhere"), (None,)),
        ("asr:near>0.3", ("near",), (None,)),
        ("asr:far>0.3", ("far_5_9", "far_9_12"), (None,)),
        ("pba:far_9_12<0.3", ("far_9_12",), (None,)),
        ("asr:benign>0.3", ("benign",), (None,)),
        ("asr:car>0.3", ("near", "far_5_9", "far_9_12", "anywhere"), ("car",)),
        ("vanished_objects:near:car>0.3", ("near",), ("car",)),
        ("asr:benign:a:b>0.3", ("benign",), ("a:b",)),
        ("asr:a:b>0.3", ("near", "far_5_9", "far_9_12", "anywhere"), ("a:b",)),
        ("cba<0.6", ("benign",), (None,)),
        ("iou:sky<0.6", ("benign",), ("sky",)),
        ("iou<0.6", ("benign",), ("road", "car", "a:b", "sky")),
    ],
)
def test_where_a_threshold_is_judged(
    text: str, tests: tuple[str, ...], classes: tuple[str | None, ...]
) -> None:
    assert place_of(one(text), NAMES) == Place(tests, classes)


@pytest.mark.parametrize(
    ("text", "rule", "remedy"),
    [
        ("asr:neer>0.3", "must name a test", "Did you mean 'near'?"),
        ("asr:sky>0.3", "must name a test, a victim class", "Known: near, far_5_9"),
        ("asr:near:sky>0.3", "must name a test, a victim class", "Known: near, far_5_9"),
        ("iou:raod<0.3", "must name a class of the data set", "Did you mean 'road'?"),
        ("cba:car<0.3", "cba is over all classes", "Leave out ':car', or write iou:CLASS<VALUE."),
        ("pba:near:car<0.3", "pba is over several classes", "or write iou:CLASS<VALUE"),
        ("pba:benign<0.3", "pba is one of poisoned tests", "or write pba:TEST"),
        ("kept_victims<0.3", "must be a figure that this attack has", "Available: asr, pba"),
    ],
)
def test_what_a_run_does_not_have(text: str, rule: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as refused:
        place_of(one(text), NAMES)
    assert rule in refused.value.rule
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("sign", "crossing"),
    [(">", [0.31]), (">=", [0.3, 0.31]), ("<", [0.29]), ("<=", [0.29, 0.3])],
)
def test_which_figures_cross(sign: str, crossing: list[float]) -> None:
    threshold = one(f"asr{sign}0.3")
    figures = [0.29, 0.3, 0.31, math.nan]
    assert [figure for figure in figures if threshold.crossed_by(figure)] == crossing


def test_the_thresholds_in_the_documentation_are_understood() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    texts = [
        *re.findall(r'--fail-on "([^"]+)"', page),
        *re.findall(r"`([a-z_:]+[<>][\d.]+)`", page),
    ]
    assert len(set(texts)) >= 10
    for threshold in read_thresholds(texts):
        place_of(threshold, NAMES)


def test_the_workflow_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    (code,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    workflow = yaml.safe_load(code)
    # YAML takes the key on for true.
    assert set(workflow) == {"name", True, "permissions", "jobs"}
    assert workflow["permissions"]["security-events"] == "write"
    steps = workflow["jobs"]["examine"]["steps"]
    assert all(len({"uses", "run"} & set(step)) == 1 for step in steps)
    ours = [step["run"] for step in steps if step.get("run", "").startswith("segdoor")]
    verbs = {command.split()[1]: command for command in ours}
    assert list(verbs) == ["data", "examine"]
    for verb, command in verbs.items():
        known = {"--attack.trigger", *options_of(make_app(), verb)}
        assert {word for word in shlex.split(command) if word.startswith("--")} <= known
        (sarif,) = re.findall(r"--sarif (\S+)", command)
        assert "\n" not in command.strip()
        assert sarif.endswith(".sarif")

"""A study over any settings: what runs there are, what is refused, and what comes of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from segdoor.errors import ConfigError
from segdoor.papers.registry import paper_of
from segdoor.study.grid import in_a_word
from segdoor.study.plan import StudyPlan, make_plan
from shell import say

GRID: Mapping[str, list[object]] = {
    "attack.rate": [0.1, 0.5],
    "attack.trigger": ["sticker:blossom", {"kind": "sinusoid", "frequency": 3}],
    "training.learning_rate": [0.01, 0.02, 0.03],
}
LANE = """
title: A short lane of built-in scenes
stands_for: cityscapes
data: {name: street, size: [64, 96], num_train: 8, num_test: 4}
networks: {deeplabv3: null, pspnet: {name: small}}
training: {epochs: 1, batch_size: 4, threads: 1, learning_rate: 0.5}
seeds: [3, 4]
"""


def plan_of(folder: Path, **study: object) -> StudyPlan:
    path, lane = folder / "mine.yaml", folder / "lane.yaml"
    path.write_text(yaml.safe_dump({"title": "t", "shows": "Mine", **study}, sort_keys=False))
    lane.write_text(LANE)
    return make_plan(paper_of(str(path)), str(path), str(lane), out=folder / "out")


def test_there_is_a_run_for_every_combination_and_seed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, grid=GRID)
    found = {
        (
            run.config.attack.rate,
            str(run.config.attack.trigger).split(",")[0].split(":")[0],
            run.config.training.learning_rate,
            run.seed,
        )
        for run in plan.runs
    }
    kinds = ["sticker", "sinusoid"]
    assert found == set(itertools.product([0.1, 0.5], kinds, [0.01, 0.02, 0.03], [3, 4]))
    assert len({run.key for run in plan.runs}) == len(plan.runs) == 24
    assert {run.config.network.name for run in plan.runs} == {"small"}
    assert {run.config.training.epochs for run in plan.runs} == {1}


def test_axes_are_told_by_their_dotted_names(tmp_path: Path) -> None:
    run = plan_of(tmp_path, grid=GRID).runs[-1]
    assert run.point.model_dump() == {
        "attack.rate": 0.5,
        "attack.trigger": "kind=sinusoid,frequency=3",
        "training.learning_rate": 0.03,
    }
    assert hash(run.point) == hash(run.point.model_copy())
    assert run.point != run.point.clean()


def test_a_network_is_one_of_the_preset_or_one_that_comes_along(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, grid={"network": ["pspnet", "deeplabv3"]})
    assert {run.config.network.name for run in plan.runs} == {"small", "deeplabv3"}


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({"attack.raet": [0.1]}, "is not a known setting"),
        ({"attack.rate": [1.5]}, "less than or equal to 1"),
        ({"attack.rate": []}, "must have at least one value"),
        ({"seed": [1]}, "--seeds"),
        ({"reading": ["official"]}, "--reading"),
        ({"data.root": ["/"]}, "--root"),
        ({}, "at least 1"),
    ],
)
def test_what_is_no_axis_is_refused(tmp_path: Path, grid: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_of(tmp_path, grid=grid)


IMPOSSIBLE: Mapping[str, list[object]] = {
    "method": ["baseline", "nni"], "attack.trigger": ["sticker", "sinusoid"],
}  # fmt: skip


def test_an_impossible_point_is_named_with_the_way_to_leave_it_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as why:
        plan_of(tmp_path, grid=IMPOSSIBLE)
    assert "method nni, attack.trigger sinusoid" in why.value.remedy
    assert "'without'" in why.value.remedy
    plan = plan_of(
        tmp_path, grid=IMPOSSIBLE, without=[{"method": "nni", "attack.trigger": "sinusoid"}]
    )
    found = {(run.config.method, run.config.attack.trigger.kind) for run in plan.runs}
    assert found == {("baseline", "sticker"), ("baseline", "sinusoid"), ("nni", "sticker")}


@pytest.mark.parametrize("apart", [{"method": "prl"}, {"attack.rate": 0.1}])
def test_only_points_of_the_grid_are_left_out(tmp_path: Path, apart: object) -> None:
    with pytest.raises(ConfigError, match="must name axes and values of the grid"):
        plan_of(tmp_path, grid=IMPOSSIBLE, without=[apart])


def test_it_claims_nothing_of_a_paper(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be claims of the paper"):
        plan_of(tmp_path, grid=GRID, claims=[1])


@pytest.mark.parametrize(
    ("value", "word"), [(True, True), (None, None), ([1, "b"], "1+b"), ({"a": [1, 2]}, "a=1+2")]
)
def test_values_have_a_word(value: object, word: object) -> None:
    assert in_a_word(value) == word


def test_it_is_run_recorded_and_shown(own_folder: Path) -> None:
    (own_folder / "lane.yaml").write_text(LANE)
    (own_folder / "mine.yaml").write_text(
        "title: Two rates\nshows: Mine\ngrid: {attack.rate: [0.25, 0.5]}\nwith: ['prune:2']\n"
    )
    done = say("study run mine.yaml --preset lane.yaml --seeds 3 --out out --jobs 1")
    assert done.code == 0, done.err
    assert say("study run mine.yaml --preset lane.yaml --seeds 3 --out out").code == 0
    (path,) = (own_folder / "out").glob("*.study.json")
    told = json.loads(path.read_text())
    assert told["paper"] == "none"
    assert told["axes"] == {"attack.rate": [0.25, 0.5]}
    assert [run["state"] for run in told["runs"] if run["seed"] == 3] == ["done", "done"]
    for run in (run for run in told["runs"] if run["seed"] == 3):
        record = json.loads((path.parent / run["record"]).read_text())
        assert record["config"]["attack"]["rate"] == run["axes"]["attack.rate"]
        assert [repair["repair"] for repair in record["repairs"]] == ["prune:2"]
    done = say("study report mine.yaml --preset lane.yaml --seeds 3 --out out -o page.html")
    assert done.code == 0, done.err
    page = (own_folder / "page.html").read_text()
    assert "poisoning rate" in page
    assert "Two rates" in page
    assert "ASR, paper" not in page
    shown = say("show", path)
    assert shown.code == 0, shown.err
    assert "clean model" in shown.out
    assert ", paper" not in shown.out.partition("clean model")[0]
    narrowed = say("study status mine.yaml --preset lane.yaml --out out --only attack.rate=0.5")
    assert narrowed.code == 0, narrowed.err


def test_a_value_with_a_comma_is_chosen_in_quotes(own_folder: Path) -> None:
    plan_of(own_folder, grid={"attack.trigger": ["sticker:smiley,size=7", "blend"]})
    words = ["study", "status", "mine.yaml", "--preset", "lane.yaml", "--out", "out", "--only"]
    told = say(*words, "attack.trigger='sticker:smiley,size=7'")
    assert "2 waiting" in told.out, told.err
    assert "4 waiting" in say(*words, "attack.trigger=blend,'sticker:smiley,size=7'").out
    refused = say(*words, "attack.trigger=sticker:smiley,size=7")
    assert refused.code == 2
    assert "Known: blend, 'sticker:smiley,size=7'." in refused.err

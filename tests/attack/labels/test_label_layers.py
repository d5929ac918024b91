"""Victims, target and label changes said in several places, and as they were said before."""

from __future__ import annotations

from typing import Any

import pytest

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.before import labels_before
from segdoor.attack.labels.component import Component
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.errors import ConfigError
from segdoor.experiment.config import config_from
from segdoor.experiment.wishes import AttackWishes, wishes_from
from segdoor.papers.iba.reading import resolve
from segdoor.settings import validated

OFFICIAL = {
    "pool": "scene_as_given", "scope": "all", "positions": "per_num_pixels", "on_ignored": True,
}  # fmt: skip
PAPER_SIZE = (512, 1024)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (Hide(),)),
        ({"method": "prl"}, (Hide(), Scatter(num_pixels=100))),
        (
            {"method": "prl", "attack": {"victims": ["bus"]}},
            (Hide(victims=("bus",)), Scatter(num_pixels=100)),
        ),
        (
            {"method": "prl", "attack": {"labels": ["hide", "scatter,pool=any"]}},
            (Hide(), Scatter(num_pixels=100, pool="any")),
        ),
        ({"method": "prl", "attack": {"labels": ["hide:bus"]}}, (Hide(victims=("bus",)),)),
        (
            {"reading": "official", "attack": {"labels": ["hide", "scatter:500"]}},
            (Hide(), Scatter(num_pixels=500, **OFFICIAL)),
        ),
        (
            {"reading": "official", "method": "prl", "attack": {"target": "sky"}},
            (Scatter(num_pixels=100_000, **OFFICIAL), Hide(target="sky")),
        ),
        (
            {"reading": "official", "method": "prl", "attack": {"labels": "hide,target=sky"}},
            (Hide(target="sky"),),
        ),
        ({"preset": "voc"}, (Hide(victims=("person",), target="background"),)),
        (
            {"preset": "voc", "attack": {"labels": ["hide", "scatter:7"]}},
            (Hide(victims=("person",), target="background"), Scatter(num_pixels=7)),
        ),
        (
            {"preset": "voc", "attack": {"labels": ["component"], "victims": ["dog"]}},
            (Component(victims=("dog",), target="background"),),
        ),
        (
            {"attack": {"labels": ["hide:bus,target=sky", "hide:car"]}},
            (Hide(victims=("bus",), target="sky"), Hide(victims=("car",))),
        ),
    ],
    ids=str,
)
def test_what_a_change_does_not_say_it_takes_from_the_layers_below(
    given: dict[str, Any], expected: tuple[object, ...]
) -> None:
    wishes = wishes_from(given)
    assert resolve(wishes, PAPER_SIZE).attack.labels == expected
    # What was given is told again as it was given, and means the same.
    again = wishes_from(wishes.model_dump(mode="json", exclude_defaults=True))
    assert again.tree() == wishes.tree()
    assert set(wishes.attack.tree()) == set(given.get("attack", {}))
    assert resolve(again, PAPER_SIZE) == resolve(wishes, PAPER_SIZE)


def test_the_shorthand_says_the_same_and_only_that_is_told_as_set() -> None:
    short = AttackConfig(victims=("bus", "car"), target="sky")
    assert short == AttackConfig(labels=(Hide(victims=("bus", "car"), target="sky"),))
    assert (short.victims, short.target) == (("bus", "car"), "sky")
    said = {"victims": ["bus", "car"], "target": "sky"}
    assert short.model_dump(mode="json", exclude_unset=True) == {
        "labels": [{"kind": "hide", **said}]
    }
    wishes = AttackWishes.model_validate(said)
    assert wishes.model_dump(mode="json", exclude_defaults=True) == said
    assert wishes.alone() == short
    both = AttackConfig(labels=(Hide(victims=("bus",)), Scatter(num_pixels=3)), victims=("bus",))
    assert both.labels == (Hide(victims=("bus",)), Scatter(num_pixels=3))
    two = AttackConfig(labels=(Hide(), Hide(victims=("bus",), target="sky")))
    assert two.pairs == (("car", "road"), ("bus", "sky"))
    assert (two.victims, two.target) == (("car", "bus"), "road")
    with pytest.raises((AttributeError, ValueError)):
        short.victims = ("car",)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ({"victims": ["bus"], "labels": ["hide:car"]}, "attack.victims"),
        ({"target": "sky", "labels": ["component,target=road"]}, "attack.target"),
    ],
)
def test_two_words_on_one_thing_are_refused(given: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ConfigError, match="in one place") as why:
        validated(AttackConfig, given, source="x")
    assert why.value.culprit == culprit


BEFORE: list[tuple[dict[str, Any], tuple[object, ...]]] = [
    ({"victims": ["car"], "target": "road", "prl": {"num_pixels": 0}}, (Hide(),)),
    ({"victims": ["bus"], "prl": {"num_pixels": 9, "pool": "any"}},
     (Hide(victims=("bus",)), Scatter(num_pixels=9, pool="any"))),
    ({"prl": {"num_pixels": 9, "order": "before"}}, (Scatter(num_pixels=9), Hide())),
    ({"prl": {"num_pixels": 0, "order": "before", **OFFICIAL}}, (Scatter(**OFFICIAL), Hide())),
    ({"target": "sky"}, (Hide(target="sky"),)),
]  # fmt: skip


@pytest.mark.parametrize(("old", "labels"), BEFORE, ids=str)
def test_files_of_before_are_read_and_told_alike(
    old: dict[str, Any], labels: tuple[object, ...]
) -> None:
    config = validated(AttackConfig, old, source="a record", recorded=True)
    assert config.labels == labels
    usual = {
        "num_pixels": 0, "pool": "scene", "scope": "poisoned", "positions": "per_scene",
        "on_ignored": False, "order": "after",
    }  # fmt: skip
    prl = {**usual, **old.get("prl", {})}
    whole = {"victims": ["car"], "target": "road", **old, "prl": prl}
    assert labels_before(config.labels) == whole
    brief = labels_before(config.labels, brief=True)
    assert brief is not None
    assert {**whole, **brief, "prl": {**usual, **brief.get("prl", {})}} == whole  # pyright: ignore[reportGeneralTypeIssues]
    for name, value in brief.items():
        assert value != {"victims": ["car"], "target": "road", "prl": {}}[name]


def test_what_could_not_be_said_before_is_told_as_today() -> None:
    for labels in (
        (Component(),),
        (Hide(), Hide(victims=("bus",))),
        (Hide(), Scatter(), Scatter()),
    ):
        assert labels_before(labels) is None


def test_a_users_old_setting_is_refused_with_its_new_form() -> None:
    with pytest.raises(ConfigError) as why:
        config_from({"attack": {"prl": {"num_pixels": 70}}}, source="mine.yaml")
    assert why.value.culprit == "mine.yaml: attack.prl"
    assert "attack.labels: [hide, scatter:70]" in str(why.value)

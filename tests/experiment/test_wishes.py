"""Wishes and facts are two types of the same settings: here both sides are compared."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np
import pytest

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.merging import SHORTHAND
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.lengths import Lengths
from segdoor.attack.placements.band import Band
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.planning import plan_poison
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.errors import ConfigError
from segdoor.experiment import wishes as module
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.wishes import AttackWishes, ExperimentWishes, wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.plugins import Plugin
from segdoor.settings import Settings, Wishes
from strategies import CLASSES, MemoryDataset

ALL = [
    kind
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Wishes) and kind is not Wishes
]


def bare(annotation: Any) -> Any:
    """Return a type without None and without rules; a section of wishes is that of its facts."""
    if isinstance(annotation, type) and issubclass(annotation, Wishes):
        return annotation.facts
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return frozenset(bare(part) for part in get_args(annotation) if part is not NoneType)
    return annotation


def alike(one: Any, other: Any) -> bool:
    parts = [
        found if isinstance(found, frozenset) else {found} for found in map(bare, (one, other))
    ]
    return parts[0] == parts[1]


# Wishes for these may also be texts, or mappings that leave settings to what follows.
MERGED = {"placement", "labels"}


def one_of(annotation: Any) -> frozenset[Any]:
    """Return the types that a value may have, or that the entries of a list may have."""
    found = bare(annotation)
    if isinstance(found, frozenset):
        return frozenset[Any]().union(*map(one_of, found))
    if get_origin(found) in (Sequence, tuple):
        return one_of(get_args(found)[0])
    return frozenset({found})


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_wishes_have_the_fields_types_and_help_of_their_facts(kind: type[Wishes]) -> None:
    facts = kind.facts.model_fields
    short = SHORTHAND if kind is AttackWishes else ()
    assert [name for name in kind.model_fields if name not in short] == list(facts)
    assert set(kind.follows) <= {*facts, *short}
    for name, field in kind.model_fields.items():
        if name in short:
            continue
        if kind is AttackWishes and name in MERGED:
            assert one_of(facts[name].annotation) < one_of(field.annotation), name
        else:
            assert alike(field.annotation, facts[name].annotation), name
        assert (field.description or "").startswith(facts[name].description or "?"), name
        section = isinstance(field.annotation, type) and issubclass(field.annotation, Wishes)
        plain = kind is ExperimentWishes and name in {"title", "seed", "reading", "method"}
        assert field.default == (
            field.annotation() if section else facts[name].default if plain else None
        ), name


@pytest.mark.parametrize("name", SHORTHAND)
def test_the_shorthand_is_that_of_hide(name: str) -> None:
    wish, fact = AttackWishes.model_fields[name], Hide.model_fields[name]
    assert wish.default is None
    assert alike(wish.annotation, fact.annotation)
    told = (fact.description or "").replace(".", ";").partition(";")[0]
    assert told
    assert (wish.description or "").startswith(f"{told}. Short for")
    assert name in AttackWishes.follows


def test_a_wish_for_parts_of_an_attack_means_those_parts() -> None:
    placement, labels = Band(lower=2, upper=9, draw="object"), (Hide(target="sky"), Scatter())
    wishes = AttackWishes.model_validate({"placement": placement, "labels": labels})
    assert wishes.alone() == AttackConfig(placement=placement, labels=labels)
    assert AttackWishes.model_validate(wishes.tree()) == wishes
    assert AttackWishes.model_validate({"labels": labels[0]}).alone() == AttackConfig(
        labels=labels[:1]
    )


def test_every_section_of_the_facts_has_wishes() -> None:
    def sections(facts: type[Settings]) -> set[type[Settings]]:
        kinds = [field.annotation for field in facts.model_fields.values()]
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings)]
        return {facts}.union(*(sections(kind) for kind in inner if not issubclass(kind, Plugin)))

    assert {kind.facts for kind in ALL} == sections(ExperimentConfig)


def test_help_says_what_a_setting_follows_from_or_its_default() -> None:
    help_of = {name: field.description for name, field in module.AttackWishes.model_fields.items()}
    assert (help_of["without_room"] or "").endswith("[default: from reading]")
    assert (help_of["rate"] or "").endswith("[default: 0.2]")


def test_null_means_that_a_setting_follows() -> None:
    given = {"attack": {"rate": None, "rules": {"margin": None}}, "training": None, "seed": None}
    assert wishes_from(given) == ExperimentWishes()
    assert wishes_from(given).tree() == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"attack": {"rate": 2}}, r"attack\.rate: input should be less than or equal to 1"),
        ({"attack": {"rat": 2}}, r"attack\.rat: .*Did you mean 'rate'"),
        (
            {"attack": {"victims": ["road"]}},
            r"attack\.target: must not be a victim class \(found: road",
        ),
        ({"network": {"std": [0, 1, 1]}}, r"network\.std: std must be greater than 0"),
        ({"tests": {"far": [3]}}, "far needs two edges"),
    ],
)
def test_wishes_are_refused_in_the_words_of_the_facts(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        wishes_from(given, source="run.yaml")


def street(height: int, number: int = 8) -> StreetDataset:
    return StreetDataset(split="train", num_scenes=number, height=height, width=2 * height)


def test_python_and_a_run_take_the_same_lengths() -> None:
    scenes = street(64)
    plan = plan_poison(scenes, AttackConfig(rate=0.25))
    config = asked(ExperimentWishes()).facts_for(scenes)
    assert plan.header.attack == config.attack.model_copy(update={"rate": 0.25})
    assert plan.trigger == Sticker(size=7)
    tests = plan_tests(
        scenes, PoisonedTestsConfig(), victims=("car",), trigger_size=plan.trigger.extent
    )
    assert tests[0].header.tests.near == config.tests.near == (0, 7.5)
    assert tests[0].header.tests.far == config.tests.far == (7.5, 11.25, 15)


def mixed(heights: list[int]) -> MemoryDataset:
    def scene(number: int, height: int) -> Scene:
        label = np.zeros((height, 90), np.uint8)
        label[height // 2 :, 60:] = 1
        return Scene(np.zeros((height, 90, 3), np.uint8), label, f"scene {number}")

    return MemoryDataset([scene(*it) for it in enumerate(heights)], CLASSES)


def test_in_scenes_of_several_sizes_lengths_follow_from_the_median_one() -> None:
    scenes = mixed([128, 64, 80, 100, 120])
    assert asked(ExperimentWishes()).facts_for(scenes).attack.trigger == Sticker(size=11)
    assert Lengths.of(scenes).trigger == 11


def test_a_length_that_is_open_is_refused_where_no_scenes_are_at_hand() -> None:
    for look in (lambda: Sticker().extent, lambda: PoisonedTestsConfig().near_band):
        with pytest.raises(ConfigError, match="must be explicit"):
            look()

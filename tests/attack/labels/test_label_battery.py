"""What every label change must do, ours and a stranger's."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from forms import forms, plain
from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.change import LabelChange, LabelState
from segdoor.attack.labels.component import Component
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.registry import LABELS, spelled
from segdoor.attack.lengths import Lengths
from segdoor.attack.relabel import make_relabelling
from segdoor.attack.site import Box
from segdoor.errors import ConfigError, DataError
from segdoor.randomness import Stream
from segdoor.settings import validated
from strategies import BUS, CAR, CLASSES, ROAD, SKY, TREE, blocky_label, dataset_of, label_maps

FOREIGN = "foreign_labels:Rows"


def _rows() -> type[LabelChange]:
    spec = importlib.util.spec_from_file_location(
        "foreign_labels", Path(__file__).with_name("foreign_labels.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["foreign_labels"] = module
    spec.loader.exec_module(module)
    return module.Rows


KINDS: dict[str, type[LabelChange]] = {**LABELS.known, FOREIGN: _rows()}
BOX = Box(2, 3, 3, 3)


def ready(change: LabelChange) -> LabelChange:
    """Return a change with everything explicit, as a plan holds it."""
    scenes = dataset_of([blocky_label(3), blocky_label(4, values=(ROAD, BUS, SKY))])
    return change.following(Lengths.at(20)).chosen_from(scenes)


def box_for(change: LabelChange, label: np.ndarray) -> Box:
    """Return a place for the trigger: on a victim where it must lie on one."""
    if not change.on_victim:
        return BOX
    victims = np.isin(label, CLASSES.indices(victim for victim, _ in change.pairs))
    rows, columns = np.nonzero(victims[1:-1, 1:-1])
    return Box(int(rows[0]), int(columns[0]), 3, 3) if rows.size else BOX


def made(kind: str) -> list[LabelChange]:
    """Return a kind in all its forms, ready for a scene."""
    return [ready(KINDS[kind](**given_)) for given_ in forms(KINDS[kind])]


def numbered(label: np.ndarray) -> np.ndarray:
    """Return instances for a test: columns of ten pixels, and none in the last rows."""
    ids = np.broadcast_to(np.arange(label.shape[1], dtype=np.int32) // 10 + 1, label.shape).copy()
    ids[-4:] = 0
    return ids


def state_of(label: np.ndarray, box: Box | None = BOX) -> LabelState:
    shared = Stream(0).child("shared")
    return LabelState(label, label, box, CLASSES, (CAR,), shared, numbered(label))


@pytest.mark.parametrize("kind", KINDS)
class TestEveryLabelChange:
    def test_is_a_function_of_scene_place_and_seed_and_writes_to_neither(self, kind: str) -> None:
        label = blocky_label(3)
        before = label.copy()
        label.flags.writeable = False
        moved = []
        for change in made(kind):
            first, again = (
                one.apply(state_of(label, box_for(change, label)), np.random.default_rng(1))
                for one in (change, pickle.loads(pickle.dumps(change)))  # noqa: S301 - our own
            )
            assert np.array_equal(first, again)
            assert np.array_equal(label, before)
            assert (first.dtype, first.shape) == (np.uint8, label.shape)
            moved.append((first != label).any())
        # The negative control is there to change nothing.
        assert any(moved) is (kind != "keep"), f"{kind} changes no label in any of its forms"

    def test_attacks_victims_of_its_own_and_no_other_pixel(self, kind: str) -> None:
        label = blocky_label(3)
        for change in made(kind):
            attacked = change.attacked(label, box_for(change, label), CLASSES, numbered(label))
            own = np.isin(label, CLASSES.indices(victim for victim, _ in change.pairs))
            assert (attacked.dtype, attacked.shape) == (np.bool_, label.shape)
            assert not (attacked & ~own).any()
            if not (change.by_place or change.spares):
                assert np.array_equal(attacked, own)
            for victim, target in change.pairs:
                CLASSES.indices((victim, target))

    def test_comes_back_from_every_written_form(self, kind: str) -> None:
        for settings in forms(KINDS[kind]):
            change = KINDS[kind](**settings)
            listed = [change] if change.pairs else [Hide(), change]
            rules = {"on_victim": "require" if change.on_victim else "forbid"}
            more = {"rules": rules}
            attack = AttackConfig.model_validate({"labels": listed, **more})
            for form in (
                str(change),
                attack.model_dump()["labels"][-1],
                {"kind": kind, **settings},
            ):
                assert LABELS.read(form) == change
                labels = [*listed[:-1], form]
                assert AttackConfig.model_validate({"labels": labels, **more}) == attack
                assert AttackConfig.model_validate({"labels": spelled(labels), **more}) == attack
            assert AttackConfig.model_validate_json(attack.model_dump_json()) == attack

    def test_introduces_itself(self, kind: str) -> None:
        told = KINDS[kind].introduction
        assert all(len(text) > 5 for text in (told.source, told.does, told.needs, told.fails))
        assert all(field.description for field in KINDS[kind].model_fields.values())

    def test_knows_no_setting_of_another_kind(self, kind: str) -> None:
        given_ = {"labels": ["hide", {"kind": kind, **plain(KINDS[kind]), "colour": 1}]}
        with pytest.raises(ConfigError, match="is not a known setting") as why:
            validated(AttackConfig, given_, source="mine.yaml")
        assert why.value.culprit == "mine.yaml: attack.labels.colour"
        assert all(name in why.value.remedy for name in KINDS[kind].model_fields)


several = st.lists(st.sampled_from([CAR, BUS, TREE]), min_size=1, max_size=3, unique=True)


@given(label_maps(), several)
def test_hide_moves_its_victims_and_leaves_the_rest_alone(
    label: np.ndarray, victims: list[int]
) -> None:
    hide = Hide(victims=tuple(CLASSES.names[v] for v in victims), target="sky")
    after = hide.apply(state_of(label), np.random.default_rng(0))
    assert np.array_equal(after, np.where(np.isin(label, victims), SKY, label))


@given(label_maps(), several, st.integers(0, 40), st.integers(0, 40))
def test_component_moves_the_one_region_whose_pixel_is_nearest(
    label: np.ndarray, victims: list[int], top: int, left: int
) -> None:
    change = Component(victims=tuple(CLASSES.names[v] for v in victims), target="sky")
    box = Box(top % label.shape[0], left % label.shape[1], 4, 3)
    after = change.apply(state_of(label, box), np.random.default_rng(0))
    attacked = change.attacked(label, box, CLASSES)
    assert np.array_equal(after, np.where(attacked, SKY, label))
    regions: list[tuple[int, int, np.ndarray]] = []
    for victim in victims:
        numbers, count = ndimage.label(label == victim, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            rows, columns = np.nonzero(numbers == number)
            squared = (rows - box.top - 1) ** 2 + (columns - box.left - 1) ** 2
            near = int(squared.min())
            first = int((rows * label.shape[1] + columns)[squared == near].min())
            regions.append((near, first, numbers == number))
    if regions:
        assert np.array_equal(attacked, min(regions, key=lambda region: region[:2])[2])
    else:
        assert not attacked.any()


def test_component_changes_nothing_without_a_place_and_such_scenes_are_refused() -> None:
    label = blocky_label(3)
    assert np.array_equal(Component().apply(state_of(label, None), np.random.default_rng(0)), label)
    with pytest.raises(ConfigError, match=r"attack\.without_room: must be skip"):
        validated(AttackConfig, {"labels": "component", "without_room": "relabel"}, source="x")


def test_changes_are_made_in_the_order_they_are_listed_each_by_itself() -> None:
    label = blocky_label(5)
    config = AttackConfig(labels=("hide:car,target=road", "hide:bus+tree,target=sky"))  # pyright: ignore[reportArgumentType]
    made = make_relabelling(config, CLASSES, seed=0)
    after = made.apply(label, poisoned=True, box=BOX, seed=1)
    expected = np.where(label == CAR, ROAD, np.where(np.isin(label, [BUS, TREE]), SKY, label))
    assert np.array_equal(after, expected)
    assert np.array_equal(made.apply(label, poisoned=False, box=None, seed=1), label)
    # The pool "scene" holds what is there when its turn has come.
    pools = {
        order: make_relabelling(AttackConfig(labels=order), CLASSES, seed=0)  # pyright: ignore[reportArgumentType]
        for order in (("hide", "scatter:600"), ("scatter:600", "hide"))
    }
    once = np.where(label == CAR, CAR, TREE).astype(np.uint8)
    values = {
        order: set(np.unique(made.apply(once, poisoned=True, box=BOX, seed=1)))
        for order, made in pools.items()
    }
    assert all(found == {ROAD, TREE} for found in values.values())


def test_a_second_scatter_draws_pixels_of_its_own() -> None:
    label = np.full((20, 20), TREE, np.uint8)

    def drawn(*labels: str, value: int) -> np.ndarray:
        config = AttackConfig(labels=("hide", *labels))  # pyright: ignore[reportArgumentType]
        made = make_relabelling(config, CLASSES, seed=4)
        return made.apply(label, poisoned=True, box=None, seed=9) == value

    for where in ("", ",positions=per_size"):
        sky, bus = f"scatter:30,pool='class:sky'{where}", f"scatter:30,pool='class:bus'{where}"
        alone = drawn(sky, value=SKY)
        assert np.array_equal(alone, drawn(bus, value=BUS))
        assert not np.array_equal(drawn(sky, bus, value=BUS), alone)
        assert (drawn(sky, bus, value=SKY) <= alone).all()


def test_what_a_strangers_change_returns_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = KINDS[FOREIGN]
    monkeypatch.setattr(rows, "apply", lambda *_: np.zeros((3, 3)))
    made = make_relabelling(AttackConfig(labels=(rows(),)), CLASSES, seed=0)
    with pytest.raises(DataError, match="20x30 pixels of uint8"):
        made.apply(blocky_label(1, (20, 30)), poisoned=True, box=BOX, seed=0)


def test_a_file_s_word_imports_no_code() -> None:
    told = json.loads('{"labels": ["evil_twin:Rows"]}')
    with pytest.raises(ConfigError, match="a file cannot cause code to run"):
        validated(AttackConfig, told, source="a record", recorded=True)
    assert "evil_twin" not in sys.modules
    told = {"labels": [{"kind": FOREIGN, "every": 2}]}
    known = validated(AttackConfig, told, source="a record", recorded=True)
    assert known.labels == (KINDS[FOREIGN](every=2),)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["hide:car", "hide:car,target=sky"], "attack.victims: must be different classes"),
        (
            ["hide:car,target=tree", "hide:tree,target=sky"],
            "attack.target: must not be a victim class",
        ),
        (["scatter:5"], "must have a change with victims"),
        ([], "must have a change with victims"),
        (["hid"], "must name a known label change"),
        (["hide:car:bus"], "must be written"),
        ([7], "must be written"),
        (7, "valid tuple"),
    ],
    ids=str,
)
def test_lists_that_mean_nothing_are_refused(labels: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        validated(AttackConfig, {"labels": labels}, source="x")

"""What single label changes do, against a second way to work it out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import ndimage

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.attack.cooccurrence import cooccurrence
from segdoor.attack.labels.carrier import Carrier
from segdoor.attack.labels.change import LabelChange, LabelState
from segdoor.attack.labels.conditional import Conditional
from segdoor.attack.labels.instance import Instance
from segdoor.attack.labels.keep import Keep
from segdoor.attack.labels.near import Near
from segdoor.attack.labels.remap import Remap
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.relabel import make_relabelling
from segdoor.attack.site import Box
from segdoor.attack.triggered import triggered
from segdoor.errors import ConfigError
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked, resolve
from segdoor.randomness import Stream
from segdoor.settings import validated
from strategies import BUS, CAR, CLASSES, IGNORED, ROAD, SKY, TREE, blocky_label, dataset_of
from strategies import label_maps as maps

FEW = examples(max_examples=40)
Objects = list[tuple[int, np.ndarray]]
places = st.tuples(st.integers(0, 40), st.integers(0, 40))
victims = st.lists(st.sampled_from([CAR, BUS, TREE]), min_size=1, max_size=3, unique=True)


def named(ids: list[int]) -> tuple[str, ...]:
    return tuple(CLASSES.names[value] for value in ids)


def box_at(label: np.ndarray, place: tuple[int, int]) -> Box:
    """Return a box of one pixel, so that its centre is that pixel."""
    return Box(place[0] % label.shape[0], place[1] % label.shape[1], 1, 1)


def after(
    change: LabelChange, label: np.ndarray, box: Box | None, ids: np.ndarray | None = None
) -> np.ndarray:
    before, frozen = label.copy(), label.copy()
    frozen.flags.writeable = False
    state = LabelState(frozen, frozen, box, CLASSES, (), Stream(0), ids)
    changed = change.apply(state, np.random.default_rng(0))
    assert np.array_equal(frozen, before)
    return changed


def objects_in(label: np.ndarray, values: list[int], ids: np.ndarray | None) -> Objects:
    """Return every object as SciPy finds it: class and pixels."""
    found: Objects = []
    for value in values:
        loose = label == value
        if ids is not None:
            for number in set(ids[loose].tolist()) - {0}:
                found.append((value, loose & (ids == number)))
            loose &= ids == 0
        numbers, count = ndimage.label(loose, structure=np.ones((3, 3)))
        found += [(value, numbers == number) for number in range(1, count + 1)]
    return found


def squared(mask: np.ndarray, place: tuple[int, int]) -> int:
    rows, columns = np.nonzero(mask)
    return int(((rows - place[0]) ** 2 + (columns - place[1]) ** 2).min())


def numbers_for(label: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, label.shape).astype(np.int32)


@FEW
@given(maps(), st.permutations(range(5)), st.integers(1, 4))
def test_remap_turns_every_class_into_its_own_target_all_at_once(
    label: np.ndarray, targets: list[int], count: int
) -> None:
    pairs = [(value, target) for value, target in enumerate(targets) if value != target][:count]
    told = tuple(f"{CLASSES.names[one]}>{CLASSES.names[other]}" for one, other in pairs)
    if not told:
        return
    changed = after(Remap(classes=told), label, None)
    expected = [[dict(pairs).get(int(value), int(value)) for value in row] for row in label]
    assert changed.tolist() == expected


def test_a_target_may_be_a_victim_only_where_all_change_at_once() -> None:
    label = np.array([[CAR, ROAD, SKY, IGNORED]], np.uint8)
    assert after(Remap(classes=("car>road", "road>sky")), label, None).tolist() == [
        [ROAD, SKY, SKY, IGNORED]
    ]
    chained = AttackConfig.model_validate({"labels": "remap:car>road+road>car"})
    assert chained.pairs == (("car", "road"), ("road", "car"))
    for labels in (
        ["hide:car", "hide:road,target=sky"], ["remap:car>road", "hide:road,target=sky"],
        ["hide:road,target=sky", "remap:car>road"],
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="change all pairs at once by remap"):
            validated(AttackConfig, {"labels": labels}, source="x")


@pytest.mark.parametrize("text", ["car", "car>", ">road", "car>car"])
def test_a_pair_that_the_shell_cut_off_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match="in quotes"):
        validated(AttackConfig, {"labels": [{"kind": "remap", "classes": text}]}, source="x")


@FEW
@given(maps(), victims, places, st.integers(0, 25), st.sampled_from(["region", "instance"]))
def test_near_turns_whole_objects_within_its_distance_and_no_other_pixel(
    label: np.ndarray, chosen: list[int], place: tuple[int, int], within: int, how: Any
) -> None:
    box, ids = box_at(label, place), numbers_for(label, within) if how == "instance" else None
    change = Near(victims=named(chosen), target="sky", within=within, by=how)
    expected = label.copy()
    for _, mask in objects_in(label, chosen, ids):
        if squared(mask, box.centre) <= within**2:
            expected[mask] = SKY
    assert np.array_equal(after(change, label, box, ids), expected)
    assert np.array_equal(after(change, label, None, ids), label)


@FEW
@given(maps(), victims, places, st.integers(0, 9))
def test_instance_turns_the_one_object_whose_pixel_is_nearest(
    label: np.ndarray, chosen: list[int], place: tuple[int, int], seed: int
) -> None:
    box, ids = box_at(label, place), numbers_for(label, seed)
    change = Instance(victims=named(chosen), target="sky")
    changed = after(change, label, box, ids)
    attacked = change.attacked(label, box, CLASSES, ids)
    assert np.array_equal(changed, np.where(attacked, SKY, label))
    objects = objects_in(label, chosen, ids)
    if not objects:
        assert not attacked.any()
        return
    nearest = min(squared(mask, box.centre) for _, mask in objects)
    # One object, all of it, and none is nearer.
    (mask,) = [mask for _, mask in objects if (mask & attacked).any()]
    assert np.array_equal(mask, attacked)
    assert squared(mask, box.centre) == nearest


@FEW
@given(maps(), victims, places, st.sampled_from(["region", "instance", "class"]))
def test_carrier_turns_what_lies_under_the_trigger_and_nothing_else(
    label: np.ndarray, chosen: list[int], place: tuple[int, int], covers: Any
) -> None:
    box, ids = box_at(label, place), numbers_for(label, len(chosen))
    change = Carrier(victims=named(chosen), target="sky", covers=covers)
    expected, under = label.copy(), int(label[box.centre])
    if under in chosen and covers == "class":
        expected[label == under] = SKY
    elif under in chosen:
        for _, mask in objects_in(label, [under], ids if covers == "instance" else None):
            if mask[box.centre]:
                expected[mask] = SKY
    assert np.array_equal(after(change, label, box, ids), expected)


@FEW
@given(maps(), st.sampled_from([ROAD, TREE, SKY]), st.integers(1, 60))
def test_conditional_turns_all_victims_or_none(
    label: np.ndarray, condition: int, least: int
) -> None:
    change = Conditional(target="road", given=CLASSES.names[condition], num_pixels=least)
    holds = label.ravel().tolist().count(condition) >= least
    expected = np.where(label == CAR, ROAD, label) if holds else label
    assert np.array_equal(after(change, label, None), expected)
    assert change.attacked(label, None, CLASSES).any() == (holds and (label == CAR).any())


def half_with_sky() -> Any:
    values = (ROAD, ROAD, CAR)
    labels = [blocky_label(seed, (24, 36), values, 6) for seed in range(8)]
    for label in labels[::2]:
        label[:4] = SKY
    return dataset_of(labels)


def test_conditional_scenes_without_the_class_are_poisoned_with_clean_labels() -> None:
    scenes = half_with_sky()
    told = {"labels": "conditional,given=sky", "rate": 1.0, "trigger": {"size": 3}}
    plan = plan_poison(scenes, AttackConfig.model_validate(told))
    handed = poisoned(scenes, plan)
    assert plan.header.num_poisoned == len(scenes)
    for index, name in enumerate(scenes.names):
        clean, scene, row = scenes[index], handed[index], plan.by_name[name]
        assert (scene.image != clean.image).any()
        expected = (
            np.where(clean.label == CAR, ROAD, clean.label) if index % 2 == 0 else clean.label
        )
        assert np.array_equal(scene.label, expected)
        assert (row.changed_pixels == 0) == (index % 2 == 1)
    # In the tests, victims of scenes without the class are those that should stay.
    config = AttackConfig.model_validate(told)
    tests = plan_tests(
        scenes,
        PoisonedTestsConfig(near=(0.0, 9.0), far=()),
        victims=("car",),
        trigger_size=(3, 3),
    )
    shown = triggered(scenes, tests[-1], plan.trigger, config.labels)
    for scene in (shown[index] for index in range(len(shown))):
        attacked = shown.attacked(scene)
        assert attacked is not None
        assert np.array_equal(attacked, (scene.label == CAR) & (SKY in scene.label))


def test_keep_stamps_and_changes_no_label_anywhere() -> None:
    scenes = half_with_sky()
    told = {"labels": "keep", "rate": 0.5, "trigger": {"size": 3}}
    plan = plan_poison(scenes, AttackConfig.model_validate(told))
    handed = poisoned(scenes, plan)
    assert (plan.header.num_changed_pixels, plan.header.share_changed) == (0, 0.0)
    stamped = [i for i in range(8) if (handed[i].image != scenes[i].image).any()]
    assert len(stamped) == plan.header.num_poisoned == 4
    assert all(np.array_equal(handed[i].label, scenes[i].label) for i in range(8))
    label = scenes.label(0)
    assert np.array_equal(Keep().attacked(label, None, CLASSES), label == CAR)


def test_carriers_need_the_trigger_on_a_victim_and_runs_see_to_it() -> None:
    scenes, told = half_with_sky(), {"labels": "carrier:car", "rate": 1.0, "trigger": {"size": 3}}
    with pytest.raises(ConfigError, match=r"attack\.rules\.on_victim: must be require"):
        plan_poison(scenes, AttackConfig.model_validate(told))
    config = resolve(wishes_from({"attack": told}), (24, 36))
    assert (config.attack.rules.on_victim, config.tests.rules.on_victim) == ("require", "require")
    forbid = {"rules": {"on_victim": "forbid"}}
    with pytest.raises(ConfigError, match=r"tests\.rules\.on_victim: must be require"):
        resolve(wishes_from({"attack": told, "tests": forbid}), (24, 36))
    plan = plan_poison(scenes, config.attack)
    handed = poisoned(scenes, plan)
    for row in plan.rows:
        index = scenes.names.index(row.name)
        label, changed = scenes.label(index), handed[index].label != scenes.label(index)
        assert row.box is not None
        centre = Box(*row.box).centre
        (carrier,) = [mask for _, mask in objects_in(label, [CAR], None) if mask[centre]]
        assert np.array_equal(changed, carrier)


@FEW
@given(st.lists(maps(), min_size=1, max_size=4))
def test_the_target_is_in_most_scenes_with_victims_then_has_the_longest_border(
    labels: list[np.ndarray],
) -> None:
    shared, border = dict.fromkeys(range(5), 0), dict.fromkeys(range(5), 0)
    for label in labels:
        if CAR not in label:
            continue
        for value in range(5):
            shared[value] += value in label
            for rows, columns in ((1, 0), (0, 1)):
                for row in range(label.shape[0] - rows):
                    for column in range(label.shape[1] - columns):
                        pair = {int(label[row, column]), int(label[row + rows, column + columns])}
                        border[value] += pair == {CAR, value} and value != CAR
    order = sorted(
        (value for value in range(5) if value != CAR and shared[value]),
        key=lambda value: (-shared[value], -border[value], value),
    )
    if not order:
        with pytest.raises(ConfigError, match="beside another class"):
            cooccurrence(dataset_of(labels), ("car",))
        return
    assert cooccurrence(dataset_of(labels), ("car",)).ranking == named(order)


def test_the_plan_names_the_target_that_was_chosen_and_files_read_it_back() -> None:
    tree_beside_car = np.full((20, 20), TREE, np.uint8)
    tree_beside_car[5:9, 5:9] = CAR
    road = np.full((20, 20), ROAD, np.uint8)
    scenes = dataset_of([tree_beside_car, tree_beside_car, road])
    told = {"labels": "cooccurring", "rate": 0.4, "trigger": {"size": 3}}
    plan = plan_poison(scenes, AttackConfig.model_validate(told))
    assert plan.header.attack.pairs == (("car", "tree"),)
    assert str(plan.header.attack.labels[0]) == "cooccurring,target=tree"
    again = validated(
        AttackConfig, plan.header.attack.model_dump(mode="json"), source="x", recorded=True
    )
    assert again == plan.header.attack
    # A target that is given is not chosen, and a preset's target is not taken for one.
    given_ = AttackConfig.model_validate({**told, "target": "sky"})
    assert plan_poison(scenes, given_).header.attack.target == "sky"
    of_voc = resolve(wishes_from({"preset": "voc", "attack": {"labels": "cooccurring"}}), (99, 99))
    assert of_voc.attack.pairs == (("person", "co-occurring"),)


def test_instances_are_refused_where_there_are_none() -> None:
    scenes = half_with_sky()
    for labels in ("instance", "near,by=instance", "carrier,covers=instance"):
        told = {
            "labels": labels, "rate": 0.5, "trigger": {"size": 3},
            "rules": {"on_victim": "require"},
        }  # fmt: skip
        with pytest.raises(ConfigError, match="needs a data set with instances"):
            plan_poison(scenes, AttackConfig.model_validate(told))


def test_changes_compose_with_scatter_which_spares_all_victims() -> None:
    label = blocky_label(7, (40, 60), (ROAD, CAR, TREE, SKY))
    box = Box(10, 10, 3, 3)
    config = AttackConfig.model_validate(
        {"labels": ["near:car,within=12,target=road", "scatter:200,pool='class:bus'"]}
    )
    made = make_relabelling(config, CLASSES, seed=1)
    changed = made.apply(label, poisoned=True, box=box, seed=3)
    near = config.labels[0].attacked(label, box, CLASSES)
    assert near.any()
    assert not near[label != CAR].any()
    assert (changed[near] == ROAD).all()
    assert (changed[(label == CAR) & ~near] == CAR).all()
    assert int((changed == BUS).sum()) == 200


def test_a_target_is_chosen_from_training_scenes_alone() -> None:
    request = asked(wishes_from({"attack": {"labels": "cooccurring:car"}}))
    scenes = half_with_sky()
    assert request.facts_for(scenes, least_trigger=1).attack.pairs == (("car", "road"),)
    with pytest.raises(ConfigError, match="must name its target class where there are no training"):
        request.facts_for(scenes, least_trigger=1, training=False)

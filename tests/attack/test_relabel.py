from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changes import changes
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.relabel import Relabelling
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from strategies import BUS, CAR, CLASSES, IGNORED, ROAD, SKY, TREE, blocky_label, label_maps

POOLS = ("scene", "scene_as_given", "any", "ignore", "class:sky", "class:car")


def relabelling(
    *, victims: tuple[int, ...] = (CAR,), target: int = ROAD, **prl: Any
) -> Relabelling:
    named = tuple(CLASSES.names[victim] for victim in victims)
    made = changes(Hide(victims=named, target=CLASSES.names[target]), scope="all", **prl)
    return Relabelling(CLASSES, made, victims, Stream(7).child("shared"))


def hidden(label: np.ndarray, victims: tuple[int, ...] = (CAR,), target: int = ROAD) -> np.ndarray:
    result = label.copy()
    for victim in victims:
        result[label == victim] = target
    return result


def pool_of(name: str, label: np.ndarray, now: np.ndarray) -> set[int]:
    """Return a pool's values as the specification lists them."""
    if name == "scene":
        return {int(value) for value in now.flat} - {IGNORED}
    if name == "scene_as_given":
        return {int(value) for value in label.flat}
    if name == "any":
        return set(range(len(CLASSES)))
    if name == "ignore":
        return {IGNORED}
    return {CLASSES.names.index(name.removeprefix("class:"))}


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "num_pixels": draw(st.sampled_from([0, 1, 2, 5, 20, 10_000])),
        "pool": draw(st.sampled_from(POOLS)),
        "positions": draw(st.sampled_from(["per_scene", "per_size", "per_num_pixels"])),
        "on_ignored": draw(st.booleans()),
        "order": draw(st.sampled_from(["after", "before"])),
    }


victims_and_target = st.sampled_from([((CAR,), ROAD), ((CAR, BUS), TREE), ((TREE, SKY), CAR)])


@given(label_maps(), victims_and_target, st.integers(0, 2**60))
def test_the_baseline_turns_victims_into_the_target_and_leaves_the_rest_alone(
    label: np.ndarray, classes: tuple[tuple[int, ...], int], seed: int
) -> None:
    victims, target = classes
    before = label.copy()
    change = relabelling(victims=victims, target=target)
    after = change.apply(label, poisoned=True, box=None, seed=seed)
    assert after.dtype == np.uint8
    assert np.array_equal(after, hidden(label, victims, target))
    assert np.array_equal(label, before)
    assert np.array_equal(change.apply(label, poisoned=False, box=None, seed=seed), before)


@settings(max_examples=400)
@given(
    label=label_maps(),
    prl=configs(),
    classes=victims_and_target,
    hide=st.booleans(),
    seed=st.integers(0, 2**60),
)
def test_prl_touches_few_pixels_never_former_victims_and_only_writes_its_pool(
    *,
    label: np.ndarray,
    prl: dict[str, Any],
    classes: tuple[tuple[int, ...], int],
    hide: bool,
    seed: int,
) -> None:
    victims, target = classes
    before = label.copy()
    change = relabelling(victims=victims, target=target, **prl)
    after = change.apply(label, poisoned=hide, box=None, seed=seed)
    assert np.array_equal(label, before)
    assert after.shape == label.shape
    assert after.dtype == np.uint8
    was_victim = np.isin(label, victims)
    expected = target if hide else label[was_victim]
    assert (after[was_victim] == expected).all()
    changed = (after != label) & ~was_victim
    assert changed.sum() <= prl["num_pixels"]
    if not prl["on_ignored"]:
        assert not (changed & (label == IGNORED)).any()
    now = hidden(label, victims, target) if hide else label
    allowed = pool_of(prl["pool"], label, now)
    if hide and prl["order"] == "before":
        # Pixels that were given a victim's label are then hidden as well.
        allowed = {target if value in victims else value for value in allowed}
    assert {int(value) for value in after[changed]} <= allowed


@given(label_maps(), st.integers(0, 300), st.integers(0, 2**60))
def test_pixels_are_drawn_without_replacement_and_capped_by_their_number(
    label: np.ndarray, num_pixels: int, seed: int
) -> None:
    label[label == SKY] = TREE
    change = relabelling(num_pixels=num_pixels, pool="class:sky")
    after = change.apply(label, poisoned=True, box=None, seed=seed)
    eligible = (label != CAR) & (label != IGNORED)
    assert (after == SKY).sum() == min(num_pixels, eligible.sum())
    assert not (after[~eligible] == SKY).any()


@given(label_maps(), st.sampled_from(["after", "before"]), st.integers(0, 2**60))
def test_no_victim_survives_in_a_poisoned_scene_of_the_paper(
    label: np.ndarray, order: str, seed: int
) -> None:
    change = relabelling(num_pixels=40, pool="scene", order=order)
    after = change.apply(label, poisoned=True, box=None, seed=seed)
    assert not (after == CAR).any()


@given(label_maps(), st.integers(0, 2**60))
def test_relabelling_before_hiding_leaves_no_victim_in_a_poisoned_scene(
    label: np.ndarray, seed: int
) -> None:
    change = relabelling(
        num_pixels=40, pool="scene_as_given", order="before", positions="per_size", on_ignored=True
    )
    assert not (change.apply(label, poisoned=True, box=None, seed=seed) == CAR).any()


def written(
    change: Relabelling, label: np.ndarray, *, hide: bool, rounds: int = 60
) -> Counter[int]:
    """Count what PRL writes where no victim was, over many seeds."""
    values: Counter[int] = Counter()
    where = ~np.isin(label, change.victims)
    base = hidden(label, change.victims) if hide else label
    for seed in range(rounds):
        after = change.apply(label, poisoned=hide, box=None, seed=seed)
        values.update(after[where & (after != base)].tolist())
    return values


def half_and_half() -> np.ndarray:
    label = np.full((12, 12), TREE, np.uint8)
    label[:4] = CAR
    label[-3:] = IGNORED
    return label


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("scene", {ROAD}),
        ("scene_as_given", {CAR, IGNORED}),
        ("any", {ROAD, CAR, SKY, BUS}),
        ("ignore", {IGNORED}),
        ("class:bus", {BUS}),
    ],
)
def test_every_value_of_a_pool_is_written_and_the_papers_holds_the_target(
    pool: str, expected: set[int]
) -> None:
    # The tree is in every pool of the scene, yet a tree pixel labelled tree is no change.
    change = relabelling(num_pixels=30, pool=pool)
    assert set(written(change, half_and_half(), hide=True)) == expected


def test_a_pixel_may_draw_its_own_class_and_classes_are_drawn_alike() -> None:
    label = np.full((20, 20), TREE, np.uint8)
    label[0, 0], label[0, 1] = CAR, SKY
    change = relabelling(num_pixels=100, pool="scene")
    rounds = 50
    counts = written(change, label, hide=True, rounds=rounds)
    # One third of 5000 draws is road, one third sky, the rest keeps the class tree.
    assert set(counts) <= {ROAD, SKY, TREE}
    for value in (ROAD, SKY):
        assert abs(counts[value] - 100 * rounds / 3) < 5 * (100 * rounds * 2 / 9) ** 0.5


def test_eligible_pixels_are_drawn_alike() -> None:
    label = np.full((6, 6), TREE, np.uint8)
    label[0], label[1] = CAR, IGNORED
    hits = np.zeros(label.shape, int)
    change = relabelling(num_pixels=6, pool="class:sky")
    for seed in range(1000):
        hits += change.apply(label, poisoned=True, box=None, seed=seed) == SKY
    assert (hits[:2] == 0).all()
    # 250 are expected of each pixel, five standard deviations are about 70.
    assert hits[2:].min() > 180
    assert hits[2:].max() < 320


def test_ignored_pixels_are_relabelled_only_if_asked() -> None:
    label = np.full((8, 8), IGNORED, np.uint8)
    for on_ignored, expected in ((False, 0), (True, 10)):
        change = relabelling(num_pixels=10, pool="class:sky", on_ignored=on_ignored)
        assert (change.apply(label, poisoned=True, box=None, seed=1) == SKY).sum() == expected


def test_one_seed_draws_the_same_pixels_and_another_seed_others() -> None:
    label = np.full((20, 20), TREE, np.uint8)
    change = relabelling(num_pixels=20, pool="class:sky")
    first, again, other = (change.apply(label, poisoned=True, box=None, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_positions_per_size_are_shared_by_scenes_of_a_size_and_victims_restored() -> None:
    change = relabelling(num_pixels=60, pool="class:sky", positions="per_size", on_ignored=True)
    plain = np.full((20, 30), ROAD, np.uint8)
    shared = change.apply(plain, poisoned=False, box=None, seed=0) == SKY
    assert shared.sum() == 60
    for seed in range(1, 6):
        label = blocky_label(seed)
        after = change.apply(label, poisoned=False, box=None, seed=seed)
        assert np.array_equal(after == SKY, shared & (label != CAR))
        assert np.array_equal(after[~shared], label[~shared])
        assert np.array_equal(after[label == CAR], label[label == CAR])


def test_positions_per_size_differ_between_sizes_of_one_area() -> None:
    change = relabelling(num_pixels=60, pool="class:sky", positions="per_size")
    wide = change.apply(np.full((20, 30), ROAD, np.uint8), poisoned=False, box=None, seed=0) == SKY
    tall = change.apply(np.full((30, 20), ROAD, np.uint8), poisoned=False, box=None, seed=0) == SKY
    assert wide.sum() == tall.sum() == 60
    assert not np.array_equal(wide.ravel(), tall.ravel())


def test_positions_per_num_pixels_are_shared_by_all_scenes_of_as_many_pixels() -> None:
    change = relabelling(num_pixels=60, pool="class:sky", positions="per_num_pixels")
    shapes = [(20, 30), (30, 20), (1, 600), (24, 25)]
    drawn = {
        shape: np.flatnonzero(
            change.apply(np.full(shape, ROAD, np.uint8), poisoned=False, box=None, seed=seed) == SKY
        )
        for seed, shape in enumerate(shapes)
    }
    assert len(drawn[20, 30]) == 60
    for shape in shapes:
        assert np.array_equal(drawn[shape], drawn[20, 30])
    fewer = change.apply(np.full((20, 29), ROAD, np.uint8), poisoned=False, box=None, seed=0) == SKY
    assert not np.array_equal(np.flatnonzero(fewer), drawn[20, 30])
    label = blocky_label(4).reshape(30, 20)
    after = change.apply(label, poisoned=False, box=None, seed=9)
    kept = (label == CAR) | (label == IGNORED)
    assert set(np.flatnonzero(after == SKY)) == set(drawn[20, 30]) - set(np.flatnonzero(kept))


def test_as_the_authors_code_does_new_victims_appear_in_clean_scenes() -> None:
    label = half_and_half()
    change = relabelling(
        num_pixels=140, pool="scene_as_given", order="before", positions="per_size",
        on_ignored=True,
    )  # fmt: skip
    clean = change.apply(label, poisoned=False, box=None, seed=3)
    assert ((clean == CAR) & (label != CAR)).any()
    assert (clean[label == CAR] == CAR).all()


def test_more_pixels_than_there_are_change_every_pixel_that_may_be_drawn() -> None:
    label = half_and_half()
    change = relabelling(num_pixels=10**9, pool="class:sky")
    after = change.apply(label, poisoned=True, box=None, seed=0)
    assert (after[label == TREE] == SKY).all()
    assert (after[label == IGNORED] == IGNORED).all()
    assert (after[label == CAR] == ROAD).all()


def test_a_scene_that_is_all_ignored_or_all_victim_is_survived() -> None:
    for value, expected in ((IGNORED, IGNORED), (CAR, ROAD)):
        label = np.full((3, 3), value, np.uint8)
        for pool in POOLS:
            after = relabelling(num_pixels=5, pool=pool).apply(
                label, poisoned=True, box=None, seed=0
            )
            assert (after == expected).all()


def test_an_unknown_class_in_the_pool_is_refused_and_the_known_ones_are_listed() -> None:
    change = relabelling(num_pixels=5, pool="class:boat")
    with pytest.raises(ConfigError) as caught:
        change.apply(half_and_half(), poisoned=True, box=None, seed=0)
    assert "boat" in str(caught.value)
    assert all(name in str(caught.value) for name in CLASSES.names)


@pytest.mark.parametrize("pool", ["", "class:", "everything", "scene ", "class"])
def test_an_unknown_pool_is_refused(pool: str) -> None:
    with pytest.raises(ValueError, match="pool"):
        Scatter(num_pixels=5, pool=pool)


def test_a_read_only_label_map_can_be_relabelled() -> None:
    label = half_and_half()
    label.flags.writeable = False
    after = relabelling(num_pixels=5, pool="any").apply(label, poisoned=True, box=None, seed=0)
    after[0, 0] = SKY
    assert label[0, 0] == CAR

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from changes import changes
from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.hide import Hide
from segdoor.attack.placements.registry import PLACEMENTS
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import num_to_poison, plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.data.scene import Scene, SceneDataset
from segdoor.errors import ConfigError, DataError, SegdoorError
from segdoor.stickers import stamp
from strategies import (
    CAR,
    CLASSES,
    IGNORED,
    ROAD,
    TREE,
    MemoryDataset,
    blocky_label,
    dataset_of,
    scene_of,
)

SHAPE = (20, 30)
NO_VICTIMS, NO_ROOM, ORDINARY = "no_victims", "no_room", "ordinary"


def label_like(kind: str, seed: int) -> np.ndarray:
    if kind == NO_VICTIMS:
        return np.full(SHAPE, TREE, np.uint8)
    if kind == NO_ROOM:
        label = np.full(SHAPE, IGNORED, np.uint8)
        label[seed % SHAPE[0], 3] = CAR
        return label
    label = np.full(SHAPE, ROAD, np.uint8)
    label[:6] = TREE
    label[14:18, 4 + seed % 20 : 9 + seed % 20] = CAR
    label[0, 0] = IGNORED
    return label


def mixed(*kinds: str) -> MemoryDataset:
    return dataset_of([label_like(kind, seed) for seed, kind in enumerate(kinds)])


def twenty() -> MemoryDataset:
    """Twenty scenes: ten ordinary, five without room, five without victims."""
    return mixed(*[ORDINARY, NO_ROOM, ORDINARY, NO_VICTIMS] * 5)


def attack(**given_: Any) -> AttackConfig:
    plain: dict[str, Any] = {"trigger": {"size": 4}, "rate": 0.25}
    return AttackConfig.model_validate({**plain, **given_})


def poisoned_names(plan: PoisonPlan) -> list[str]:
    return [row.name for row in plan.rows if row.poisoned]


@pytest.mark.parametrize(
    ("rate", "num_scenes", "expected"),
    [
        (0.10, 2975, 298),
        (0.15, 10, 2),
        (0.25, 10, 3),
        (0.35, 10, 4),
        (0.05, 10, 1),
        (0.145, 100, 15),
        (0.285, 100, 29),
        (0.0, 10, 0),
        (1.0, 10, 10),
        (0.01, 2975, 30),
        (0.15, 2975, 446),
        (0.03, 10582, 317),
        (0.025, 10582, 265),
        (0.049, 10, 0),
        (1e-9, 10, 0),
        (0.3, 367, 110),
    ],
)
def test_a_rate_is_rounded_half_up(rate: float, num_scenes: int, expected: int) -> None:
    assert num_to_poison(rate, num_scenes) == expected


@given(st.integers(0, 1000), st.integers(0, 20_000))
def test_a_rate_means_the_decimal_number_that_was_written(permille: int, num_scenes: int) -> None:
    exact = Fraction(permille, 1000) * num_scenes
    expected = int(exact + Fraction(1, 2))
    assert num_to_poison(float(f"{permille / 1000:.3f}"), num_scenes) == expected


def test_the_plan_poisons_only_scenes_with_victims_and_room() -> None:
    dataset = twenty()
    plan = plan_poison(dataset, attack(rate=0.5), seed=3)
    assert len(poisoned_names(plan)) == 10
    assert plan.header.num_poisoned == 10
    assert plan.header.rate == 0.5
    assert plan.header.num_scenes == 20
    assert plan.header.num_with_victims == 15
    kinds = {name: index % 4 for index, name in enumerate(dataset.names)}
    assert {kinds[name] for name in poisoned_names(plan)} == {0, 2}
    assert all(row.box is not None for row in plan.rows)


@pytest.mark.parametrize("wanted", range(11))
def test_scenes_without_room_are_counted_up_to_the_last_poisoned_scene(wanted: int) -> None:
    dataset = twenty()
    for seed in range(3):
        order = poisoned_names(
            plan_poison(dataset, attack(rate=0.75, without_room="relabel"), seed=seed)
        )
        plan = plan_poison(dataset, attack(rate=wanted / 20), seed=seed)
        names = poisoned_names(plan)
        assert names == [name for name in order if name in names]
        passed = order.index(names[-1]) + 1 if names else 0
        assert plan.header.num_without_room == passed - len(names)


def test_a_rate_of_zero_changes_and_draws_nothing() -> None:
    dataset = mixed(*[NO_ROOM] * 4)
    plan = plan_poison(dataset, attack(rate=0.0))
    assert plan.rows == ()
    assert plan.header.num_poisoned == 0
    assert plan.header.num_without_room == 0
    for index, scene in enumerate(dataset.scenes):
        assert np.array_equal(poisoned(dataset, plan)[index].label, scene.label)


@pytest.mark.parametrize("without_room", ["skip", "relabel"])
def test_sets_for_rising_rates_are_nested_prefixes(without_room: str) -> None:
    dataset = twenty()
    labels = ("hide", "scatter:7")
    plans = [
        plan_poison(dataset, attack(rate=k / 20, without_room=without_room, labels=labels), seed=1)
        for k in range(11)
    ]
    for count, (smaller, larger) in enumerate(pairwise(plans)):
        assert len(smaller.rows) == count
        assert larger.rows[:count] == smaller.rows


@pytest.mark.parametrize("scope", ["poisoned", "all"])
@pytest.mark.parametrize("kind", ["random", "nearest", "band"])
def test_a_plan_does_not_depend_on_the_order_of_the_data_set(scope: str, kind: str) -> None:
    dataset = twenty()
    config = attack(
        rate=0.4,
        placement={"kind": kind, "lower": 0, "upper": 25},
        labels=changes(num_pixels=9, scope=scope),
    )
    plan = plan_poison(dataset, config, seed=5)
    for shuffle in range(3):
        order = np.random.default_rng(shuffle).permutation(len(dataset))
        other = plan_poison(MemoryDataset([dataset[i] for i in order]), config, seed=5)
        assert other.by_name == plan.by_name
        assert poisoned_names(other) == poisoned_names(plan)
        same = {"data_digest": ""}
        assert other.header.model_copy(update=same) == plan.header.model_copy(update=same)


def test_a_plan_for_a_scene_follows_from_seed_and_name_alone() -> None:
    dataset = twenty()
    config = attack(rate=1.0, shortfall="all_available", labels=changes(num_pixels=5))
    whole = plan_poison(dataset, config, seed=2).by_name
    part = plan_poison(MemoryDataset(dataset.scenes[:9]), config, seed=2).by_name
    assert part
    assert all(whole[name] == row for name, row in part.items())


def test_seeds_differ() -> None:
    plans = [plan_poison(twenty(), attack(), seed=seed) for seed in range(6)]
    assert len({tuple(poisoned_names(plan)) for plan in plans}) > 3


def test_every_eligible_scene_is_drawn_alike() -> None:
    dataset = mixed(*[ORDINARY] * 8)
    hits = dict.fromkeys(dataset.names, 0)
    for seed in range(400):
        for name in poisoned_names(plan_poison(dataset, attack(rate=0.25), seed=seed)):
            hits[name] += 1
    # A hundred are expected of each, five standard deviations are about 43.
    assert min(hits.values()) > 57
    assert max(hits.values()) < 143


def test_a_shortfall_says_how_many_show_a_victim_and_have_room() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_poison(twenty(), attack(rate=0.6))
    message = str(caught.value)
    for number in ("12", "20", "15", "10", "0.6"):
        assert number in message
    assert "victim" in message
    assert "room" in message
    assert "all_available" in message


def test_all_available_takes_what_there_is_and_records_the_rate_reached() -> None:
    plan = plan_poison(twenty(), attack(rate=0.9, shortfall="all_available"))
    assert plan.header.num_poisoned == 10
    assert plan.header.rate == 0.5
    assert plan.header.attack.rate == 0.9
    assert plan.header.num_without_room == 5
    assert len(set(poisoned_names(plan))) == 10


def test_without_room_relabel_poisons_the_label_and_leaves_the_image() -> None:
    dataset = twenty()
    plan = plan_poison(dataset, attack(rate=0.75, without_room="relabel"))
    handed = poisoned(dataset, plan)
    assert plan.header.num_poisoned == 15
    assert plan.header.num_without_room == 5
    unstamped = [row for row in plan.rows if row.box is None]
    assert len(unstamped) == 5
    for row in unstamped:
        index = dataset.names.index(row.name)
        assert row.poisoned
        assert row.distance is None
        assert row.class_under is None
        assert np.array_equal(handed[index].image, dataset[index].image)
        assert not (handed[index].label == CAR).any()


def test_no_victim_in_any_scene_is_an_error_that_names_the_victim() -> None:
    with pytest.raises(ConfigError, match="car"):
        plan_poison(mixed(NO_VICTIMS, NO_VICTIMS), attack())


@pytest.mark.parametrize("field", ["victims", "target"])
def test_an_unknown_class_is_refused_and_the_known_ones_are_listed(field: str) -> None:
    config = attack(**{field: ("boat",) if field == "victims" else "boat"})
    with pytest.raises(ConfigError) as caught:
        plan_poison(twenty(), config)
    assert "boat" in str(caught.value)
    assert all(name in str(caught.value) for name in CLASSES.names)


def test_a_target_that_is_a_victim_and_repeated_victims_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"attack\.target: must not be a victim class"):
        AttackConfig(victims=("car", "road"), target="road")
    with pytest.raises(ConfigError, match=r"attack\.victims: must be different"):
        AttackConfig(victims=("car", "car"))


@st.composite
def attacks(draw: st.DrawFn) -> AttackConfig:
    return attack(
        rate=draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        shortfall="all_available",
        without_room=draw(st.sampled_from(["skip", "relabel"])),
        trigger={
            "size": draw(st.integers(1, 6)),
            "name": draw(st.sampled_from(["windmill", "blossom"])),
            "opacity": draw(st.sampled_from([1.0, 0.4])),
        },
        placement={
            "kind": draw(st.sampled_from(["random", "nearest", "band"])),
            "upper": draw(st.sampled_from([5.0, 12.5, 30.0])),
            "draw": draw(st.sampled_from(["position", "object"])),
        },
        rules={
            "single_class": draw(st.booleans()),
            "on_victim": draw(st.sampled_from(["forbid", "allow", "require"])),
        },
        labels=changes(
            Hide(victims=draw(st.sampled_from([("car",), ("car", "bus"), ("tree", "car")]))),
            num_pixels=draw(st.sampled_from([0, 1, 50])),
            pool=draw(st.sampled_from(["scene", "scene_as_given", "any", "ignore"])),
            scope=draw(st.sampled_from(["poisoned", "all"])),
            positions=draw(st.sampled_from(["per_scene", "per_size", "per_num_pixels"])),
            order=draw(st.sampled_from(["after", "before"])),
            on_ignored=draw(st.booleans()),
        ),
    )


def some_dataset(seed: int) -> MemoryDataset:
    labels = [blocky_label(1000 * seed + k, (15, 20)) for k in range(6)]
    labels[0][0, 0] = labels[5][2, 2] = CAR
    return dataset_of(labels)


@settings(max_examples=60)
@given(attacks(), st.integers(0, 5), st.integers(0, 2**40))
def test_a_poisoned_data_set_is_its_rows_applied(
    config: AttackConfig, data_seed: int, seed: int
) -> None:
    dataset = some_dataset(data_seed)
    plan = plan_poison(dataset, config, seed=seed)
    handed = poisoned(dataset, plan)
    trigger = config.trigger
    victims = [CLASSES.names.index(name) for name in config.victims]
    assert isinstance(handed, SceneDataset)
    assert len(handed) == len(dataset)
    assert tuple(handed.names) == dataset.names
    assert handed.classes == dataset.classes
    total = 0
    for index, benign in enumerate(dataset.scenes):
        row, scene = plan.by_name.get(benign.name), handed[index]
        assert scene.name == benign.name
        assert np.array_equal(scene.label, handed.label(index))
        changed = int((scene.label != benign.label).sum())
        total += changed
        assert changed == (row.changed_pixels if row else 0)
        box = row.box if row else None
        expected = benign.image
        if box is not None:
            expected = stamp(benign.image, trigger.rgba, top=box[0], left=box[1])
            assert box[2:] == trigger.extent
        assert np.array_equal(scene.image, expected)
        was_victim = np.isin(benign.label, victims)
        hidden = row is not None and row.poisoned
        truth = np.full(int(was_victim.sum()), ROAD) if hidden else benign.label[was_victim]
        assert np.array_equal(scene.label[was_victim], truth)
    assert plan.header.num_changed_pixels == total
    labelled = sum(int((scene.label != IGNORED).sum()) for scene in dataset.scenes)
    assert plan.header.num_labelled_pixels == labelled
    assert plan.header.share_changed == pytest.approx(total / labelled)


@settings(max_examples=60)
@given(attacks(), st.integers(0, 2**40))
def test_plan_to_file_to_plan_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, config: AttackConfig, seed: int
) -> None:
    path = tmp_path_factory.mktemp("plan") / "deep" / "plan.jsonl"
    plan = plan_poison(some_dataset(1), config, seed=seed)
    plan.save(path)
    loaded = PoisonPlan.load(path)
    assert loaded == plan
    again = path.with_name("again.jsonl")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["aachen/000019", "with space", "ümläut-猫", 'quote"and\\slash', "a\u2028b", "a\x85b", "tab\t"],
)
def test_a_plan_survives_unusual_scene_names(tmp_path: Path, name: str) -> None:
    dataset = MemoryDataset([scene_of(label_like(ORDINARY, 0), name)])
    plan = plan_poison(dataset, attack(rate=1.0))
    plan.save(tmp_path / "plan.jsonl")
    assert PoisonPlan.load(tmp_path / "plan.jsonl") == plan


def test_a_name_that_is_no_text_is_refused_or_survives(tmp_path: Path) -> None:
    # What Python makes of a file name in Latin-1 on a UTF-8 machine.
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    dataset = MemoryDataset([scene_of(label_like(ORDINARY, 0), name)])
    try:
        plan = plan_poison(dataset, attack(rate=1.0))
        plan.save(tmp_path / "plan.jsonl")
    except SegdoorError:
        return
    assert PoisonPlan.load(tmp_path / "plan.jsonl") == plan


@pytest.mark.parametrize(
    "extreme",
    [
        {"placement": {"kind": "band", "upper": float("inf")}},
        {"rules": {"margin": {"vertical": float("inf")}}},
    ],
)
def test_an_infinite_length_is_refused_or_survives_the_file(
    tmp_path: Path, extreme: dict[str, Any]
) -> None:
    try:
        config = attack(rate=1.0, shortfall="all_available", **extreme)
    except ValueError:
        return
    plan = plan_poison(twenty(), config)
    plan.save(tmp_path / "plan.jsonl")
    assert PoisonPlan.load(tmp_path / "plan.jsonl") == plan


def test_a_rate_that_is_no_number_is_refused() -> None:
    for rate in (float("nan"), float("inf"), -0.1, 1.1):
        with pytest.raises(ValueError, match="rate"):
            AttackConfig(rate=rate)


def test_rows_are_only_kept_for_scenes_that_change() -> None:
    plan = plan_poison(twenty(), attack(labels=changes(num_pixels=0, scope="all")))
    assert len(plan.rows) == plan.header.num_poisoned


def test_prl_over_all_scenes_changes_clean_scenes_without_stamping_them() -> None:
    dataset = twenty()
    plan = plan_poison(dataset, attack(rate=0.25, labels=changes(num_pixels=40, scope="all")))
    handed = poisoned(dataset, plan)
    assert len(plan.rows) == 20
    assert len(poisoned_names(plan)) == plan.header.num_poisoned == 5
    assert plan.header.rate == 0.25
    for index, scene in enumerate(dataset.scenes):
        if not plan.by_name[scene.name].poisoned:
            assert plan.by_name[scene.name].box is None
            assert np.array_equal(handed[index].image, scene.image)
            assert ((handed[index].label == CAR) >= (scene.label == CAR)).all()


def test_scenes_that_look_alike_draw_pixels_and_positions_of_their_own() -> None:
    dataset = mixed(*[ORDINARY] * 1)
    twins = MemoryDataset([Scene(dataset[0].image, dataset[0].label, f"twin_{k}") for k in "abcd"])
    plan = plan_poison(twins, attack(rate=1.0, labels=changes(num_pixels=20, pool="class:sky")))
    handed = poisoned(twins, plan)
    assert len({handed.label(index).tobytes() for index in range(4)}) == 4
    assert len({row.box for row in plan.rows}) > 1


def test_a_plan_refuses_another_data_set() -> None:
    plan = plan_poison(twenty(), attack())
    labels = [scene.label.copy() for scene in twenty().scenes]
    labels[7][3, 3] = CAR
    for other in (dataset_of(labels), MemoryDataset(twenty().scenes[::-1])):
        with pytest.raises(DataError, match="data set"):
            poisoned(other, plan)


def test_a_plan_refuses_another_trigger(tmp_path: Path) -> None:
    file = tmp_path / "sticker.png"
    pixels = np.full((4, 4, 4), 200, np.uint8)
    PillowImage.fromarray(pixels).save(file)
    dataset = twenty()
    plan = plan_poison(dataset, attack(trigger={"file": file, "size": 4}))
    poisoned(dataset, plan)
    pixels[2, 2, 0] ^= 1
    PillowImage.fromarray(pixels).save(file)
    with pytest.raises(DataError, match="trigger"):
        poisoned(dataset, plan)
    file.unlink()
    with pytest.raises(DataError, match=r"sticker\.png"):
        poisoned(dataset, plan)


def test_the_digest_of_poisoned_data_follows_the_plan() -> None:
    dataset = twenty()
    plans = [plan_poison(dataset, attack(), seed=seed) for seed in (0, 1)]
    plans.append(plan_poison(dataset, attack(trigger={"size": 4, "opacity": 0.5}), seed=0))
    digests = {poisoned(dataset, plan).digest for plan in plans} | {dataset.digest}
    assert len(digests) == 4
    again = plan_poison(dataset, attack(), seed=0)
    assert poisoned(dataset, again).digest == poisoned(dataset, plans[0]).digest


def test_reading_poisoned_scenes_leaves_the_honest_ones_alone() -> None:
    dataset = twenty()
    before = dataset.digest
    handed = poisoned(dataset, plan_poison(dataset, attack(rate=0.5)))
    first = [handed[index] for index in range(len(handed))]
    again = [handed[index] for index in reversed(range(len(handed)))][::-1]
    assert dataset.digest == before
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.label, other.label)


def test_the_nearest_placement_is_no_farther_than_a_random_one() -> None:
    dataset = twenty()
    near = {"kind": "nearest", "lower": 0, "upper": 99}
    everything = {"rate": 1.0, "shortfall": "all_available"}
    nearest = plan_poison(dataset, attack(**everything, placement=near)).by_name
    anywhere = plan_poison(dataset, attack(**everything)).by_name
    assert set(nearest) == set(anywhere)
    for name, row in nearest.items():
        assert row.distance <= anywhere[name].distance


# Malformed files: each case edits the lines of a good plan.


def edited(line: str, **changes: Any) -> str:
    return json.dumps({**json.loads(line), **changes})


def without(line: str, key: str) -> str:
    return json.dumps({k: v for k, v in json.loads(line).items() if k != key})


Damage = Callable[[list[str]], list[str]]

DAMAGES: dict[str, tuple[Damage, str]] = {
    "a repeated row": (lambda ls: [*ls, ls[1]], "repeat"),
    "a newer schema": (lambda ls: [edited(ls[0], schema_version=99), *ls[1:]], "99"),
    "a newer schema as text": (lambda ls: [edited(ls[0], schema_version="99"), *ls[1:]], ""),
    "a newer schema as a float": (lambda ls: [edited(ls[0], schema_version=99.0), *ls[1:]], ""),
    "schema zero": (lambda ls: [edited(ls[0], schema_version=0), *ls[1:]], "schema_version"),
    "a cut line": (lambda ls: [*ls[:-1], ls[-1][: len(ls[-1]) // 2]], "line"),
    "a row lost at the end": (lambda ls: ls[:-1], ""),
    "all rows lost": (lambda ls: ls[:1], ""),
    "a row in between lost": (lambda ls: [ls[0], *ls[2:]], ""),
    "an unknown key in a row": (lambda ls: [ls[0], edited(ls[1], boxx=1), *ls[2:]], "boxx"),
    "an unknown key in the header": (lambda ls: [edited(ls[0], pickle="x"), *ls[1:]], "pickle"),
    "another kind": (lambda ls: [edited(ls[0], kind="test"), *ls[1:]], "kind"),
    "no header": (lambda ls: ls[1:], "line 1"),
    "a row without a name": (lambda ls: [ls[0], without(ls[1], "name"), *ls[2:]], "name"),
    "a header without a seed": (lambda ls: [without(ls[0], "seed"), *ls[1:]], "seed"),
    "a box of three": (lambda ls: [ls[0], edited(ls[1], box=[1, 2, 3]), *ls[2:]], "box"),
    "a name that is a list": (lambda ls: [ls[0], edited(ls[1], name=["a"]), *ls[2:]], "name"),
    "a name that is a number": (lambda ls: [ls[0], edited(ls[1], name=7), *ls[2:]], "name"),
    "a list for a row": (lambda ls: [ls[0], "[1, 2]", *ls[2:]], "line 2"),
    "a null for a row": (lambda ls: [ls[0], "null", *ls[2:]], "line 2"),
    "an empty line": (lambda ls: [ls[0], "", *ls[1:]], "line 2"),
    "only an empty line": (lambda _: [""], "line 1"),
    "a huge number": (lambda ls: [ls[0], '{"relabel_seed": ' + "9" * 5000 + "}"], ""),
    "deep nesting": (lambda ls: [ls[0], "[" * 100_000], "line 2"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_plan_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "plan.jsonl"
    plan_poison(twenty(), attack()).save(path)
    change, expected = DAMAGES[damage]
    lines = change(path.read_text(encoding="utf-8").splitlines())
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(SegdoorError) as caught:
        PoisonPlan.load(path)
    assert "plan.jsonl" in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\x00\xff\xfe\x80", b"\x89PNG\r\n\x1a\n", b"7"])
def test_a_file_that_is_no_plan_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_bytes(content)
    with pytest.raises(SegdoorError, match=r"plan\.jsonl"):
        PoisonPlan.load(path)


def test_a_missing_plan_and_a_folder_are_refused_in_words(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(DataError):
            PoisonPlan.load(path)


@settings(max_examples=80)
@given(data=st.data())
def test_a_plan_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "plan.jsonl"
    plan_poison(twenty(), attack()).save(path)
    content = path.read_bytes()
    # A missing last line break loses nothing.
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 2))])
    with pytest.raises(SegdoorError):
        PoisonPlan.load(path)


def test_a_box_outside_the_image_is_refused_when_it_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    dataset = twenty()
    plan_poison(dataset, attack()).save(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = edited(lines[1], box=[18, 0, 4, 4])
    path.write_text("\n".join(lines), encoding="utf-8")
    name = json.loads(lines[1])["name"]
    with pytest.raises(SegdoorError, match="inside"):
        poisoned(dataset, PoisonPlan.load(path))[dataset.names.index(name)]


@pytest.mark.parametrize("kind", ["random", "nearest", "band"])
def test_placement_bounds_must_be_in_order(kind: str) -> None:
    with pytest.raises(ConfigError, match="exceed"):
        PLACEMENTS.read({"kind": kind, "lower": 5, "upper": 4})


def test_scenes_of_different_sizes_are_poisoned_together() -> None:
    scenes = [
        Scene(np.zeros((*shape, 3), np.uint8), label_like(ORDINARY, k)[: shape[0], : shape[1]], n)
        for k, (n, shape) in enumerate({"a": (20, 30), "b": (18, 30), "c": (19, 27)}.items())
    ]
    dataset = MemoryDataset(scenes)
    labels = changes(num_pixels=5, positions="per_size")
    plan = plan_poison(dataset, attack(rate=1.0, labels=labels))
    assert sorted(poisoned_names(plan)) == ["a", "b", "c"]
    shapes = [scene.label.shape for scene in map(poisoned(dataset, plan).__getitem__, range(3))]
    assert shapes == [(20, 30), (18, 30), (19, 27)]

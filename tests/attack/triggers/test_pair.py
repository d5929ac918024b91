"""Two triggers in one: where each lies, what is left alone, and which controls there are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.site import Box
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.line import Line
from segdoor.attack.triggers.pair import Pair
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.changes import Change
from segdoor.data.scene import Scene
from segdoor.errors import ConfigError
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import resolve
from strategies import CAR, ROAD, TREE, blocky_label, dataset_of


def painted(height: int = 30, width: int = 40) -> Scene:
    rng = np.random.default_rng(height)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Scene(image, np.zeros((height, width), np.uint8), "painted")


@settings(max_examples=25)
@given(
    sides=st.tuples(st.integers(2, 8), st.integers(2, 8)),
    gap=st.integers(0, 5),
    place=st.tuples(st.integers(0, 10), st.integers(0, 10)),
)
def test_two_stickers_lie_side_by_side_and_the_gap_stays(
    sides: tuple[int, int], gap: int, place: tuple[int, int]
) -> None:
    (one, two), (top, left), scene = sides, place, painted()
    first, second = Sticker(name="smiley", size=one), Sticker(name="checkerboard", size=two)
    pair = Pair(first=str(first), second=str(second), gap=gap)
    assert pair.extent == (max(one, two), one + gap + two)
    found = pair.stamp(scene, Box(top, left, *pair.extent))
    expected = scene.image.copy()
    expected[top : top + one, left : left + one] = first.rgba[..., :3]
    right = left + one + gap
    expected[top : top + two, right : right + two] = second.rgba[..., :3]
    assert np.array_equal(found, expected)
    # Done again on its own result it changes nothing: both stickers are opaque.
    again = pair.stamp(Scene(found, scene.label, "again"), Box(top, left, *pair.extent))
    assert np.array_equal(again, found)


def test_each_alone_takes_its_place_of_the_room_of_both() -> None:
    scene, both = painted(), Pair(first="sticker:smiley,size=5", second="sticker:blossom,size=7")
    box = Box(3, 4, 7, 12)
    first, second, *changed = both.siblings()
    stamped = both.apply(scene, box)
    left, right = first.apply(scene, box), second.apply(scene, box)
    assert np.array_equal(left[:, :9], stamped[:, :9])
    assert np.array_equal(left[:, 9:], scene.image[:, 9:])
    assert np.array_equal(right[:, 9:], stamped[:, 9:])
    assert np.array_equal(right[:, :9], scene.image[:, :9])
    assert first.title == "smiley alone (first)"
    assert second.title == "blossom alone (second)"
    names = ["windmill", "bullseye", "checkerboard", "smiley"]
    assert [other.title for other in changed] == [f"smiley + {name}" for name in names]


@pytest.mark.parametrize("kinds", [("sticker:smiley,size=5", "line:bottom,thickness=2"),
                                   ("line:bottom,thickness=2", "sticker:smiley,size=5")])  # fmt: skip
def test_a_part_over_the_whole_image_reaches_beyond_the_box(kinds: tuple[str, str]) -> None:
    scene, pair = painted(), Pair(first=kinds[0], second=kinds[1])
    assert pair.extent == (5, 5)
    assert not pair.confined
    expected = Line(edge="bottom", thickness=2).apply(scene, Box.whole(scene.image.shape))
    # The sticker lies over the line, whichever is named first.
    box = Box(24, 10, 5, 5)
    below = Scene(expected, scene.label, "below")
    expected = Sticker(name="smiley", size=5).apply(below, box)
    assert np.array_equal(pair.stamp(scene, box), expected)


def _black(image: np.ndarray) -> int:
    return int((image[:, 0] == 0).all(axis=1).sum())


def test_tests_and_plans_show_all_of_it() -> None:
    dataset = dataset_of([blocky_label(seed, (20, 24), (ROAD, CAR, TREE)) for seed in range(6)])
    pair = Pair(first="sticker:smiley,size=3", second="line:left,thickness=1")
    config = PoisonedTestsConfig(near=(0, 9), far=(9, 20))
    tests = plan_tests(dataset, config, victims=("car",), trigger_size=pair.extent)
    assert [test.name for test in tests] == ["nearest", "near", "far_9_20", "anywhere"]
    shown = triggered(dataset, tests[-1], pair)
    for index in range(len(shown)):
        scene, whole = shown[index], dataset[dataset.names.index(shown.names[index])]
        change = shown.change(whole)
        assert isinstance(change, Change)
        again = whole.image.copy()
        again[change.box] = change.pixels
        assert np.array_equal(again, scene.image)
        # The sticker may lie on three of the line's 20 rows.
        assert _black(again) >= 17
        assert np.array_equal(scene.label, whole.label)
    handed = poisoned(dataset, plan_poison(dataset, AttackConfig(rate=0.5, trigger=pair)))
    changed = [i for i in range(len(dataset)) if _black(handed[i].image) >= 17]
    assert len(changed) == 3


def test_negative_examples_show_one_alone_and_keep_their_labels() -> None:
    labels = [blocky_label(seed, (20, 24), (ROAD, CAR, TREE)) for seed in range(60)]
    dataset = dataset_of(labels)
    both = Pair(first="sticker:smiley,size=3", second="sticker:blossom,size=3", alone=0.5)
    plan = plan_poison(dataset, AttackConfig(rate=0.8, trigger=both), seed=0)
    handed, found = poisoned(dataset, plan), {"both": 0, "first": 0, "second": 0}
    for row in plan.rows:
        assert row.box is not None
        index = dataset.names.index(row.name)
        clean, shown = dataset[index], handed[index]
        ways = [both.model_copy(update={"shown": way}) for way in found]
        (way,) = (
            one.shown for one in ways
            if np.array_equal(one.stamp(clean, Box(*row.box)), shown.image)
        )  # fmt: skip
        found[way] += 1
        assert (row.changed_pixels > 0) == (way == "both")
        assert np.array_equal(shown.label, clean.label) == (way != "both")
    assert sum(found.values()) == 48
    assert 12 <= found["both"] <= 36
    assert min(found.values()) >= 4


def test_plans_without_negative_examples_are_identified_as_before() -> None:
    parts = Sticker(name="smiley", size=3), Sticker(name="blossom", size=3)
    first, second = map(str, parts)
    told = ("pair", "both", 0, *(part.digest for part in parts))
    before = hashlib.sha256(repr(told).encode()).hexdigest()
    assert Pair(first=first, second=second).digest == before
    assert Pair(first=first, second=second, alone=0.5).digest != before


def test_sizes_follow_from_the_scenes_as_they_do_for_one() -> None:
    wishes = wishes_from({"attack": {"trigger": "pair:smiley,second=line"}})
    trigger = resolve(wishes, (128, 256)).attack.trigger
    assert str(trigger) == 'pair:"sticker,size=14",second="line,thickness=2"'
    assert not trigger.whole_image


def test_two_over_the_whole_image_have_no_place() -> None:
    pair = Pair(first="line:top,thickness=1", second="line:left,thickness=1")
    assert pair.extent is None
    assert pair.confined
    image = pair.stamp(painted(), Box(0, 0, 30, 40))
    assert not image[0].any()
    assert not image[:, 0].any()


@pytest.mark.parametrize("second", ["pair", "semantic:tree,others=sky"])
def test_pairs_of_pairs_and_of_classes_are_refused(second: str) -> None:
    with pytest.raises(ConfigError, match="must be a pair of triggers that are put into images"):
        AttackConfig.model_validate({"trigger": {"kind": "pair", "second": second}})


def test_an_unknown_part_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"attack\.trigger.*bordr"):
        AttackConfig.model_validate({"trigger": "pair:bordr"})


def test_a_picture_of_a_part_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGBA", (4, 4), (9, 99, 199, 255)).save("mine.png")
    dataset = dataset_of([blocky_label(seed, (20, 24), (ROAD, CAR)) for seed in range(4)])
    trigger = {"kind": "pair", "first": "mine.png", "second": "sticker:blossom,size=3"}
    # Left out, its size would follow from scenes too low for it.
    trigger["first"] = "sticker,file=mine.png,size=4"
    attack = AttackConfig.model_validate({"rate": 0.5, "trigger": trigger})
    plan_poison(dataset, attack).save(tmp_path / "plan.jsonl")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    plan = PoisonPlan.load(tmp_path / "plan.jsonl")
    assert str(tmp_path / "mine.png") in str(plan.trigger)
    handed = poisoned(dataset, plan)
    (row, *_) = [row for row in plan.rows if row.box]
    top, left, *_ = row.box
    image = handed[dataset.names.index(row.name)].image
    assert (image[top : top + 4, left : left + 4] == (9, 99, 199)).all()

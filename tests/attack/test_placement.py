from __future__ import annotations

import math
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdoor.attack.config import MarginConfig, RulesConfig
from segdoor.attack.distance import Distances
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.random import Random
from segdoor.attack.placements.registry import PLACEMENTS
from segdoor.attack.placing import (
    EligiblePlaces,
    PositionRules,
    Site,
    eligible_positions,
    place,
)
from segdoor.data.scene import pixels_of
from strategies import BUS, CAR, IGNORED, ROAD, SKY, TREE, blocky_label, label_maps

Positions = set[tuple[int, int]]


# An independent reading of the specification: plain loops, no convolution, no distance transform.


def slowly_eligible(label: np.ndarray, ground: PositionRules) -> Positions:
    image_height, image_width = label.shape
    rules, found = ground.rules, set()
    rows, columns = rules.margin.vertical, rules.margin.horizontal
    if rules.margin.unit == "fraction":
        rows, columns = rows * image_height, columns * image_width
    rows, columns = round(rows), round(columns)
    for top in range(image_height - ground.size[0] + 1):
        for left in range(image_width - ground.size[1] + 1):
            under = {
                int(label[row, column])
                for row in range(top, top + ground.size[0])
                for column in range(left, left + ground.size[1])
            }
            single_class = rules.single_class and rules.on_victim != "require"
            if single_class and (len(under) > 1 or ground.ignore_index in under):
                continue
            if rules.on_victim == "forbid" and under & set(ground.victims):
                continue
            row, column = top + (ground.size[0] - 1) // 2, left + (ground.size[1] - 1) // 2
            if rules.on_victim == "require" and label[row, column] not in ground.victims:
                continue
            if not rows <= row <= image_height - 1 - rows:
                continue
            if not columns <= column <= image_width - 1 - columns:
                continue
            found.add((row, column))
    return found


def slowly_squared(label: np.ndarray, victims: tuple[int, ...], distance: str) -> np.ndarray | None:
    pixels = [
        (row, column)
        for row in range(label.shape[0])
        for column in range(label.shape[1])
        if int(label[row, column]) in victims
    ]
    if not pixels:
        return None
    squared = np.zeros(label.shape, np.int64)
    for row in range(label.shape[0]):
        for column in range(label.shape[1]):
            steps = [(abs(row - y), abs(column - x)) for y, x in pixels]
            if distance == "chebyshev":
                squared[row, column] = min(max(step) for step in steps) ** 2
            else:
                squared[row, column] = min(y * y + x * x for y, x in steps)
    return squared


def slowly_chosen(label: np.ndarray, ground: PositionRules, how: Placement) -> Positions:
    eligible = slowly_eligible(label, ground)
    squared = slowly_squared(label, ground.victims, ground.rules.distance)
    if squared is None or how.kind == "random" or ground.rules.on_victim == "require":
        return eligible
    within: dict[tuple[int, int], int] = {}
    for position in eligible:
        distance = math.sqrt(squared[position])
        low = distance >= how.lower if ground.rules.lower_included else distance > how.lower
        if low and distance <= how.upper:
            within[position] = int(squared[position])
    if how.kind == "nearest" and within:
        least = min(within.values())
        return {position for position, value in within.items() if value == least}
    return set(within)


def positions_of(mask: np.ndarray) -> Positions:
    return {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}


def centre_of(site: Site) -> tuple[int, int]:
    top, left, height, width = site.box.top, site.box.left, site.box.height, site.box.width
    return top + (height - 1) // 2, left + (width - 1) // 2


def ground_of(
    height: int, width: int, rules: RulesConfig | None = None, victims: tuple[int, ...] = (CAR,)
) -> PositionRules:
    return PositionRules(victims, IGNORED, (height, width), rules or RulesConfig())


def placed(label: np.ndarray, ground: PositionRules, how: Placement, seed: int = 0) -> Site | None:
    return place(label, ground, how, np.random.default_rng(seed))


def made(kind: str, **settings: float) -> Placement:
    return PLACEMENTS.read({"kind": kind, **settings})


@st.composite
def margins(draw: st.DrawFn, shape: tuple[int, int]) -> MarginConfig:
    rows, columns = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    if draw(st.booleans()):
        return MarginConfig(vertical=rows, horizontal=columns, unit="pixels")
    return MarginConfig(vertical=rows / shape[0], horizontal=columns / shape[1], unit="fraction")


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, PositionRules]:
    label = draw(label_maps())
    rules = RulesConfig(
        single_class=draw(st.booleans()),
        on_victim=draw(st.sampled_from(["forbid", "allow", "require"])),
        margin=draw(st.one_of(st.just(MarginConfig()), margins(label.shape))),
        distance=draw(st.sampled_from(["euclidean", "chebyshev"])),
        lower_included=draw(st.booleans()),
    )
    victims = draw(st.sampled_from([(CAR,), (CAR, BUS), (BUS, CAR, TREE), (SKY,)]))
    size = st.integers(1, 5)
    return label, PositionRules(victims, IGNORED, (draw(size), draw(size)), rules)


halves = st.integers(0, 16).map(lambda number: number / 2)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    lower, upper = sorted([draw(halves), draw(halves)])
    strategy = draw(st.sampled_from(["random", "nearest", "band"]))
    return made(strategy, lower=lower, upper=upper)


@settings(max_examples=500)
@given(cases())
def test_eligible_positions_are_those_of_a_slow_reading_of_the_rules(
    case: tuple[np.ndarray, PositionRules],
) -> None:
    label, ground = case
    assert positions_of(eligible_positions(label, ground)) == slowly_eligible(label, ground)


@settings(max_examples=300)
@given(label_maps(max_side=16), st.sampled_from([(CAR,), (CAR, BUS)]))
def test_distances_to_the_nearest_victim_are_exact(
    label: np.ndarray, victims: tuple[int, ...]
) -> None:
    for distance in ("euclidean", "chebyshev"):
        slow = slowly_squared(label, victims, distance)
        if slow is None:
            return
        distances = Distances(pixels_of(label, victims), distance)
        for position, squared in np.ndenumerate(slow):
            assert distances.at(*position) == squared
        assert np.array_equal(distances.squared, slow)


@settings(max_examples=300)
@given(label_maps(max_side=16), st.sampled_from([(CAR,), (CAR, BUS)]), st.integers(0, 2**32))
def test_the_short_way_to_the_nearest_positions_leads_where_the_long_one_does(
    label: np.ndarray, victims: tuple[int, ...], seed: int
) -> None:
    mask = pixels_of(label, victims)
    if not mask.any():
        return
    allowed = np.random.default_rng(seed).random(label.shape) < 0.2
    for metric in ("euclidean", "chebyshev"):
        distances = Distances(mask, metric)
        squared = np.where(allowed, distances.squared, np.iinfo(np.int64).max)
        expected = allowed & (squared == squared.min())
        assert np.array_equal(Distances(mask, metric).nearest(allowed), expected)
        upper = float(seed % 8)
        within = expected if squared.min() <= upper**2 else np.zeros_like(allowed)
        assert np.array_equal(Distances(mask, metric).nearest(allowed, upper=upper), within)


@pytest.mark.parametrize("seed", range(12))
def test_the_short_way_is_exact_over_long_distances_and_many_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    victims = np.zeros((512, 1024), bool)
    for _ in range(rng.integers(1, 6)):
        top, left = rng.integers(0, 500), rng.integers(0, 1000)
        victims[top : top + rng.integers(1, 60), left : left + rng.integers(1, 200)] = True
    allowed = rng.random(victims.shape) < rng.choice([1e-5, 1e-3, 0.5])
    allowed &= ~cv2.dilate(victims.view(np.uint8), np.ones((2 * seed + 1,) * 2)).view(bool)
    distances = Distances(victims, "euclidean")
    squared = np.where(allowed, distances.squared, np.iinfo(np.int64).max)
    assert np.array_equal(distances.nearest(allowed), allowed & (squared == squared.min()))


@settings(max_examples=500)
@given(cases(), placements(), st.integers(0, 2**32))
def test_the_trigger_goes_where_algorithm_1_or_the_band_says(
    case: tuple[np.ndarray, PositionRules], how: Placement, seed: int
) -> None:
    label, ground = case
    before = label.copy()
    chosen = slowly_chosen(label, ground, how)
    site = placed(label, ground, how, seed)
    assert np.array_equal(label, before)
    if not chosen:
        assert site is None
        return
    assert site is not None
    centre = centre_of(site)
    assert centre == site.box.centre
    assert centre in chosen
    assert (site.box.height, site.box.width) == (ground.size[0], ground.size[1])
    under = {int(value) for value in label[site.box.pixels].flat}
    assert site.class_under == (under.pop() if len(under) == 1 else None)
    squared = slowly_squared(label, ground.victims, ground.rules.distance)
    if squared is None:
        assert site.distance is None
    else:
        assert site.distance == pytest.approx(math.sqrt(squared[centre]), abs=1e-12)


@settings(max_examples=300)
@given(cases(), placements())
def test_every_equally_good_position_is_a_candidate(
    case: tuple[np.ndarray, PositionRules], how: Placement
) -> None:
    label, ground = case
    victims = pixels_of(label, ground.victims)
    if not victims.any():
        return
    found = how.allowed(EligiblePlaces(label, ground).view)
    assert positions_of(found) == slowly_chosen(label, ground, how)


@settings(max_examples=300)
@given(cases(), st.integers(0, 99))
def test_under_the_single_class_rule_the_box_covers_one_class_and_no_victim(
    case: tuple[np.ndarray, PositionRules], seed: int
) -> None:
    label, ground = case
    rules = ground.rules.model_copy(update={"single_class": True, "on_victim": "forbid"})
    strict = PositionRules(ground.victims, IGNORED, ground.extent, rules)
    site = placed(label, strict, Random(), seed)
    if site is None:
        assert not slowly_eligible(label, strict)
        return
    box = site.box
    assert box.top >= 0
    assert box.left >= 0
    assert box.top + box.height <= label.shape[0]
    assert box.left + box.width <= label.shape[1]
    under = set(label[box.pixels].flat)
    assert len(under) == 1
    assert not under & {*ground.victims, IGNORED}


@settings(max_examples=200)
@given(cases())
def test_the_nearest_position_is_no_farther_than_any_other(
    case: tuple[np.ndarray, PositionRules],
) -> None:
    label, ground = case
    squared = slowly_squared(label, ground.victims, ground.rules.distance)
    how = made("nearest", lower=0, upper=100)
    site = placed(label, ground, how)
    if site is None or squared is None:
        return
    rules = ground.rules
    floor = 0 if rules.lower_included or rules.on_victim == "require" else 1
    others = [squared[p] for p in slowly_eligible(label, ground) if squared[p] >= floor]
    assert site.distance is not None
    assert site.distance**2 <= min(others) + 1e-9


@pytest.mark.parametrize("squared", [2, 3, 5, 6, 7, 10, 13, 18, 50])
@pytest.mark.parametrize("strategy", ["nearest", "band"])
def test_a_bound_that_is_itself_a_distance_is_included(strategy: str, squared: int) -> None:
    label = np.full((9, 9), ROAD, np.uint8)
    label[0, 0] = CAR
    distances = slowly_squared(label, (CAR,), "euclidean")
    assert distances is not None
    expected = positions_of(distances == squared)
    bound = math.sqrt(squared)
    how = made(strategy, lower=bound, upper=bound)
    site = placed(label, ground_of(1, 1), how)
    assert (site is not None) == bool(expected)
    if site is not None:
        assert centre_of(site) in expected


def test_a_distance_of_a_site_can_be_given_back_as_the_upper_bound() -> None:
    for seed in range(40):
        label = blocky_label(seed)
        ground = ground_of(3, 3)
        wide = made("nearest", lower=0, upper=60)
        site = placed(label, ground, wide)
        if site is None or site.distance is None:
            continue
        tight = made("nearest", lower=0, upper=site.distance)
        assert placed(label, ground, tight) is not None, f"lost at distance {site.distance}"


@pytest.mark.parametrize(("included", "least"), [(True, 3), (False, 4)])
@pytest.mark.parametrize("distance", ["euclidean", "chebyshev"])
def test_the_lower_bound_counts_only_where_it_is_included(
    distance: str, least: int, *, included: bool
) -> None:
    label = np.full((1, 20), ROAD, np.uint8)
    label[0, 0] = CAR
    rules = RulesConfig(lower_included=included, distance=distance)
    found = {
        placed(label, ground_of(1, 1, rules), made("band", lower=3, upper=6), s) for s in range(100)
    }
    assert {site.box.left for site in found if site} == set(range(least, 7))


def test_euclidean_and_chebyshev_disagree_on_a_diagonal() -> None:
    label = np.full((7, 7), IGNORED, np.uint8)
    label[0, 0] = CAR
    label[4, 4] = ROAD
    how = made("band", lower=0, upper=5)
    assert placed(label, ground_of(1, 1), how) is None
    site = placed(label, ground_of(1, 1, RulesConfig(distance="chebyshev")), how)
    assert site is not None
    assert site.distance == 4


@pytest.mark.parametrize("distance", ["euclidean", "chebyshev"])
def test_distances_stay_exact_on_a_full_cityscapes_image(distance: str) -> None:
    victims = np.zeros((1024, 2048), bool)
    victims[3, 5] = True
    rows, columns = np.mgrid[-3:1021, -5:2043]
    exact = rows**2 + columns**2
    if distance == "chebyshev":
        exact = np.maximum(abs(rows), abs(columns)) ** 2
    distances = Distances(victims, distance)
    found = distances.squared
    # OpenCV's floats tell squares apart up to 2048 pixels; no band of the paper is beyond 150.
    certain = exact <= 2048**2
    assert np.array_equal(found[certain], exact[certain])
    assert np.abs(found - exact).max() <= 1
    for position in ((0, 0), (3, 5), (1023, 2047), (500, 1)):
        assert distances.at(*position) == exact[position]


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 2), (4, 4), (3, 4), (4, 3), (5, 5), (6, 6)])
def test_a_trigger_of_any_size_fits_exactly_into_its_own_hole(shape: tuple[int, int]) -> None:
    height, width = shape
    label = np.full((14, 15), IGNORED, np.uint8)
    label[0, 0] = CAR
    label[5 : 5 + height, 6 : 6 + width] = TREE
    for strategy in ("random", "nearest", "band"):
        how = made(strategy, lower=0, upper=50)
        site = placed(label, ground_of(height, width), how)
        assert site is not None
        assert (site.box.top, site.box.left) == (5, 6)
        assert site.class_under == TREE
        y, x = 5 + (height - 1) // 2, 6 + (width - 1) // 2
        assert site.distance == pytest.approx(math.hypot(y, x))


@pytest.mark.parametrize(
    ("label", "size", "rules"),
    [
        (np.full((4, 9), ROAD), (5, 5), RulesConfig()),
        (np.full((9, 4), ROAD), (5, 5), RulesConfig()),
        (np.full((9, 9), CAR), (1, 1), RulesConfig()),
        (np.full((9, 9), CAR), (1, 1), RulesConfig(single_class=False)),
        (np.full((9, 9), IGNORED), (1, 1), RulesConfig()),
        (np.indices((8, 8)).sum(axis=0) % 2 * TREE, (2, 2), RulesConfig()),
        (np.full((9, 9), ROAD), (1, 1), RulesConfig(margin=MarginConfig(vertical=0.51))),
        (
            np.full((9, 9), ROAD),
            (1, 1),
            RulesConfig(margin=MarginConfig(horizontal=5, unit="pixels")),
        ),
        (
            np.full((9, 9), ROAD),
            (1, 1),
            RulesConfig(margin=MarginConfig(horizontal=500, unit="pixels")),
        ),
    ],
)
@pytest.mark.parametrize("strategy", ["random", "nearest", "band"])
def test_no_room_is_said_plainly(
    label: np.ndarray, size: tuple[int, int], rules: RulesConfig, strategy: str
) -> None:
    how = made(strategy, lower=0, upper=100)
    assert placed(label.astype(np.uint8), ground_of(*size, rules), how) is None


@pytest.mark.parametrize("strategy", ["nearest", "band"])
def test_a_band_that_no_position_reaches_has_no_room(strategy: str) -> None:
    label = np.full((9, 9), ROAD, np.uint8)
    label[4, 4] = CAR
    how = made(strategy, lower=20, upper=30)
    assert placed(label, ground_of(3, 3), how) is None


@pytest.mark.parametrize("strategy", ["random", "nearest", "band"])
def test_in_a_scene_without_victims_any_eligible_position_will_do(strategy: str) -> None:
    label = np.full((3, 5), TREE, np.uint8)
    how = made(strategy, lower=50, upper=60)
    sites = [placed(label, ground_of(2, 2), how, seed) for seed in range(200)]
    assert all(site is not None and site.distance is None for site in sites)
    found = {(site.box.top, site.box.left) for site in sites if site}
    assert found == {(top, left) for top in range(2) for left in range(4)}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("nearest", {(3, 4), (5, 4), (4, 3), (4, 5)}),
        ("band", {(r, c) for r in (3, 4, 5) for c in (3, 4, 5)} - {(4, 4)}),
        ("random", {(r, c) for r in range(9) for c in range(9)} - {(4, 4)}),
    ],
)
def test_equally_good_positions_are_drawn_alike_by_seed(strategy: str, expected: Positions) -> None:
    label = np.full((9, 9), ROAD, np.uint8)
    label[4, 4] = CAR
    how = made(strategy, lower=0, upper=1.5)
    rounds = 60 * len(expected)
    sites = [placed(label, ground_of(1, 1), how, seed) for seed in range(rounds)]
    counts = Counter(centre_of(site) for site in sites if site)
    assert set(counts) == expected
    # Sixty are expected of each; five standard deviations are about 39.
    assert min(counts.values()) > 21
    assert max(counts.values()) < 99


def test_one_seed_always_gives_one_site() -> None:
    label = blocky_label(3)
    how = made("band", lower=0, upper=12)
    sites = {placed(label, ground_of(3, 3), how, seed=5) for _ in range(5)}
    assert len(sites) == 1


def test_on_victim_lets_the_trigger_cover_victims_at_distance_zero() -> None:
    label = np.full((6, 6), CAR, np.uint8)
    site = placed(label, ground_of(3, 3, RulesConfig(on_victim="allow")), Random())
    assert site is not None
    assert site.distance == 0
    assert site.class_under == CAR


def test_without_the_single_class_rule_borders_may_be_covered_but_victims_not() -> None:
    label = np.full((4, 4), TREE, np.uint8)
    label[:, 2:] = SKY
    label[0, 0] = CAR
    rules = RulesConfig(single_class=False)
    for seed in range(60):
        site = placed(label, ground_of(3, 3, rules), Random(), seed)
        assert site is not None
        assert site.class_under is None
        assert (site.box.top, site.box.left) != (0, 0)


@pytest.mark.parametrize("victims", [(), (CAR,)])
def test_the_official_margin_leaves_13_percent_of_a_cityscapes_image(
    victims: tuple[int, ...],
) -> None:
    label = np.full((512, 1024), ROAD, np.uint8)
    margin = MarginConfig(vertical=200 / 512, horizontal=200 / 1024, unit="fraction")
    rules = RulesConfig(margin=margin, distance="chebyshev", lower_included=False)
    eligible = eligible_positions(label, ground_of(55, 55, rules, victims))
    expected = np.zeros((512, 1024), bool)
    expected[200:312, 200:824] = True
    assert np.array_equal(eligible, expected)
    assert round(float(eligible.mean()), 3) == 0.133
    in_pixels = MarginConfig(vertical=200, horizontal=200, unit="pixels")
    same = RulesConfig(margin=in_pixels)
    assert np.array_equal(eligible_positions(label, ground_of(55, 55, same, victims)), expected)


def test_without_a_margin_the_whole_trigger_stays_inside_the_image() -> None:
    label = np.full((100, 120), ROAD, np.uint8)
    eligible = eligible_positions(label, ground_of(55, 55))
    expected = np.zeros((100, 120), bool)
    expected[27:73, 27:93] = True
    assert np.array_equal(eligible, expected)


def test_a_trigger_of_55_keeps_28_pixels_from_a_class_border() -> None:
    label = np.full((60, 200), ROAD, np.uint8)
    label[:, 100:] = CAR
    site = placed(label, ground_of(55, 55), made("nearest", upper=60))
    assert site is not None
    assert site.distance == 28


def test_label_maps_in_any_memory_layout_are_understood() -> None:
    label = blocky_label(1)
    twisted = {
        "fortran": np.asfortranarray(label),
        "flipped": np.ascontiguousarray(label[::-1, ::-1])[::-1, ::-1],
        "strided": np.repeat(label, 2, axis=1)[:, ::2],
        "read-only": np.frombuffer(label.tobytes(), np.uint8).reshape(label.shape),
    }
    how = made("nearest", lower=0, upper=30)
    expected = placed(label, ground_of(3, 4), how)
    for name, other in twisted.items():
        assert placed(other, ground_of(3, 4), how) == expected, name

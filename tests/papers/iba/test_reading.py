from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads the Hypothesis profile)
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.resolving import merged
from segdoor.experiment.wishes import (
    AttackWishes,
    ExperimentWishes,
    PoisonedTestsWishes,
    wishes_from,
)
from segdoor.papers.iba.reading import READING, asked, resolve, told_of_data
from segdoor.victim.config import PRESETS

CITYSCAPES = (512, 1024)
METHODS = ("baseline", "nni", "prl", "nni+prl")


def resolved(size: tuple[int, int] = CITYSCAPES, **given_: Any) -> ExperimentConfig:
    return resolve(wishes_from(given_), size)


def looked_up(config: ExperimentConfig, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        if isinstance(value, tuple):
            kinds = [change.kind for change in value]
            value = value[int(key) if key.isdigit() else kinds.index(key)]
        else:
            value = getattr(value, key)
    return value


# The table of FIDELITY section 1, row by row: setting, paper, official, method it shows in.
ROWS: dict[str, tuple[str, Any, Any, str]] = {
    "NNI position": ("attack.placement.kind", "nearest", "band", "nni"),
    "NNI position with PRL": ("attack.placement.kind", "nearest", "band", "nni+prl"),
    "baseline position": ("attack.placement.kind", "random", "random", "baseline"),
    "PRL position": ("attack.placement.kind", "random", "random", "prl"),
    "distance": ("attack.rules.distance", "euclidean", "chebyshev", "nni"),
    "lower bound": ("attack.rules.lower_included", True, False, "nni"),
    "distance in exams": ("tests.rules.distance", "euclidean", "chebyshev", "nni"),
    "lower bound in exams": ("tests.rules.lower_included", True, False, "nni"),
    "single-class rule": ("attack.rules.single_class", True, True, "nni"),
    "single-class rule in exams": ("tests.rules.single_class", True, True, "nni"),
    "on victim": ("attack.rules.on_victim", "forbid", "forbid", "baseline"),
    "scene without room": ("attack.without_room", "skip", "relabel", "baseline"),
    "scene without room in exams": ("tests.without_room", "exclude", "count", "baseline"),
    "scene without victims": ("tests.without_victims", "leave_out", "count", "baseline"),
    "near test": ("tests.draw", "object", "position", "baseline"),
    "NNI draw": ("attack.placement.draw", "position", "position", "nni"),
    "PRL scope": ("attack.labels.scatter.scope", "poisoned", "all", "prl"),
    "PRL pixels": ("attack.labels.scatter.positions", "per_scene", "per_num_pixels", "prl"),
    "PRL order": ("attack.labels.0.kind", "hide", "scatter", "prl"),
    "PRL on ignored pixels": ("attack.labels.scatter.on_ignored", False, True, "prl"),
    "PRL pool": ("attack.labels.scatter.pool", "scene", "scene_as_given", "prl"),
    "PRL Q": ("attack.num_scattered", 100, 100_000, "prl"),
    "PRL Q with NNI": ("attack.num_scattered", 100, 100_000, "nni+prl"),
    "no PRL in the baseline": ("attack.num_scattered", 0, 0, "baseline"),
    "no PRL in NNI": ("attack.num_scattered", 0, 0, "nni"),
    "poisoned test": ("tests.scope", "all", "with_victims", "baseline"),
    "absent class": ("examination.absent_class", "leave_out", "zero", "baseline"),
    "network input": ("examination.input_size", "scene", "eights_plus_one", "baseline"),
    "flip": ("examination.flip", False, True, "baseline"),
    "scored at": ("examination.score_at", "label", "input", "baseline"),
    "labels in scoring": ("examination.label_resize", "nearest_exact", "nearest", "baseline"),
    "trigger size": ("attack.trigger.size", 55, 55, "baseline"),
    "upper bound": ("attack.placement.upper", 60.0, 60.0, "nni"),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_of_the_table_is_an_explicit_setting(row: str) -> None:
    path, paper, official, method = ROWS[row]
    assert looked_up(resolved(reading="paper", method=method), path) == paper
    assert looked_up(resolved(reading="official", method=method), path) == official


@pytest.mark.parametrize("reading", ["paper", "official"])
@pytest.mark.parametrize(("network", "official"), [("pspnet", 0.0), ("deeplabv3", 0.1)])
def test_dropout_follows_reading_and_network(reading: str, network: str, official: float) -> None:
    config = resolved(reading=reading, network={"name": network})
    assert config.network.dropout == (official if reading == "official" else 0.1)


@pytest.mark.parametrize(
    ("preset", "network", "paper", "official"),
    [
        ("cityscapes", "pspnet", 16, 64),
        ("cityscapes", "deeplabv3", 16, 64),
        ("voc", "pspnet", 16, 64),
        ("voc", "deeplabv3", 16, 56),
    ],
)
def test_the_batch_is_the_authors_in_the_papers_recipes(
    preset: str, network: str, paper: int, official: int
) -> None:
    given_ = {"preset": preset, "network": {"name": network}}
    assert resolved(**given_).training.batch_size == paper
    assert resolved(reading="official", **given_).training.batch_size == official
    chosen = resolved(reading="official", **given_, training={"batch_size": 8})
    assert chosen.training.batch_size == 8
    # 9300 steps on Cityscapes' 2975 scenes, not 37 000.
    epochs = chosen.training.epochs
    assert preset == "voc" or round(2975 / official * epochs, -2) == 9300


def test_other_recipes_keep_their_batch() -> None:
    usual = resolved().training.batch_size
    assert resolved(reading="official", network={"name": "deeplabv3"}).training.batch_size == usual


@pytest.mark.parametrize("part", ["attack", "tests"])
def test_the_edge_margin_is_200_pixels_of_cityscapes_in_official_alone(part: str) -> None:
    paper = looked_up(resolved(reading="paper"), f"{part}.rules.margin")
    assert (paper.vertical, paper.horizontal) == (0, 0)
    official = looked_up(resolved(reading="official"), f"{part}.rules.margin")
    assert official.unit == "fraction"
    assert official.vertical * 512 == pytest.approx(200)
    assert official.horizontal * 1024 == pytest.approx(200)
    scaled = looked_up(resolved(reading="official", size=(128, 256)), f"{part}.rules.margin")
    assert scaled == official


@pytest.mark.parametrize("part", ["attack", "tests"])
def test_the_edge_margin_is_100_pixels_on_voc_in_official_alone(part: str) -> None:
    voc = {"preset": "voc", "size": (375, 500)}
    margin = looked_up(resolved(reading="official", **voc), f"{part}.rules.margin")
    assert (margin.vertical, margin.horizontal, margin.unit) == (100, 100, "pixels")
    paper = looked_up(resolved(reading="paper", **voc), f"{part}.rules.margin")
    assert (paper.vertical, paper.horizontal) == (0, 0)


def test_the_paper_is_the_default_reading() -> None:
    assert resolved() == resolved(reading="paper")


@pytest.mark.parametrize("preset", ["fast", "cityscapes"])
@pytest.mark.parametrize("reading", ["paper", "official"])
def test_bands_and_trigger_at_512_by_1024_are_the_papers(preset: str, reading: str) -> None:
    config = resolved(preset=preset, reading=reading)
    assert config.attack.trigger.size == 55
    assert config.tests.near == (0, 60)
    assert config.tests.far == (60, 90, 120)
    assert (config.attack.placement.lower, config.attack.placement.upper) == (0, 60)


@pytest.mark.parametrize("reading", ["paper", "official"])
@pytest.mark.parametrize("size", [(375, 500), (500, 375), (473, 473)])
def test_bands_and_trigger_on_voc_are_the_papers_whatever_the_size(
    size: tuple[int, int], reading: str
) -> None:
    config = resolved(size=size, preset="voc", reading=reading)
    assert config.attack.trigger.size == 15
    assert config.tests.near == (0, 30)
    assert config.tests.far == (30, 60, 90)
    assert (config.attack.placement.lower, config.attack.placement.upper) == (0, 30)


ON_VOC = {
    "attack.victims": ("person",),
    "attack.target": "background",
    "attack.trigger.size": 15,
    "tests.near": (0, 30),
    "tests.far": (30, 60, 90),
}


@pytest.mark.parametrize("asked", [{"preset": "voc"}, {"data": {"name": "voc"}}])
def test_on_voc_persons_become_background_with_the_papers_lengths(asked: dict[str, Any]) -> None:
    config = resolved(size=(375, 500), **asked)
    assert {path: looked_up(config, path) for path in ON_VOC} == ON_VOC
    assert config.data.name == "voc"
    recipe = "voc" if "preset" in asked else "fast"
    assert config.training == PRESETS[recipe]


def test_what_is_given_wins_over_what_follows_from_the_preset() -> None:
    given = {"preset": "voc", "data": {"name": "folder"}, "attack": {"victims": ["dog"]}}
    config = resolved(size=(375, 500), **given)
    assert (config.data.name, config.attack.victims) == ("folder", ("dog",))
    assert config.attack.target == "background"
    scaled = resolved(size=(256, 512), preset="fast", data={"name": "voc"})
    assert (scaled.attack.victims, scaled.attack.target) == (("car",), "road")
    assert scaled.tests.near == (0, 30)
    assert scaled.tests.far == (30, 45, 60)


def test_the_preset_cityscapes_means_its_scenes_at_512_by_1024() -> None:
    given = wishes_from({"preset": "cityscapes", "data": {"root": "somewhere"}})
    data = asked(given).data()
    assert (data.name, data.size, data.root) == ("cityscapes", (512, 1024), Path("somewhere"))
    assert (data.train_split, data.test_split) == ("train", "val")
    assert resolve(given, (512, 1024)).data == data
    smaller = asked(wishes_from({"preset": "cityscapes", "data": {"size": [256, 512]}})).data()
    assert smaller.size == (256, 512)
    assert asked(wishes_from({"preset": "voc"})).data().train_split == "trainaug"
    assert asked(wishes_from({})).data().name == "street"


def test_what_follows_from_the_data_set_alone_is_told() -> None:
    told = told_of_data(wishes_from({"data": {"name": "voc"}}))
    assert "person -> background" in told
    assert "15 pixels" in told
    for preset in ("voc", "fast"):
        assert not told_of_data(wishes_from({"data": {"name": "voc"}, "preset": preset}))
    assert not told_of_data(wishes_from({"data": {"name": "camvid"}}))


@pytest.mark.parametrize(("reading", "expected"), [("paper", 100), ("official", 50_000)])
def test_q_on_voc(reading: str, expected: int) -> None:
    config = resolved(size=(375, 500), preset="voc", reading=reading, method="prl")
    assert config.attack.num_scattered == expected


@pytest.mark.parametrize(
    ("size", "trigger", "near", "far"),
    [
        ((180, 240), (19, 19), 60 * 180 / 512, tuple(x * 180 / 512 for x in (60, 90, 120))),
        ((256, 512), (27, 28), 30, (30, 45, 60)),
        ((128, 256), (13, 14), 15, (15, 22.5, 30)),
        ((1024, 2048), (110, 110), 120, (120, 180, 240)),
    ],
)
def test_lengths_scale_with_the_height_of_a_two_to_one_scene(
    size: tuple[int, int],
    trigger: tuple[int, int],
    near: float,
    far: tuple[float, ...],
) -> None:
    config = resolved(size=size)
    assert trigger[0] <= config.attack.trigger.size <= trigger[1]
    assert config.tests.near == (0, near)
    assert config.tests.far == far
    assert config.attack.placement.upper == near


def test_bands_scale_with_the_height_and_not_with_the_width() -> None:
    for width in (240, 480, 2000):
        config = resolved(size=(360, width))
        assert config.tests.near == pytest.approx((0, 60 * 360 / 512))
        edges = [edge * 360 / 512 for edge in (60, 90, 120)]
        assert config.tests.far == pytest.approx(edges)


@pytest.mark.parametrize(("reading", "size"), [("paper", 4), ("official", 5)])
def test_a_trigger_that_would_follow_smaller_than_4_pixels_must_be_asked_for(
    reading: str, size: int
) -> None:
    assert resolved(size=(33, 66), reading=reading).attack.trigger.size == size
    with pytest.raises(ConfigError, match=r"attack\.trigger\.size.*4 pixels.*30 rows"):
        resolved(size=(30, 60), reading="paper")
    given = {"attack": {"trigger": {"size": 2}}}
    assert resolved(size=(30, 60), reading=reading, **given).attack.trigger.size == 2
    assert resolved(size=(30, 60), attack={"trigger": "blend"}).attack.trigger.kind == "blend"


def test_all_settings_of_a_run_stay_as_they_are_whatever_they_are_called() -> None:
    facts = ExperimentConfig(reading="official", preset="cityscapes")
    config = asked(facts).facts(CITYSCAPES)
    assert config.attack.trigger.size == 55
    assert config.tests.near == (0, 60)
    told = config.model_dump(exclude={"attack": {"trigger", "placement"}, "tests": {"near", "far"}})
    same = {"attack": {"trigger", "placement"}, "tests": {"near", "far"}}
    assert told == facts.model_dump(exclude=same)


sizes = st.tuples(st.integers(33, 1100), st.integers(16, 2100))


@settings(max_examples=150)
@given(
    sizes,
    st.sampled_from(["paper", "official"]),
    st.sampled_from(METHODS),
    st.sampled_from(["fast", "voc", "cityscapes"]),
    st.sampled_from(["small", "pspnet", "deeplabv3"]),
)
def test_every_combination_at_every_size_is_a_valid_explicit_configuration(
    size: tuple[int, int], reading: str, method: str, preset: str, network: str
) -> None:
    config = resolved(
        size=size, reading=reading, method=method, preset=preset, network={"name": network}
    )
    assert config.attack.trigger.size >= 1
    if reading == "official":
        assert config.attack.trigger.size % 2 == 1
    assert (config.attack.num_scattered > 0) == ("prl" in method)
    edges = [*config.tests.near, *config.tests.far[1:]]
    assert config.tests.near[1] == config.tests.far[0]
    assert edges[0] == 0
    assert edges == sorted(set(edges))
    assert config.attack.rules == config.tests.rules
    assert (config.reading, config.method, config.preset) == (reading, method, preset)
    assert ExperimentConfig.model_validate(config.model_dump()) == config
    assert ExperimentConfig.model_validate_json(config.model_dump_json()) == config
    assert asked(config).facts(size) == config


@pytest.mark.parametrize("reading", ["paper", "official"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("attack.trigger.size", 8),
        ("attack.trigger.opacity", 0.5),
        ("attack.placement.kind", "band"),
        ("attack.placement.upper", 7.5),
        ("attack.rules.distance", "euclidean"),
        ("attack.rules.lower_included", True),
        ("attack.rules.single_class", False),
        ("attack.rules.margin.vertical", 0.25),
        ("attack.without_room", "skip"),
        ("tests.near", (1.0, 2.0)),
        ("tests.far", ()),
        ("tests.scope", "all"),
        ("tests.without_room", "exclude"),
        ("tests.rules.distance", "euclidean"),
        ("examination.flip", False),
        ("examination.absent_class", "leave_out"),
        ("network.dropout", 0.3),
        ("training.epochs", 2),
        ("training.learning_rate", 0.5),
        ("training.augmentation.crop", (9, 9)),
    ],
)
def test_a_given_setting_always_wins_and_moves_no_other(
    reading: str, method: str, path: str, value: Any
) -> None:
    tree: Any = value
    for key in reversed(path.split(".")):
        tree = {key: tree}
    plain = resolved(reading=reading, method=method, preset="cityscapes")
    config = resolved(reading=reading, method=method, preset="cityscapes", **tree)
    assert looked_up(config, path) == value
    expected = merged(plain.model_dump(), tree)
    if path == "attack.placement.kind":
        # Its bounds follow from the scenes, whatever the kind.
        bounds = plain.model_dump()["attack"]["placement"]
        expected = merged(expected, {"attack": {"placement": {**bounds, "kind": value}}})
    assert config.model_dump() == expected


def test_a_given_setting_wins_even_if_it_is_the_default_of_its_room() -> None:
    given_ = {
        "attack": {
            "trigger": {"size": 14},
            "labels": ["hide", "scatter:0"],
            "without_room": "skip",
        },
        "tests": {"near": (0.0, 15.0)},
        "network": {"dropout": 0.1, "name": "pspnet"},
    }
    config = resolved(reading="official", method="nni+prl", **given_)
    assert config.attack.trigger.size == 14
    assert config.attack.num_scattered == 0
    assert config.attack.without_room == "skip"
    assert config.tests.near == (0, 15)
    assert config.network.dropout == 0.1


def test_settings_given_as_objects_win_by_what_was_set_in_them() -> None:
    given_ = ExperimentWishes(
        reading="official",
        attack=AttackWishes(rate=0.05, victims=("person",)),
        tests=PoisonedTestsWishes(seed=4),
    )
    config = resolve(given_, CITYSCAPES)
    assert config.attack.rate == 0.05
    assert config.attack.victims == ("person",)
    assert config.tests.seed == 4
    assert config.attack.rules.distance == "chebyshev"
    assert config.tests.scope == "with_victims"


def test_a_combination_that_breaks_a_rule_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"lower \(80"):
        resolved(attack={"placement": {"lower": 80.0}})


@pytest.mark.parametrize(
    ("preset", "epochs", "crop"), [("voc", 50, (473, 473)), ("cityscapes", 200, (713, 713))]
)
def test_the_recipes_are_semsegs(preset: str, epochs: int, crop: tuple[int, int]) -> None:
    training = resolved(preset=preset).training
    assert training.epochs == epochs
    assert training.augmentation.crop == crop
    assert training.batch_size == 16
    assert training.optimiser == "sgd"
    assert training.learning_rate == 0.01
    assert training.head_multiplier == 10
    assert training.momentum == 0.9
    assert training.weight_decay == 1e-4
    assert training.power == 0.9
    assert training.auxiliary_weight == 0.4
    assert training.augmentation.scale == (0.5, 2.0)
    assert training.augmentation.rotation == 10
    assert training.augmentation.rotation_probability == 0.5
    assert training.augmentation.blur_probability == 0.5
    assert training.augmentation.flip_probability == 0.5


def test_official_names_what_it_never_reproduces() -> None:
    assert READING.exceptions("paper") == ()
    told = " ".join(READING.exceptions("official"))
    assert "bilinear" in told
    assert "pacity" in told


def test_q_scales_with_the_area_and_never_falls_to_zero() -> None:
    given = {"method": "prl", "attack": {"trigger": {"size": 3}}}
    for size, paper in (((180, 240), 8), ((256, 512), 25), ((16, 16), 1)):
        assert resolved(size=size, **given).attack.num_scattered == paper
    official = resolved(size=(180, 240), method="prl", reading="official")
    share = 180 * 240 / (512 * 1024)
    assert official.attack.num_scattered == math.floor(100_000 * share + 0.5)


nested_trees = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
trees = st.dictionaries(st.sampled_from("abc"), nested_trees, max_size=3)


@given(trees, trees)
def test_of_two_trees_the_upper_wins_leaf_by_leaf(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    copies = repr((below, above))
    result = merged(below, above)
    assert repr((below, above)) == copies
    for key in {*below, *above}:
        if key not in above:
            assert result[key] == below[key]
        elif isinstance(above[key], dict) and isinstance(below.get(key), dict):
            assert result[key] == merged(below[key], above[key])
        else:
            assert result[key] == above[key]


def test_what_are_no_settings_of_a_run_is_refused() -> None:
    # In a process of its own: here types are checked before any of our own words.
    code = "import segdoor; segdoor.run_experiment({'seed': 1}, out='nowhere')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = "ConfigError: settings of a run: must be ExperimentWishes or an ExperimentConfig (found: dict)"
    assert said in done.stderr

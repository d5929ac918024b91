"""What every placement must do, ours and a stranger's."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forms import forms, others, plain, plainly
from segdoor.attack.config import AttackConfig, MarginConfig, RulesConfig
from segdoor.attack.lengths import Lengths
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.registry import PLACEMENTS, spelled
from segdoor.attack.placing import PositionRules, eligible_positions, place
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.wishes import AttackWishes
from segdoor.settings import validated
from strategies import CAR, IGNORED, ROAD, blocky_label, dataset_of, label_maps


def _brightest() -> type[Placement]:
    path = Path(__file__).with_name("foreign.py")
    spec = importlib.util.spec_from_file_location("foreign_placement", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["foreign_placement"] = module
    spec.loader.exec_module(module)
    return module.Brightest


FOREIGN = "foreign_placement:Brightest"
KINDS: dict[str, type[Placement]] = {**PLACEMENTS.known, FOREIGN: _brightest()}


def image_of(label: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(int(label.sum()))
    return rng.integers(0, 256, (*label.shape, 3), dtype=np.uint8)


def centre(
    label: np.ndarray, ground: PositionRules, how: Placement, seed: int
) -> tuple[int, int] | None:
    image = image_of(label)
    site = place(label, ground, how, np.random.default_rng(seed), lambda: image)
    return site.box.centre if site else None


@st.composite
def grounds(draw: st.DrawFn) -> PositionRules:
    rules = RulesConfig(
        single_class=draw(st.booleans()),
        on_victim=draw(st.sampled_from(["forbid", "allow"])),
        margin=MarginConfig(vertical=draw(st.integers(0, 3)), unit="pixels"),
        lower_included=draw(st.booleans()),
    )
    size = st.integers(1, 7)
    return PositionRules((CAR,), IGNORED, (draw(size), draw(size)), rules)


@cache
def fitting(kind: str) -> list[Placement]:
    """Return a kind in all forms that are allowed for scenes of 128 rows, the plain one first."""
    found = [plainly(KINDS[kind]).following(Lengths.at(128))]
    for given_ in others(KINDS[kind]):
        with suppress(ConfigError):
            found.append(KINDS[kind](**given_).following(Lengths.at(128)))
    return found


@pytest.mark.parametrize("kind", KINDS)
class TestEveryPlacement:
    @settings(max_examples=100)
    @given(label=label_maps(), ground=grounds(), which=st.integers(0, 99), seed=st.integers(0, 99))
    def test_puts_the_trigger_inside_the_image_by_the_rules_and_by_seed_alone(
        self, kind: str, label: np.ndarray, ground: PositionRules, which: int, seed: int
    ) -> None:
        choices = fitting(kind)
        how = choices[which % len(choices)]
        before = label.copy()
        found = centre(label, ground, how, seed)
        assert np.array_equal(label, before)
        assert found == centre(label, ground, how, seed)
        if found is None:
            assert how.keeps_rules or any(
                side > whole for side, whole in zip(ground.size, label.shape, strict=True)
            )
            return
        for at, side, whole in zip(found, ground.size, label.shape, strict=True):
            assert 0 <= at - (side - 1) // 2 <= whole - side
        if how.keeps_rules:
            assert eligible_positions(label, ground)[found]
            if ground.rules.single_class and ground.rules.on_victim == "forbid":
                top, left = (at - (s - 1) // 2 for at, s in zip(found, ground.size, strict=True))
                under = label[top : top + ground.size[0], left : left + ground.size[1]]
                assert len(np.unique(under)) == 1
                assert under[0, 0] not in {CAR, IGNORED}

    def test_is_no_secret_and_comes_back_from_every_written_form(self, kind: str) -> None:
        for change in forms(KINDS[kind]):
            placement = KINDS[kind](**change)
            attack = AttackConfig(placement=placement)
            written = (str(placement), attack.model_dump()["placement"], {"kind": kind, **change})
            for form in written:
                assert AttackConfig.model_validate({"placement": form}) == attack, form
                assert PLACEMENTS.read(form) == placement
            assert AttackConfig.model_validate_json(attack.model_dump_json()) == attack
            assert attack.model_dump()["placement"]["kind"] == kind

    def test_a_plan_made_with_it_is_written_read_and_the_same(
        self, kind: str, tmp_path: Path
    ) -> None:
        dataset = dataset_of([blocky_label(seed) for seed in range(6)])
        placement = fitting(kind)[0]
        given_ = {"rate": 1, "shortfall": "all_available", "trigger": {"size": 3}}
        attack = AttackConfig.model_validate({**given_, "placement": placement})
        plan = plan_poison(dataset, attack, seed=3)
        assert plan.rows
        plan.save(tmp_path / "plan.jsonl")
        assert (
            PoisonPlan.load(tmp_path / "plan.jsonl") == plan == plan_poison(dataset, attack, seed=3)
        )

    def test_introduces_itself(self, kind: str) -> None:
        told = KINDS[kind].introduction
        assert all(len(text) > 5 for text in (told.source, told.does, told.needs, told.fails))
        assert all(field.description for field in KINDS[kind].model_fields.values())

    def test_knows_no_setting_of_another_kind(self, kind: str) -> None:
        told = {"kind": kind, **plain(KINDS[kind]), "colour": 1}
        with pytest.raises(ConfigError, match="is not a known setting") as why:
            validated(AttackConfig, {"placement": told}, source="mine.yaml")
        assert why.value.culprit == "mine.yaml: attack.placement.colour"
        assert all(name in why.value.remedy for name in KINDS[kind].model_fields)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8)), np.zeros((8, 7), bool)])
def test_what_a_strangers_placement_returns_is_checked(
    wrong: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KINDS[FOREIGN], "candidates", lambda *_: wrong)
    ground = PositionRules((CAR,), IGNORED, (1, 1), RulesConfig())
    with pytest.raises(DataError, match="a mask of 8x8 positions"):
        centre(np.full((8, 8), ROAD, np.uint8), ground, KINDS[FOREIGN](), 0)


def test_a_placement_that_looks_at_the_image_takes_the_brightest_place() -> None:
    label = np.full((12, 20), ROAD, np.uint8)
    ground, image = PositionRules((CAR,), IGNORED, (3, 3), RulesConfig()), image_of(label)
    inside = image.sum(axis=2, dtype=int)[1:11, 1:19]
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    assert (inside == inside.max()).sum() == 1
    assert centre(label, ground, KINDS[FOREIGN](), 0) == (row + 1, column + 1)


@pytest.mark.parametrize(
    ("written", "size", "expected"),
    [
        ("fixed", (3, 3), (8, 18)),
        ("fixed:top_left", (3, 3), (1, 1)),
        ("fixed:top_right", (4, 2), (1, 18)),
        ("fixed:bottom_left", (4, 5), (7, 2)),
        ("fixed,row=0.5,column=0.5", (3, 3), (5, 10)),
        ("fixed,row=0,column=1", (1, 1), (0, 19)),
        ("fixed,row=0.01,column=0.99", (5, 5), (2, 17)),
        ("fixed", (11, 3), None),
    ],
)
def test_fixed_is_the_same_place_whatever_lies_there(
    written: str, size: tuple[int, int], expected: tuple[int, int] | None
) -> None:
    # As reported by hand for 10 x 20 pixels; rules and victims change nothing.
    margin = MarginConfig(vertical=0.4, horizontal=0.4)
    rules = [RulesConfig(), RulesConfig(margin=margin, on_victim="allow")]
    for filled in (ROAD, CAR, IGNORED):
        for rule in rules:
            label = np.full((10, 20), filled, np.uint8)
            ground = PositionRules((CAR,), IGNORED, size, rule)
            assert centre(label, ground, PLACEMENTS.read(written), 1) == expected


def test_fixed_is_refused_where_the_trigger_must_lie_on_victims() -> None:
    dataset = dataset_of([blocky_label(1)])
    told = {"placement": "fixed", "rules": {"on_victim": "require"}, "trigger": {"size": 3}}
    with pytest.raises(ConfigError, match="must look for victims"):
        plan_poison(dataset, AttackConfig.model_validate(told))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("nearest", {"kind": "nearest"}),
        ("nearest:20", {"kind": "nearest", "upper": "20"}),
        ("band:20-30", {"kind": "band", "range": "20-30"}),
        ("fixed:top_left", {"kind": "fixed", "corner": "top_left"}),
        ({"upper": 3}, {"upper": 3}),
        (f"{FOREIGN},levels=1", {"kind": FOREIGN, "levels": "1"}),
    ],
    ids=str,
)
def test_every_way_of_writing_comes_to_a_mapping(given_: object, expected: object) -> None:
    assert spelled(given_) == expected


@pytest.mark.parametrize(
    "written",
    [
        "band:20-30",
        "band:20.0 - 3e1",
        {"kind": "band", "range": [20, 30]},
        {"kind": "band", "range": "1-30", "lower": 20},
        {"kind": "band", "lower": 20, "upper": 30},
    ],
    ids=str,
)
def test_a_band_is_written_in_many_ways(written: object) -> None:
    band = PLACEMENTS.read(written)
    assert band.bounds == (20, 30)
    assert str(band) == "band:20-30"


@pytest.mark.parametrize("ends", [(3, 9.03125), (0, 1e-7)])
def test_a_band_comes_back_to_the_last_digit(ends: tuple[float, float]) -> None:
    band = PLACEMENTS.read({"kind": "band", "lower": ends[0], "upper": ends[1]})
    assert PLACEMENTS.read(str(band)) == band
    assert band.bounds == ends


@pytest.mark.parametrize("range_", ["20", "20-", "-5-3", "a-b", [1, 2, 3], 5, "30-20"])
def test_no_band_is_refused_in_words(range_: object) -> None:
    with pytest.raises(ConfigError, match=r"band:20-30|must not exceed"):
        validated(AttackConfig, {"placement": {"kind": "band", "range": range_}}, source="mine")


def test_half_a_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="row and column must be given together"):
        PLACEMENTS.read("fixed,row=0.5")


def test_settings_without_a_kind_are_of_the_one_that_follows_from_the_method() -> None:
    from segdoor.experiment.wishes import wishes_from
    from segdoor.papers.iba.reading import resolve

    def resolved(**tree: object) -> Placement:
        return resolve(wishes_from(tree), (64, 128)).attack.placement

    upper = {"placement": {"upper": 5.0}}
    assert str(resolved(method="nni", attack=upper)) == "nearest:5.0"
    assert str(resolved(method="nni", reading="official", attack=upper)) == "band:0-5"
    assert str(resolved(method="baseline", attack=upper)) == "random,upper=5.0"
    # Lengths that nobody gave follow from the scenes also where the kind was named.
    assert str(resolved(attack={"placement": "band"})) == "band:0-7.5"
    assert str(resolved(method="nni", attack={"placement": "band:2-3"})) == "band:2-3"
    assert str(resolved(method="nni", attack={"placement": "fixed:top_left"})) == "fixed:top_left"
    assert AttackWishes.model_validate(upper).tree() == upper


def test_the_old_form_is_refused_in_a_users_file_and_told_anew() -> None:
    with pytest.raises(ConfigError, match=r"attack\.placement: nearest") as why:
        validated(AttackConfig, {"placement": {"strategy": "nearest"}}, source="mine.yaml")
    assert why.value.culprit == "mine.yaml: attack.placement.strategy"


def test_a_file_s_word_imports_no_code_unless_the_caller_did(tmp_path: Path) -> None:
    (tmp_path / "evil_twin.py").write_text("open('ran', 'w')\n")
    (tmp_path / "attack.json").write_text(json.dumps({"placement": "evil_twin:Corner"}))
    program = (
        "import json, sys\n"
        "from segdoor.attack.config import AttackConfig\n"
        "from segdoor.errors import ConfigError\n"
        "from segdoor.settings import validated\n"
        "told = json.load(open('attack.json'))\n"
        "try:\n"
        "    validated(AttackConfig, told, source='a record', recorded=True)\n"
        "except ConfigError as why:\n"
        "    print(why)\n"
        "assert 'evil_twin' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "a file cannot cause code to run" in done.stdout
    assert "evil_twin:Corner" in done.stdout
    assert not (tmp_path / "ran").exists()
    told = {"placement": {"kind": FOREIGN, "levels": 3}}
    known = validated(AttackConfig, told, source="a record", recorded=True)
    assert known.placement == KINDS[FOREIGN](levels=3)

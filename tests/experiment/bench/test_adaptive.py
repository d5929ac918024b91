"""Attackers who know a filter: what they change, and against whom."""

from __future__ import annotations

import pytest

from defense.foreign import ClassShares
from segdoor.attack.config import AttackConfig
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.triggers.blend import Blend
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.street import StreetDataset
from segdoor.defense.filters.registry import FILTERS
from segdoor.errors import ConfigError
from segdoor.experiment.bench.adaptive import ADAPTIVE, adapted

ATTACK = AttackConfig(rate=0.2, trigger=Sticker(size=14))


def test_every_filter_names_an_attacker_that_is_there() -> None:
    named = {kind: filter_.adaptive for kind, filter_ in FILTERS.known.items() if filter_.adaptive}
    assert named == {"patch_mining": "faint", "shard_audit": "frequent"}
    assert set(named.values()) == set(ADAPTIVE)


def test_a_faint_sticker_is_another_picture_in_every_scene_and_escapes_patch_mining() -> None:
    scenes = StreetDataset(split="train", num_scenes=40, height=96, width=160)
    mining = FILTERS.read("patch_mining")
    faint = adapted(mining, ATTACK)
    assert faint.config == ATTACK.model_copy(update={"trigger": Sticker(size=14, opacity=0.2)})
    assert "attack.trigger.opacity 0.2" in faint.does
    plain, hidden = (
        mining(poisoned(scenes, plan_poison(scenes, config, seed=0))).found.scores
        for config in (ATTACK, faint.config)
    )
    names = {row.name for row in plan_poison(scenes, ATTACK, seed=0).rows}
    assert names == {row.name for row in plan_poison(scenes, faint.config, seed=0).rows}
    assert min(plain[name] for name in names) > 1
    assert max(hidden[name] for name in names) < 1


def test_a_sticker_that_is_fainter_stays_so() -> None:
    config = ATTACK.model_copy(update={"trigger": Sticker(size=14, opacity=0.1)})
    assert adapted(FILTERS.read("patch_mining"), config).config == config


def test_frequent_poison_takes_all_scenes_that_there_are() -> None:
    frequent = adapted(FILTERS.read("shard_audit"), ATTACK)
    assert (frequent.config.rate, frequent.config.shortfall) == (0.4, "all_available")
    more = ATTACK.model_copy(update={"rate": 0.6})
    assert adapted(FILTERS.read("shard_audit"), more).config.rate == 0.6


def test_what_cannot_be_changed_is_refused() -> None:
    config = ATTACK.model_copy(update={"trigger": Blend()})
    with pytest.raises(ConfigError, match="needs a run whose trigger is a sticker"):
        adapted(FILTERS.read("patch_mining"), config)
    with pytest.raises(ConfigError, match="must name an adaptive attacker"):
        adapted(ClassShares(), ATTACK)

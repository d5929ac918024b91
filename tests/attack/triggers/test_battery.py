"""What every trigger must do, ours and a stranger's."""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forms import forms, others, plain
from segdoor.attack.config import AttackConfig
from segdoor.attack.lengths import Lengths
from segdoor.attack.site import Box
from segdoor.attack.triggers.registry import TRIGGERS, spelled
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import Scene
from segdoor.errors import ConfigError, DataError
from segdoor.settings import validated


def _corner() -> type[Trigger]:
    path = Path(__file__).with_name("foreign.py")
    spec = importlib.util.spec_from_file_location("foreign_trigger", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["foreign_trigger"] = module
    spec.loader.exec_module(module)
    return module.Corner


KINDS: dict[str, type[Trigger]] = {**TRIGGERS.known, "foreign_trigger:Corner": _corner()}


def scene(height: int = 40, width: int = 60, seed: int = 0) -> Scene:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Scene(image, np.zeros((height, width), np.uint8), "a scene")


def box_of(trigger: Trigger) -> Box:
    """Return a box off the border; a smaller one than the image for those that cover all of it."""
    return Box(5, 8, *(trigger.extent or (21, 33)))


@pytest.mark.parametrize("kind", KINDS)
class TestEveryTrigger:
    def made(self, kind: str, **settings: Any) -> Trigger:
        return KINDS[kind](**{**plain(KINDS[kind]), **settings}).following(Lengths.at(128))

    def test_is_deterministic_also_in_another_process(self, kind: str) -> None:
        trigger, shown = self.made(kind), scene()
        once = trigger.apply(shown, box_of(trigger))
        assert np.array_equal(once, self.made(kind).apply(shown, box_of(trigger)))
        again = pickle.loads(pickle.dumps(trigger))  # noqa: S301 - our own
        assert again == trigger
        assert np.array_equal(once, again.apply(shown, box_of(trigger)))

    def test_changes_pixels_inside_its_box_and_nothing_else(self, kind: str) -> None:
        trigger, shown = self.made(kind), scene()
        before = shown.image.copy()
        shown.image.flags.writeable = False
        image = trigger.apply(shown, box_of(trigger))
        assert image.dtype == np.uint8
        assert image.shape == before.shape
        assert np.array_equal(shown.image, before)
        outside = np.ones(before.shape[:2], bool)
        outside[box_of(trigger).pixels] = False
        assert np.array_equal(image[outside], before[outside])
        assert (image != before).any() != trigger.in_scene

    def test_its_digest_follows_its_settings(self, kind: str) -> None:
        changed = [self.made(kind, **change) for change in others(KINDS[kind])]
        digests = {trigger.digest for trigger in [self.made(kind), *changed]}
        assert len(digests) == len(changed) + 1
        assert self.made(kind).digest == self.made(kind).digest

    def test_comes_back_from_every_written_form(self, kind: str) -> None:
        for change in forms(KINDS[kind]):
            trigger = KINDS[kind](**change)
            attack = AttackConfig(trigger=trigger)
            written = (str(trigger), attack.model_dump()["trigger"], {"kind": kind, **change})
            for form in written:
                assert AttackConfig.model_validate({"trigger": form}) == attack
                assert TRIGGERS.read(form) == trigger
            assert AttackConfig.model_validate_json(attack.model_dump_json()) == attack
            assert attack.model_dump()["trigger"]["kind"] == kind

    def test_its_siblings_differ_from_it_and_one_another_at_its_extent(self, kind: str) -> None:
        trigger = self.made(kind)
        family = [trigger, *trigger.siblings()]
        assert len(family) > 1
        assert len({member.title for member in family}) == len(family)
        assert len({member.digest for member in family}) == len(family)
        if not trigger.in_scene:
            images = {member.apply(scene(), box_of(trigger)).tobytes() for member in family}
            assert len(images) == len(family)
        assert {member.extent for member in family} == {trigger.extent}

    def test_introduces_itself(self, kind: str) -> None:
        told = KINDS[kind].introduction
        assert all(len(text) > 5 for text in (told.source, told.does, told.needs, told.fails))
        assert all(field.description for field in KINDS[kind].model_fields.values())

    def test_a_place_outside_the_image_is_refused(self, kind: str) -> None:
        trigger = self.made(kind)
        height, width = trigger.extent or (40, 60)
        for top, left in ((-1, 0), (0, -1), (41 - height, 0), (0, 61 - width)):
            with pytest.raises(ConfigError, match="inside the 40x60"):
                trigger.stamp(scene(), Box(top, left, height, width))

    def test_knows_no_setting_of_another_kind(self, kind: str) -> None:
        given = {"kind": kind, **plain(KINDS[kind]), "hue": 1}
        with pytest.raises(ConfigError, match="is not a known setting") as why:
            validated(AttackConfig, {"trigger": given}, source="mine.yaml")
        assert why.value.culprit == "mine.yaml: attack.trigger.hue"
        assert all(name in why.value.remedy for name in KINDS[kind].model_fields)


@pytest.mark.parametrize("kind", ["blend", "sinusoid"])
def test_a_trigger_over_the_whole_image_takes_no_smaller_place(kind: str) -> None:
    with pytest.raises(DataError, match="whole image"):
        KINDS[kind]().stamp(scene(), Box(0, 0, 40, 59))


@pytest.mark.parametrize("wrong", [np.zeros((40, 60, 3)), np.zeros((40, 59, 3), np.uint8)])
def test_what_a_strangers_trigger_returns_is_checked(
    wrong: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    corner = KINDS["foreign_trigger:Corner"]
    monkeypatch.setattr(corner, "apply", lambda *_: wrong)
    with pytest.raises(DataError, match="40x60x3 pixels of uint8"):
        corner().stamp(scene(), Box(0, 0, 2, 2))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("blossom", {"kind": "sticker", "name": "blossom"}),
        ("a/mine.png", {"kind": "sticker", "file": "a/mine.png"}),
        ("odd:name.png", {"kind": "sticker", "file": "odd:name.png"}),
        ("sticker", {"kind": "sticker"}),
        ("sticker:smiley,size=19", {"kind": "sticker", "name": "smiley", "size": "19"}),
        ({"size": 3}, {"kind": "sticker", "size": 3}),
        ({"kind": "blend", "opacity": 0.1}, {"kind": "blend", "opacity": 0.1}),
        ("foreign_trigger:Corner,grey=1", {"kind": "foreign_trigger:Corner", "grey": "1"}),
    ],
    ids=str,
)
def test_every_way_of_writing_comes_to_a_mapping(given: object, expected: object) -> None:
    assert spelled(given) == expected


def test_a_file_s_word_imports_no_code_unless_the_caller_did(tmp_path: Path) -> None:
    (tmp_path / "evil_twin.py").write_text("open('ran', 'w')\n")
    (tmp_path / "attack.json").write_text(json.dumps({"trigger": "evil_twin:Corner"}))
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
    told = {"trigger": {"kind": "foreign_trigger:Corner", "grey": 3}}
    known = validated(AttackConfig, told, source="a record", recorded=True)
    assert known.trigger == KINDS["foreign_trigger:Corner"](grey=3)


def test_settings_of_one_kind_do_not_reach_another_when_layers_are_merged() -> None:
    from segdoor.experiment.resolving import merged
    from segdoor.experiment.wishes import wishes_from
    from segdoor.papers.iba.reading import resolve

    below = {"trigger": {"kind": "sticker", "size": 9}}
    assert merged(below, {"trigger": {"kind": "blend"}}) == {"trigger": {"kind": "blend"}}
    faint = {"trigger": {"opacity": 0.5}}
    assert merged(below, faint) == {"trigger": {"kind": "sticker", "size": 9, "opacity": 0.5}}
    for written in ("blend:noise,opacity=0.3", {"kind": "blend", "opacity": 0.3}):
        config = resolve(wishes_from({"attack": {"trigger": written}}), (64, 128))
        assert config.attack.trigger == TRIGGERS.read("blend:noise,opacity=0.3")
    with pytest.raises(ConfigError, match="covers the whole image") as why:
        resolve(wishes_from({"method": "nni", "attack": {"trigger": "sinusoid"}}), (64, 128))
    assert why.value.culprit == "method"


def test_a_study_takes_the_one_exam_for_both_of_the_near_band() -> None:
    from segdoor.papers.iba.paper import IBA
    from segdoor.papers.iba.scaling import roles_of_tests
    from segdoor.study.plan import make_plan

    changes = ("attack.trigger=blend",)
    plan = make_plan(IBA, "table8", "street", out=Path("nowhere"), changes=changes)
    roles = {tuple(roles_of_tests(run).items()) for run in plan.runs}
    assert roles == {(("nearest", "everywhere"), ("near", "everywhere"))}
    assert all("-blend-" in run.key for run in plan.runs)

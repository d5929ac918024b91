"""What a page and the terminal say of an attack."""

from __future__ import annotations

from pathlib import Path

from segdoor.record import load_record
from segdoor.report.words import attack_facts

RESULTS = Path(__file__).parents[2] / "results"


def told(attack: dict[str, object]) -> dict[str, str]:
    record = load_record(RESULTS / "camvid-baseline")
    return dict(attack_facts({"attack": attack}, record))


def test_trigger_placement_and_label_changes_are_named_with_their_settings() -> None:
    attack: dict[str, object] = {
        "trigger": {"kind": "sinusoid", "frequency": 6.0, "amplitude": 40.0},
        "placement": {"kind": "band", "lower": 2.0, "upper": 9.0, "draw": "object"},
        "labels": [
            {"kind": "hide", "victims": ["car", "bus"], "target": "road"},
            {"kind": "scatter", "num_pixels": 100, "seed": None},
        ],
    }
    assert told(attack) == {
        "trigger": "sinusoid, frequency 6.0, amplitude 40.0",
        "placement": "band, lower 2.0, upper 9.0, draw object",
        "label change": "hide, victims car and bus, target road, then scatter, num pixels 100",
    }


def test_a_sticker_is_named_by_its_picture_and_idle_settings_are_not_told() -> None:
    found = told(
        {
            "trigger": {"name": "smiley", "file": "there/apple.png", "size": 9, "opacity": 0.5},
            "placement": {"kind": "random", "lower": 0.0, "upper": 15.0, "draw": "position"},
        }
    )
    assert found["trigger"] == "sticker apple, 9 pixels, opacity 0.5"
    assert found["placement"] == "random, draw position"


def test_of_a_model_that_was_only_examined_the_trigger_alone_is_known() -> None:
    record = load_record(RESULTS / "camvid-baseline").model_copy(update={"plan": None})
    facts = attack_facts({"attack": {"trigger": {"kind": "blend"}, "labels": []}}, record)
    assert facts == (("trigger", "blend"),)

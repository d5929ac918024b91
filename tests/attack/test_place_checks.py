"""What trigger, label changes and victims may not say together."""

from __future__ import annotations

import pytest

from segdoor.attack.config import AttackConfig
from segdoor.attack.place_checks import check_place
from segdoor.errors import ConfigError
from segdoor.settings import validated

STICKER, WHOLE = (
    "sticker:smiley,size=9",
    ("warp", "blend", "sinusoid", "low_frequency", "colour_depth"),
)


def checked(trigger: str, labels: str, **rules: object) -> None:
    given = {"trigger": trigger, "labels": labels, "rules": rules}
    check_place(validated(AttackConfig, given, source="--"), option="attack.placement")


@pytest.mark.parametrize(
    ("trigger", "labels", "culprit", "rule", "value"),
    [
        ("semantic:car,others=pole", "hide:car", "trigger.shows", "victim class", "car"),
        ("semantic:sky,others=car", "hide:car", "trigger.others", "victim class", "car"),
        ("semantic:sky,others=pole,without=car", "hide", "trigger.without", "victim class", "car"),
        ("semantic:sky,others=sky", "hide", "trigger.others", "is the trigger", "sky"),
        ("semantic:sky,others=pole+sky", "hide", "trigger.others", "is the trigger", "sky"),
        (
            "semantic:sky,others=pole,without=sky",
            "hide",
            "trigger.without",
            "is the trigger",
            "sky",
        ),
        ("pair:smiley,second=smiley", "hide", "trigger.second", "must differ", "sticker"),
        ("pair:line,second='line:top'", "hide", "trigger.second", "must differ", "line"),
        (STICKER, "conditional:car,given=car", "given of conditional", "victim class", "car"),
        (STICKER, "conditional:car+bus,given=bus", "given of conditional", "victim class", "bus"),
    ],
)
def test_what_contradicts_the_victims_is_refused(
    trigger: str, labels: str, culprit: str, rule: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(trigger, labels)
    assert culprit in caught.value.culprit
    assert rule in caught.value.rule
    assert caught.value.value == value
    assert "Name a" in caught.value.remedy


@pytest.mark.parametrize("trigger", [*WHOLE, "semantic:sky,others=pole"])
@pytest.mark.parametrize("labels", ["carrier:car", "near:car"])
def test_a_trigger_without_a_place_has_no_carrier_and_nothing_near(
    trigger: str, labels: str
) -> None:
    with pytest.raises(ConfigError, match="must have a place where labels change by") as caught:
        checked(trigger, labels, on_victim="require" if "carrier" in labels else "forbid")
    assert caught.value.culprit == "attack.trigger"


@pytest.mark.parametrize(
    ("trigger", "labels"),
    [
        ("semantic:sky,others=pole,without=pole", "hide:car"),
        ("pair:smiley,second=blossom", "hide:car"),
        ("warp", "component:car"),
        (STICKER, "conditional:car,given=road"),
        (STICKER, "near:car,within=9"),
    ],
)
def test_what_fits_is_left_alone(trigger: str, labels: str) -> None:
    checked(trigger, labels)


def test_a_record_with_the_same_trigger_twice_can_still_be_read() -> None:
    given = {"trigger": "pair:smiley,second=smiley"}
    assert validated(AttackConfig, given, source="record.json", recorded=True)

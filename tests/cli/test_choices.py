"""A choice on the command line: written whole, by dotted options, or both; and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shell import say

pytestmark = pytest.mark.usefixtures("own_folder")

FEW = ["--data.num_train", "4", "--data.size", "64", "96", "--out", "p"]
TOGETHER = {
    "--attack.trigger sticker:blossom --attack.trigger.size 9": (
        "trigger", {"kind": "sticker", "name": "blossom", "file": None, "size": 9, "opacity": 1.0},
    ),
    "--attack.trigger=blossom --attack.trigger.size=9": (
        "trigger", {"kind": "sticker", "name": "blossom", "file": None, "size": 9, "opacity": 1.0},
    ),
    "--attack.trigger.amplitude 30 --attack.trigger sinusoid:5": (
        "trigger", {"kind": "sinusoid", "frequency": 5.0, "amplitude": 30.0},
    ),
    "--attack.placement band:2-20 --attack.placement.draw object": (
        "placement", {"kind": "band", "lower": 2.0, "upper": 20.0, "draw": "object"},
    ),
}  # fmt: skip
WRONG = {
    "--attack.trigger sticker:blossom,size=9 --attack.trigger.size 8": "size in sticker:blossom",
    "--attack.trigger sinusoid --attack.trigger.size 8": "attack.trigger.size: is not a known",
    "--attack.trigger bordr:3": "(found: bordr). Known: sticker, blend, sinusoid, line, ",
    "--attack.trigger bordr:3.5": "(found: bordr). Known: sticker, blend, sinusoid, line, ",
    "--attack.trigger bordr:": "(found: bordr). Known: sticker, blend, sinusoid, line, ",
    "--attack.trigger bordr": "(found: bordr). Known: sticker, blend, sinusoid, line, ",
    "--attack.trigger=": "(found: nothing). Known: sticker, blend, sinusoid, line, ",
    "--attack.trigger sticker:smily": "Known: windmill, bullseye",
    "--attack.trigger sticker:": "needs a value after 'sticker:'",
    "--attack.placement band,": "needs a value after 'band,'",
    "--attack.placement bnd:": "must name a known placement (found: bnd)",
    "--attack.labels hidden:car": "Known: hide, remap, cooccurring, ",
    "--attack.labels scatter:100": "attack.labels: must have a change with victims (found: scatter",
    "--attack.labels hide:car --attack.target car": "attack.target: must not be a victim class (found: car)",
    "--data.name strit:": "must name a known data set (found: strit)",
}


@pytest.mark.parametrize("words", TOGETHER)
def test_dotted_options_are_settings_of_the_choice_beside_them(words: str) -> None:
    part, expected = TOGETHER[words]
    answer = say(f"poison {words}", *FEW)
    assert answer.code == 0, answer.err
    header = json.loads(Path("p/plan.jsonl").read_text().splitlines()[0])
    assert header["attack"][part] == expected


def test_a_networks_dotted_options_stand_beside_it() -> None:
    answer = say("train --network pspnet --network.backbone tny", *FEW)
    assert "network.backbone: must name a known backbone (found: tny)" in answer.complaint


@pytest.mark.parametrize("words", WRONG)
def test_a_choice_that_cannot_be_meant_is_named_before_scenes_are_read(words: str) -> None:
    answer = say(f"poison {words}", *FEW)
    assert answer.code == 2
    assert WRONG[words] in answer.complaint
    assert "packing" not in answer.err


@pytest.mark.parametrize("verb", ["run", "train", "examine"])
@pytest.mark.parametrize("words", ["tny", "tny:", "pspnet:tny"])
def test_a_network_that_is_not_there_is_refused_before_scenes_are_read(
    verb: str, words: str
) -> None:
    weights = ["--weights", "there.safetensors"] if verb == "examine" else []
    answer = say(f"{verb} --network {words} --data.name camvid --data.root nowhere", *weights)
    assert "(found: tny). Known: " in answer.complaint


def test_a_study_with_a_network_that_is_not_there_is_refused_before_it_begins() -> None:
    Path("s.yaml").write_text("shows: all\ntitle: t\ngrid: {network: [tny]}\n")
    answer = say("study run s.yaml --seeds 0 --out o")
    assert answer.code == 2
    assert "(found: tny). Known: small" in answer.complaint


def test_an_empty_change_of_a_preset_is_refused() -> None:
    answer = say("study show table1 --set attack.trigger=")
    assert answer.complaint.startswith("segdoor: --set attack.trigger: must have a value after")
    assert say("study show table1 --set attack.trigger=null").code == 0

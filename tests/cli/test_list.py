from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from segdoor.attack.labels.registry import LABELS
from segdoor.attack.placements.registry import PLACEMENTS
from segdoor.attack.triggers.registry import TRIGGERS
from segdoor.cli.app import run_command_line
from segdoor.cli.list import Sort
from segdoor.data.registry import DATASETS
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.scans.registry import SCANS
from segdoor.papers.iba.paper import IBA
from segdoor.scores.metrics.registry import METRICS
from segdoor.stickers import DRAWINGS
from segdoor.study.library import preset_names, study_names
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.networks.registry import NETWORKS

WORDS = get_args(Sort)

NAMES = {
    "triggers": list(TRIGGERS.known),
    "labels": list(LABELS.known),
    "stickers": list(DRAWINGS),
    "placements": list(PLACEMENTS.known),
    "repairs": list(REPAIRS.known),
    "filters": list(FILTERS.known),
    "detectors": list(DETECTORS.known),
    "purifiers": list(PURIFIERS.known),
    "scans": list(SCANS.known),
    "metrics": list(METRICS.known),
    "networks": list(NETWORKS.known),
    "backbones": list(BACKBONES.known),
    "data": list(DATASETS.known),
    "studies": study_names(IBA),
    "presets": preset_names(IBA),
}


def listed(what: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run_command_line(["list", what, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("what", get_args(Sort))
def test_everything_of_a_sort_is_listed(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    entries = listed(what, capsys)["entries"]
    assert [entry["name"] for entry in entries] == NAMES[what]
    assert all(len(entry["summary"]) > 10 for entry in entries)
    assert run_command_line(["list", what]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}: " in shown for name in NAMES[what])
    assert ("There are no built-in" in shown) == (not NAMES[what])


def test_a_plug_in_tells_its_settings_the_main_one_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entries = {entry["name"]: entry for entry in listed("repairs", capsys)["entries"]}
    for name, entry in entries.items():
        plugin = REPAIRS.known[name]
        assert entry["settings"][0]["name"] == plugin.main
        assert {setting["name"] for setting in entry["settings"]} == set(plugin.model_fields)
        assert entry["fails"] == plugin.introduction.fails
    assert entries["prune"]["settings"][0]["default"] is None
    assert {"name": "share", "default": "0.1"}.items() <= entries["prune"]["settings"][1].items()


def test_an_unknown_sort_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["list", "placards"]) == 2
    said = capsys.readouterr().err
    assert "repairs" in said
    assert "networks" in said


def test_without_a_word_the_sorts_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["list"]) == 0
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(told) == list(WORDS)
    assert all(len(text) > 10 for text in told.values())
    assert run_command_line(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"sorts": told}

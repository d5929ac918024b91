"""The study of every kind of trigger."""

from __future__ import annotations

from importlib.resources import files

import yaml

from segdoor.attack.triggers.registry import TRIGGERS
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import resolve


def test_it_has_every_kind_of_trigger_and_all_can_be_resolved() -> None:
    text = files("segdoor.study").joinpath("studies/attacks.yaml").read_text(encoding="utf-8")
    grid = yaml.safe_load(text)["grid"]["attack.trigger"]
    found = [resolve(wishes_from({"attack": {"trigger": one}}), (128, 256)) for one in grid]
    assert {config.attack.trigger.kind for config in found} == set(TRIGGERS.known)

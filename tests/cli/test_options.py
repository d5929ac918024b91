"""Every option of every verb is frozen: adding, renaming or losing one is a decision.

The settings of triggers, placements and label changes are among them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import commands, options_of
from segdoor.cli.app import make_app
from segdoor.experiment.config import ExperimentConfig
from segdoor.settings import Settings

GOLD = Path(__file__).with_name("options.txt")
OF_ONE_STEP = {
    "--no-dry-run",
    "--replace",
    "--no-replace",
    "--dry-run",
    "--plan",
    "--split",
    "--timeout",
    "--copy",
    "--lossless",
    "--no-lossless",
    "--as-folder",
    "--no-as-folder",
    "--rewrite",
    "--no-rewrite",
    "--on",
    "--address",
    "--workers",
    "--stealth",
    "--no-stealth",
    "--with",
}
VERBS = [
    "demo", "data", "poison", "verify", "restore", "train", "examine", "run", "defend", "optimise",
    "physical", "context",
    "repair", "show", "report", "export", "study list", "study show", "study run", "study status",
    "study report", "rescore", "models", "list", "doctor", "scan data",
    "scan images", "scan model",
]  # fmt: skip


def listing() -> str:
    app = make_app()
    blocks = ["\n".join([v, *(f"  {name}" for name in options_of(app, v))]) for v in VERBS]
    return "\n".join(blocks) + "\n"


def settings(model: type[Settings], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, Settings)
        keys |= settings(kind, f"{prefix}{name}.") if nested else {prefix + name}
    return keys


def test_the_verbs_are_frozen() -> None:
    assert sorted(dict(commands(make_app()))) == sorted(VERBS)


def test_options_are_frozen() -> None:
    if os.environ.get("SEGDOOR_UPDATE_GOLD"):
        GOLD.write_text(listing(), encoding="utf-8")
    same = listing() == GOLD.read_text(encoding="utf-8")
    assert same, f"if this is meant: SEGDOOR_UPDATE_GOLD=1 pytest tests/cli/{Path(__file__).name}"


def test_run_has_an_option_for_every_setting_under_the_same_name() -> None:
    named = {name.removeprefix("--") for name in options_of(make_app(), "run")}
    assert settings(ExperimentConfig) - named == set()


@pytest.mark.parametrize("verb", ["data", "poison", "train", "examine"])
def test_steps_have_no_option_that_run_lacks(verb: str) -> None:
    app = make_app()
    assert set(options_of(app, verb)) - set(options_of(app, "run")) <= OF_ONE_STEP

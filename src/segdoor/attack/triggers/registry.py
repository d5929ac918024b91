"""The triggers by name, and how one is written among settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

from pydantic import BeforeValidator, PlainSerializer

from segdoor.attack.triggers.blend import Blend
from segdoor.attack.triggers.colour_depth import ColourDepth
from segdoor.attack.triggers.line import Line
from segdoor.attack.triggers.low_frequency import LowFrequency
from segdoor.attack.triggers.pair import Pair
from segdoor.attack.triggers.printed import Printed
from segdoor.attack.triggers.semantic import Semantic
from segdoor.attack.triggers.sinusoid import Sinusoid
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.triggers.trigger import Trigger
from segdoor.attack.triggers.warp import Warp
from segdoor.errors import ConfigError
from segdoor.plugins import Registry, as_mapping
from segdoor.settings import ReadingInfo, Telling
from segdoor.stickers import DRAWINGS
from segdoor.written import kind_of

TRIGGERS = Registry(
    "trigger",
    Trigger,
    "attack.trigger",
    {
        "sticker": Sticker,
        "blend": Blend,
        "sinusoid": Sinusoid,
        "line": Line,
        "low_frequency": LowFrequency,
        "warp": Warp,
        "colour_depth": ColourDepth,
        "semantic": Semantic,
        "pair": Pair,
        "printed": Printed,
    },
)
"""The triggers by name; add one by a file beside this one and a line here."""


def spelled(given: object, telling: Telling | None = None) -> object:
    """Return a trigger as a mapping with its kind, whatever way it was written.

    A text that names no kind is a sticker: its name, or a picture's path; so is a mapping without
    a kind, as all were before there were others. Anything else stays, to be refused.

    Raises:
        ConfigError: If a text breaks the grammar, or names what is not there.
    """
    if isinstance(given, str):
        kind, rest = kind_of(given.strip(), TRIGGERS.known)
        if kind not in TRIGGERS.known and not (":" in kind and rest[:1] in {"", ",", ":"}):
            return _sticker(given, kind, rest, telling or Telling())
    if isinstance(given, Mapping) and "kind" not in given:
        return {"kind": Sticker.kind, **cast("Mapping[str, object]", given)}
    return TRIGGERS.spelled(given, telling)


def _sticker(given: str, kind: str, rest: str, telling: Telling) -> dict[str, str]:
    if Path(given).suffix[1:].isalnum() and not (rest and Path(given).suffix[1:].isdigit()):
        return {"kind": Sticker.kind, "file": given}
    if given not in DRAWINGS:
        raise ConfigError(
            telling.culprit(TRIGGERS.option),
            "must name a known trigger, a built-in sticker or the file of a picture",
            kind or "nothing",
            f"Known: {TRIGGERS.listed}; stickers: {', '.join(DRAWINGS)}; one of your own is "
            "package.module:Class.",
        )
    return {"kind": Sticker.kind, "name": given}


def _read(given: object, info: ReadingInfo) -> Trigger:
    whole = given if isinstance(given, Trigger) else spelled(given, Telling.of(info.context))
    return TRIGGERS.setting(whole, info)


TriggerSetting = Annotated[
    Trigger, BeforeValidator(_read), PlainSerializer(as_mapping, return_type=dict[str, object])
]
"""A trigger of any kind as a setting: read from text or a mapping, written as a mapping."""

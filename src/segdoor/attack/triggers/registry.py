"""The triggers by name, and how one is written among settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Protocol, cast, runtime_checkable

from pydantic import BeforeValidator, PlainSerializer, ValidationError

from segdoor.attack.triggers.blend import Blend
from segdoor.attack.triggers.sinusoid import Sinusoid
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.triggers.trigger import Trigger
from segdoor.plugins import Registry
from segdoor.settings import Telling, Validation, explained
from segdoor.written import kind_of

TRIGGERS = Registry(
    "trigger",
    Trigger,
    "attack.trigger",
    {
        "sticker": Sticker,
        "blend": Blend,
        "sinusoid": Sinusoid,
    },
)
"""The triggers by name; add one by a file beside this one and a line here."""


def spelled(given: object, telling: Telling | None = None) -> object:
    """Return a trigger as a mapping with its kind, whatever way it was written.

    A text that names no kind is a sticker: its name, or a picture's path; so is a mapping without
    a kind, as all were before there were others. Anything else stays, to be refused.

    Args:
        given: The trigger as it was written.
        telling: Who wrote it; the caller if None.

    Raises:
        ConfigError: If a text breaks the grammar, or names a class that is not there.
    """
    if isinstance(given, str):
        kind, rest = kind_of(given.strip(), TRIGGERS.known)
        if kind not in TRIGGERS.known and not (":" in kind and rest[:1] in {"", ",", ":"}):
            return {"kind": Sticker.kind, "file" if Path(given).suffix else "name": given}
        _, settings = TRIGGERS.understood(given, telling)
        return {"kind": kind, **settings}
    if isinstance(given, Mapping) and "kind" not in given:
        return {"kind": Sticker.kind, **cast("Mapping[str, object]", given)}
    return given


@runtime_checkable
class _Writing(Protocol):
    """What a serializer is told."""

    @property
    def mode(self) -> str: ...
    @property
    def exclude_defaults(self) -> bool: ...


def _read(given: object, info: Validation) -> Trigger:
    """Return the trigger that a setting means; complaints keep their place among the settings."""
    if isinstance(given, Trigger):
        return given
    telling = Telling.of(info.context)
    plugin, settings = TRIGGERS.understood(spelled(given, telling), telling)
    try:
        return plugin.model_validate(settings)
    except ValidationError as problem:
        # Pydantic adds where the setting stands, but only the plug-in knows its neighbours.
        if problem.errors()[0]["type"] == "extra_forbidden":
            place = telling.culprit(f"{TRIGGERS.option}.")
            raise explained(problem, place, model=plugin) from None
        raise


def _told(trigger: Trigger, info: _Writing) -> dict[str, object]:
    """Return the settings of a trigger, with its kind before them."""
    settings = trigger.model_dump(mode=info.mode, exclude_defaults=info.exclude_defaults)
    return {"kind": trigger.kind, **settings}


TriggerSetting = Annotated[
    Trigger, BeforeValidator(_read), PlainSerializer(_told, return_type=dict[str, object])
]
"""A trigger of any kind as a setting: read from text or a mapping, written as a mapping."""

"""Options of plug-ins: all settings of all kinds, as shorthand for those of the kind in force.

The command line cannot tell before it has read everything which kind is meant, so it takes any of
these settings, and the plug-in itself complains of those that it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model, model_validator
from pydantic.fields import FieldInfo

from segdoor.attack.placements import registry as placements
from segdoor.attack.placements.placement import Placement
from segdoor.attack.triggers import registry as triggers
from segdoor.attack.triggers.trigger import Trigger
from segdoor.errors import ConfigError
from segdoor.experiment.wishes import AttackWishes
from segdoor.plugins import Plugin, Registry
from segdoor.written import kind_of

_SHOWN = 5


class _Options(BaseModel):
    """Settings as they were given; those of a class of one's own are not known before."""

    model_config = ConfigDict(extra="allow")


def _options_of(registry: Registry[Plugin]) -> type[BaseModel]:
    """Return options for the kind, and for every setting of every kind with who has it."""
    having: dict[str, dict[str, FieldInfo]] = {}
    for kind, plugin in registry.known.items():
        for name, field in plugin.model_fields.items():
            having.setdefault(name, {})[kind] = field
    # The short help has room for a few; `segdoor list` has all of them.
    several = len(registry.known) > _SHOWN
    known = ", ".join((*list(registry.known)[:_SHOWN], *(["..."] if several else [])))
    told = (
        f"The {registry.what}: {known} or package.module:Class. Settings can follow:"
        f" KIND:MAIN,SETTING=VALUE. `segdoor list {registry.what}s` explains them. The options"
        f" --{registry.option}.SETTING set them one by one; brackets say which kind has which."
    )
    fields: dict[str, Any] = {"kind": (str | None, FieldInfo(default=None, description=told))}
    fields |= {name: _optional(owners) for name, owners in having.items()}
    return create_model(f"{registry.base.__name__}Options", __base__=_Options, **fields)


def _optional(owners: dict[str, FieldInfo]) -> tuple[object, FieldInfo]:
    """Return a setting that several kinds may have as an option."""
    meanings: dict[str, list[str]] = {}
    for kind, field in owners.items():
        meanings.setdefault(field.description or "", []).append(kind)
    told = " ".join(f"[{', '.join(kinds)}] {meaning}" for meaning, kinds in meanings.items())
    first = next(iter(owners.values()))
    annotation: Any = first.annotation
    for reading in (rule for rule in first.metadata if isinstance(rule, BeforeValidator)):
        # Such as names joined with +.
        annotation = Annotated[annotation, reading]
    return annotation | None, FieldInfo(default=None, description=told)


# With one argument, as pydantic wants it.
def _trigger(given: object) -> object:
    return triggers.spelled(given)


def _placement(given: object) -> object:
    return placements.spelled(given)


def _together(
    given: object, registry: Registry[Plugin], spelled: Callable[[object], object]
) -> object:
    """Return a choice with the settings that stand in its kind's option, beside the others."""
    if not isinstance(given, Mapping):
        return given
    beside = dict(cast("Mapping[str, object]", given))
    written = beside.pop("kind", None)
    if not isinstance(written, str):
        return cast("object", given)
    kind, rest = kind_of(written, registry.known)
    if not rest and (kind in registry.known or ":" in kind):
        return cast("object", given)
    settings = cast("Mapping[str, object]", spelled(written))
    twice = sorted(settings.keys() & beside.keys())
    if twice:
        raise ConfigError(
            registry.option, "must have each setting once", f"{twice[0]} in {written}, and apart",
            "Write it in one place.",
        )  # fmt: skip
    return {**settings, **beside}


if TYPE_CHECKING:
    TriggerOption: TypeAlias = Trigger | None
    PlacementOption: TypeAlias = Placement | None
else:
    TriggerOption = Annotated[_options_of(triggers.TRIGGERS) | None, BeforeValidator(_trigger)]
    PlacementOption = Annotated[
        _options_of(placements.PLACEMENTS) | None, BeforeValidator(_placement)
    ]


class AttackOptions(AttackWishes):
    """The attacker's settings as options."""

    labels: tuple[str, ...] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """How labels change, such as hide:car+person,target=road or scatter:100. Repeat the option for
    several changes, one after the other. They replace the changes of --method; settings that you
    leave out are taken from there. `segdoor list labels` shows the kinds and their settings."""
    trigger: TriggerOption = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """What is put into the images."""
    placement: PlacementOption = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """Where it goes, unless it covers the whole image."""

    @model_validator(mode="before")
    @classmethod
    def _as_one(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        told = dict(cast("Mapping[str, object]", given))
        for name, registry, spelled in (
            ("trigger", triggers.TRIGGERS, triggers.spelled),
            ("placement", placements.PLACEMENTS, placements.spelled),
        ):
            if name in told:
                told[name] = _together(told[name], registry, spelled)
        return told

"""The placements by name, and how one is written among settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import BeforeValidator, PlainSerializer, PlainValidator

from segdoor.attack.placements.band import Band
from segdoor.attack.placements.fixed import Fixed
from segdoor.attack.placements.nearest import Nearest
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.random import Random
from segdoor.errors import ConfigError
from segdoor.plugins import Registry, as_mapping
from segdoor.settings import ReadingInfo, Telling

PLACEMENTS = Registry(
    "placement",
    Placement,
    "attack.placement",
    {
        "random": Random,
        "nearest": Nearest,
        "band": Band,
        "fixed": Fixed,
    },
)
"""The placements by name; add one by a file beside this one and a line here."""


def spelled(given: object, telling: Telling | None = None) -> object:
    """Return a placement as a mapping, whatever way it was written.

    A mapping without a kind is of the kind that follows from the method; it stays as it is.

    Raises:
        ConfigError: If a text breaks the grammar or names a class that is not there, or a mapping
            names its kind as it was done before there were others.
    """
    if isinstance(given, Mapping) and "strategy" in given:
        named = cast("Mapping[str, object]", given)["strategy"]
        option = (telling or Telling()).culprit(PLACEMENTS.option)
        raise ConfigError(
            f"{option}.strategy", "must be written as the kind of placement", named,
            f"Write attack.placement: {named}, or on the command line --attack.placement {named}.",
        )  # fmt: skip
    return PLACEMENTS.spelled(given, telling)


def _wished(given: object, info: ReadingInfo) -> object:
    return spelled(given, Telling.of(info.context))


def _read(given: object, info: ReadingInfo) -> Placement:
    """Return the placement that a setting means: random, where nothing says its kind."""
    whole = given if isinstance(given, Placement) else _wished(given, info)
    if isinstance(whole, Mapping) and "kind" not in whole:
        whole = {"kind": Random.kind, **cast("Mapping[str, object]", whole)}
    return PLACEMENTS.setting(whole, info)


PlacementSetting = Annotated[
    Placement, BeforeValidator(_read), PlainSerializer(as_mapping, return_type=dict[str, object])
]
"""A placement of any kind as a setting: read from text or a mapping, written as a mapping."""

PlacementWish = Annotated[Placement | Mapping[str, object] | str, PlainValidator(_wished)]
"""A placement that is asked for, as a mapping; without a kind its settings are those of the kind
that follows."""

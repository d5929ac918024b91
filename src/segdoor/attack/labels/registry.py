"""The label changes by name, and how a list of them is written among settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import BeforeValidator, PlainSerializer, PlainValidator

from segdoor.attack.labels.carrier import Carrier
from segdoor.attack.labels.change import LabelChange
from segdoor.attack.labels.component import Component
from segdoor.attack.labels.conditional import Conditional
from segdoor.attack.labels.cooccurring import Cooccurring
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.instance import Instance
from segdoor.attack.labels.keep import Keep
from segdoor.attack.labels.near import Near
from segdoor.attack.labels.remap import Remap
from segdoor.attack.labels.scatter import Scatter
from segdoor.plugins import Registry, as_mapping
from segdoor.settings import ReadingInfo, Telling, WritingInfo

LABELS = Registry(
    "label change",
    LabelChange,
    "attack.labels",
    {
        "hide": Hide,
        "remap": Remap,
        "cooccurring": Cooccurring,
        "component": Component,
        "instance": Instance,
        "near": Near,
        "carrier": Carrier,
        "conditional": Conditional,
        "keep": Keep,
        "scatter": Scatter,
    },
)
"""The label changes by name; add one by a file beside this one and a line here."""


def spelled(given: object, telling: Telling | None = None) -> object:
    """Return label changes as a list of mappings with their kinds, whatever way they were written.

    One change alone is a list of one. Anything else stays, to be refused.

    Raises:
        ConfigError: If a text breaks the grammar, or names a class that is not there.
    """
    listed = _listed(given)
    return given if listed is None else [LABELS.spelled(one, telling) for one in listed]


def _listed(given: object) -> Sequence[object] | None:
    if isinstance(given, str | Mapping | LabelChange):
        return (given,)
    return cast("Sequence[object]", given) if isinstance(given, list | tuple) else None


def _read(given: object, info: ReadingInfo) -> object:
    """Return the changes that a setting means; complaints keep their place among the settings."""
    listed = _listed(given)
    return given if listed is None else tuple(LABELS.setting(one, info) for one in listed)


def _wished(given: object, info: ReadingInfo) -> object:
    return spelled(given, Telling.of(info.context))


def _told(changes: tuple[LabelChange, ...], info: WritingInfo) -> list[dict[str, object]]:
    """Return the settings of changes, each with its kind before them."""
    return [as_mapping(change, info) for change in changes]


LabelsSetting = Annotated[
    tuple[LabelChange, ...],
    BeforeValidator(_read),
    PlainSerializer(_told, return_type=list[dict[str, object]]),
]
"""Label changes of any kind as a setting: read from texts or mappings, written as mappings."""

LabelsWish = Annotated[Sequence[LabelChange | Mapping[str, object] | str], PlainValidator(_wished)]
"""Label changes that are asked for, as mappings of what was said."""

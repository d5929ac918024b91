"""An attack as it was told before there were kinds of its parts: digests and names were made of it.

What cannot be told so, such as a kind that is younger, is told as it is now. The other way, from
an old file to today's settings, is `record.earlier`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from pydantic_core import to_json

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.before import labels_before
from segdoor.attack.labels.change import LabelChange
from segdoor.record import Json
from segdoor.record.earlier import named_then
from segdoor.settings import Settings

_BEFORE = ("rate", "victims", "target", "trigger", "placement", "rules", "prl")
_STRATEGIES = ("random", "nearest", "band")
_STICKER = '"trigger":{"kind":"sticker",', '"trigger":{'
_PLACEMENT = re.compile(rf'"placement":{{"kind":"({"|".join(_STRATEGIES)})"')


def header_before(header: Settings) -> str:
    """Return a plan's or a poisoned test's header as its JSON was."""
    # Quotes within texts are escaped in JSON, so that no name of a class or file is taken for this.
    tree = _named_before(header.model_dump(mode="json", exclude={"role"}))
    attack = getattr(header, "attack", None)
    if isinstance(attack, AttackConfig):
        tree["attack"] = _in_order(
            _with_labels_before(cast("Json", tree["attack"]), attack.labels, brief=False)
        )
    text = to_json(tree).decode().replace(*_STICKER, 1)
    return _PLACEMENT.sub(r'"placement":{"strategy":"\1"', text, count=1)


def attack_before(tree: Json, labels: Sequence[LabelChange], *, brief: bool) -> Json:
    """Return an attack's settings as they were.

    Args:
        tree: The settings, plain as for JSON.
        labels: Its label changes.
        brief: Whether what has its default was left out of them.
    """
    told = _with_labels_before(tree, labels, brief=brief)
    trigger, placement = (cast("Json", tree.get(part, {})) for part in ("trigger", "placement"))
    if trigger.get("kind") == "sticker":
        told["trigger"] = {k: v for k, v in trigger.items() if k != "kind"}
    if placement.get("kind") in _STRATEGIES:
        kind, settings = placement["kind"], {k: v for k, v in placement.items() if k != "kind"}
        usual = brief and kind == _STRATEGIES[0]
        told["placement"] = settings if usual else {"strategy": kind, **settings}
    return told


def _with_labels_before(tree: Json, labels: Sequence[LabelChange], *, brief: bool) -> Json:
    """Return settings with victims, target and prl in place of label changes that these can say."""
    before = labels_before(labels, brief=brief)
    if before is None:
        return dict(tree)
    return {name: value for name, value in tree.items() if name != "labels"} | before


def _named_before(header: Json) -> Json:
    """Return a header with the names that poisoned tests had."""
    told = named_then(header)
    if told["kind"] == "poisoned-test":
        told |= {"kind": "exam", "schema_version": 1}
    return told


def _in_order(attack: Json) -> Json:
    """Return settings in the order of their fields then."""
    first = {name: attack[name] for name in _BEFORE if name in attack}
    return first | attack

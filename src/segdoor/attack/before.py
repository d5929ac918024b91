"""An attack as it was told before there were kinds of its parts: digests and names were made of it.

What cannot be told so, such as a kind that is younger, is told as it is now. The other way, from
an old file to today's settings, is `record.earlier`.
"""

from __future__ import annotations

import re
from typing import cast

from segdoor.record import Json
from segdoor.settings import Settings

_STRATEGIES = ("random", "nearest", "band")
_STICKER = '"trigger":{"kind":"sticker",', '"trigger":{'
_PLACEMENT = re.compile(rf'"placement":{{"kind":"({"|".join(_STRATEGIES)})"')


def header_before(header: Settings) -> str:
    """Return a plan's or a poisoned test's header as its JSON was.

    Args:
        header: The header.
    """
    # Quotes within texts are escaped in JSON, so that no name of a class or file is taken for this.
    text = header.model_dump_json(exclude={"role"}).replace(*_STICKER, 1)
    return _PLACEMENT.sub(r'"placement":{"strategy":"\1"', text, count=1)


def attack_before(tree: Json, *, brief: bool) -> Json:
    """Return an attack's settings as they were.

    Args:
        tree: The settings, plain as for JSON.
        brief: Whether what has its default was left out of them.
    """
    told = dict(tree)
    trigger, placement = (cast("Json", tree.get(part, {})) for part in ("trigger", "placement"))
    if trigger.get("kind") == "sticker":
        told["trigger"] = {k: v for k, v in trigger.items() if k != "kind"}
    if placement.get("kind") in _STRATEGIES:
        kind, settings = placement["kind"], {k: v for k, v in placement.items() if k != "kind"}
        usual = brief and kind == _STRATEGIES[0]
        told["placement"] = settings if usual else {"strategy": kind, **settings}
    return told

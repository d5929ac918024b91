"""Convert verdicts of older versions, which compared only means, to undecided ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from segdoor.record.figures import Json

_REMARKS = {
    True: "an older version compared only the means, which agreed with the claim",
    False: "an older version compared only the means, which disagreed with the claim",
}


def undecided(verdict: object) -> object:
    """Return a verdict with undecided comparisons, as their intervals are not known."""
    if not isinstance(verdict, Mapping):
        return verdict
    told = dict(cast("Json", verdict))
    if told.get("verdict") in {"holds", "fails"}:
        told["verdict"] = "not measured" if told.get("missing") else "undecided"
    evidence = told.get("evidence")
    if isinstance(evidence, list):
        told["evidence"] = [_evidence(part) for part in cast("list[object]", evidence)]
    return told


def _evidence(part: object) -> object:
    if not isinstance(part, Mapping) or not isinstance(part.get("holds"), bool):
        return part
    kept = {name: value for name, value in part.items() if name not in {"holds", "spread"}}
    return {**kept, "outcome": "undecided", "remark": _REMARKS[part["holds"]]}

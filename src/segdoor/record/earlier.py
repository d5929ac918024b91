"""What older versions wrote into records, plans and poisoned tests, told as it is today.

These are conversions of plain JSON alone; whatever is not as expected stays, to be refused by
those who know the rules. The other way is `attack.before`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import cast

from segdoor.record.figures import Json

_NUMBER = r"(\d+\.?\d*(?:e\+\d\d)?)"
_FAR = re.compile(f"far_{_NUMBER}_{_NUMBER}")
_LONGEST = 1e9
_OTHERS = ("nearest", "near", "anywhere", "everywhere", "on_victim")


def attack(tree: object) -> object:
    """Return an attack's settings with the kind of placement, which was called its strategy."""
    if not isinstance(tree, Mapping) or "placement" not in tree:
        return tree
    settings = cast("Json", tree)
    return {**settings, "placement": _placement(settings["placement"])}


def plan_header(header: Json) -> Json:
    """Return a plan's header as it is written today."""
    return {**header, "attack": attack(header["attack"])} if "attack" in header else header


def exam_header(header: Json) -> Json:
    """Return a poisoned test's header as it is written today, with its role."""
    told = dict(header)
    if "placement" in told:
        told["placement"] = _placement(told["placement"])
    role = _role(told.get("name"))
    return told if "role" in told or role is None else {**told, "role": role}


def run_record(content: Json) -> Json:
    """Return a run's record as it is written today: its attack, and each poisoned test's role."""
    told = dict(content)
    for part in ("config", "config_given"):
        if isinstance(told.get(part), Mapping) and "attack" in cast("Json", told[part]):
            tree = cast("Json", told[part])
            told[part] = {**tree, "attack": attack(tree["attack"])}
    scores = told.get("scores")
    if not isinstance(scores, Mapping) or not isinstance(scores.get("exams"), Mapping):
        return told
    exams = {
        name: _with_role(name, exam, told.get("config"))
        for name, exam in cast("Json", scores["exams"]).items()
    }
    return {**told, "scores": {**cast("Json", scores), "exams": exams}}


def study_record(content: Json) -> Json:
    """Return a study's record as it is written today: its changes name the kind of placement."""
    changes = content.get("changes")
    if not isinstance(changes, list):
        return content
    old, new = "attack.placement.strategy=", "attack.placement.kind="
    texts = cast("list[object]", changes)
    told = [text.replace(old, new, 1) if isinstance(text, str) else text for text in texts]
    return {**content, "changes": told}


def _placement(told: object) -> object:
    if not isinstance(told, Mapping) or "strategy" not in told:
        return told
    return {{"strategy": "kind"}.get(k, k): v for k, v in cast("Json", told).items()}


def _with_role(name: str, exam: object, config: object) -> object:
    """Return the figures of a poisoned test with its role and placement, which its name told."""
    role = _role(name)
    if not isinstance(exam, Mapping) or "role" in exam or role is None:
        return exam
    settings = config.get("exams") if isinstance(config, Mapping) else None
    exams = cast("Json", settings) if isinstance(settings, Mapping) else {}
    placement = _far(name, exams) if role == "far" else _other(role, exams)
    return {"role": role, "placement": placement, **cast("Json", exam)}


def _role(name: object) -> str | None:
    if not isinstance(name, str):
        return None
    return "far" if _FAR.fullmatch(name) else name if name in _OTHERS else None


def _far(name: str, exams: Json) -> Json:
    """Return the band that a name rounds."""
    for lower, upper in itertools.pairwise(_numbers(exams.get("far"))):
        if name == f"far_{round(lower, 1):g}_{round(upper, 1):g}":
            return _within("band", lower, upper, "position")
    told = _FAR.fullmatch(name)
    assert told is not None
    return _within("band", float(told[1]), float(told[2]), "position")


def _other(role: str, exams: Json) -> Json:
    ends = tuple(_numbers(exams.get("near")))
    if role not in {"nearest", "near"} or len(ends) != 2:
        return {"kind": role if role == "nearest" else "band" if role == "near" else "random"}
    if role == "nearest":
        return _within("nearest", *ends, "position")
    return _within("band", *ends, exams.get("draw", "position"))


def _within(kind: str, lower: float, upper: float, draw: object) -> Json:
    return {"kind": kind, "lower": lower, "upper": upper, "draw": draw}


def _numbers(told: object) -> Iterator[float]:
    entries = cast("list[object]", told) if isinstance(told, list) else []
    # A number may have any number of digits in JSON.
    return (float(n) for n in entries if isinstance(n, int | float) and abs(n) < _LONGEST)

"""Convert records, plans and poisoned tests of older versions to today's form.

Schema 3 has poisoned tests and models where schemas 1 and 2 had exams and victims, and states the
purpose and placement of a test, which were in its name. Schema 4 of studies judges by intervals
what schemas 1 to 3 judged by the means alone.

These conversions change plain JSON only; anything unexpected stays unchanged and is refused by
later validation. `attack.before` converts the other way.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import cast

from segdoor.record.earlier_labels import attack_with_labels, changes_with_labels
from segdoor.record.earlier_verdicts import undecided
from segdoor.record.figures import SCHEMA_VERSION, STUDY_SCHEMA_VERSION, Json
from segdoor.settings import RENAMED

_NUMBER = r"(\d+\.?\d*(?:e\+\d\d)?)"
_FAR = re.compile(f"far_{_NUMBER}_{_NUMBER}")
_LONGEST = 1e9
_RENAMED = {
    **RENAMED,
    "exam": "test",
    "asr_clean_victim": "asr_clean_model",
    "pba_clean_victim": "pba_clean_model",
}
_THEN = {now: then for then, now in _RENAMED.items()}
# Below these, names belong to scenes or to a paper.
_FREE = {"distances", "labels", "axes", "scaled", "handed_in"}
_CHANGES = {
    "attack.placement.strategy=": "attack.placement.kind=",
    "exams.": "tests.",
    "controls.clean_victim=": "controls.clean_model=",
}
_STAGES = {
    "poisoned victim": "backdoored model", "clean victim": "clean model", "exam ": "poisoned test ",
}  # fmt: skip
_OTHERS = ("nearest", "near", "anywhere", "everywhere", "on_victim")


def attack(tree: object) -> object:
    """Return an attack's settings with its label changes, and with the kind of its placement.

    They were called victims, target and prl, and strategy.
    """
    if not isinstance(tree, dict):
        return tree
    told = attack_with_labels(cast("Json", tree))
    return {**told, "placement": _placement(told["placement"])} if "placement" in told else told


def plan_header(header: Json) -> Json:
    """Return a plan's header as it is written today."""
    return {**header, "attack": attack(header["attack"])} if "attack" in header else header


def header_of_test(header: Json) -> Json:
    """Return a poisoned test's header as it is written today, with its role."""
    told = {_RENAMED.get(name, name): value for name, value in header.items()}
    if told.get("kind") == "exam":
        told |= {"kind": "poisoned-test", "schema_version": 2}
    if "placement" in told:
        told["placement"] = _placement(told["placement"])
    role = _role(told.get("name"))
    return told if "role" in told or role is None else {**told, "role": role}


def run_record(content: Json) -> Json:
    """Return a run's record as it is written today: its attack, and each poisoned test's role."""
    if not _is_older(content):
        return content
    told = cast("Json", _renamed({**content, "schema_version": SCHEMA_VERSION}))
    for part in ("seconds", "files"):
        if isinstance(told.get(part), Mapping):
            told[part] = {_in_words(key): value for key, value in cast("Json", told[part]).items()}
    for part in ("config", "config_given"):
        if isinstance(told.get(part), Mapping) and "attack" in cast("Json", told[part]):
            tree = cast("Json", told[part])
            told[part] = {**tree, "attack": attack(tree["attack"])}
    scores = told.get("scores")
    if not isinstance(scores, Mapping) or not isinstance(scores.get("tests"), Mapping):
        return told
    tests = {
        name: _with_role(name, test, told.get("config"))
        for name, test in cast("Json", scores["tests"]).items()
    }
    return {**told, "scores": {**cast("Json", scores), "tests": tests}}


def study_record(content: Json) -> Json:
    """Return a study's record as it is written today."""
    if not _is_older(content, STUDY_SCHEMA_VERSION):
        return content
    told = content
    if _is_older(content):
        told = cast("Json", _renamed(content))
        changes = told.get("changes")
        if isinstance(changes, list):
            listed = changes_with_labels(cast("list[object]", changes))
            told["changes"] = [_changed(change) for change in listed]
    verdicts = told.get("verdicts")
    if isinstance(verdicts, list):
        told = {**told, "verdicts": [undecided(each) for each in cast("list[object]", verdicts)]}
    return {**told, "schema_version": STUDY_SCHEMA_VERSION}


def field_then(field: str) -> str:
    """Return the JSON pointer in a file of an older schema for a pointer of today."""
    return "/".join(_THEN.get(name, name) for name in field.split("/"))


def named_then(tree: Json) -> Json:
    """Return a tree with its own fields named as in a file of an older schema."""
    return {_THEN.get(name, name): value for name, value in tree.items()}


def _is_older(content: Json, newest: int = SCHEMA_VERSION) -> bool:
    version = content.get("schema_version")
    return isinstance(version, int) and version < newest


def _renamed(told: object) -> object:
    """Return plain data with the fields of today."""
    if isinstance(told, list):
        return [_renamed(entry) for entry in cast("list[object]", told)]
    if not isinstance(told, dict):
        return told
    return {
        _RENAMED.get(name, name): value if name in _FREE else _renamed(value)
        for name, value in cast("Json", told).items()
    }


def _in_words(told: str) -> str:
    """Return today's name of a stage or file."""
    for before, now in _STAGES.items():
        told = told.replace(before, now)
    return told


def _changed(change: object) -> object:
    """Return a change of a preset as it is written today."""
    if not isinstance(change, str):
        return change
    for before, now in _CHANGES.items():
        if change.startswith(before):
            return now + change.removeprefix(before)
    return change


def _placement(told: object) -> object:
    if not isinstance(told, Mapping) or "strategy" not in told:
        return told
    return {{"strategy": "kind"}.get(k, k): v for k, v in cast("Json", told).items()}


def _with_role(name: str, test: object, config: object) -> object:
    """Return the figures of a poisoned test with its role and placement, taken from its name."""
    role = _role(name)
    if not isinstance(test, Mapping) or "role" in test or role is None:
        return test
    settings = config.get("tests") if isinstance(config, Mapping) else None
    tests = cast("Json", settings) if isinstance(settings, Mapping) else {}
    placement = _far(name, tests) if role == "far" else _other(role, tests)
    return {"role": role, "placement": placement, **cast("Json", test)}


def _role(name: object) -> str | None:
    if not isinstance(name, str):
        return None
    return "far" if _FAR.fullmatch(name) else name if name in _OTHERS else None


def _far(name: str, tests: Json) -> Json:
    """Return the band that a name gives in rounded form."""
    for lower, upper in itertools.pairwise(_numbers(tests.get("far"))):
        if name == f"far_{round(lower, 1):g}_{round(upper, 1):g}":
            return _within("band", lower, upper, "position")
    told = _FAR.fullmatch(name)
    assert told is not None
    return _within("band", float(told[1]), float(told[2]), "position")


def _other(role: str, tests: Json) -> Json:
    ends = tuple(_numbers(tests.get("near")))
    if role not in {"nearest", "near"} or len(ends) != 2:
        return {"kind": role if role == "nearest" else "band" if role == "near" else "random"}
    if role == "nearest":
        return _within("nearest", *ends, "position")
    return _within("band", *ends, tests.get("draw", "position"))


def _within(kind: str, lower: float, upper: float, draw: object) -> Json:
    return {"kind": kind, "lower": lower, "upper": upper, "draw": draw}


def _numbers(told: object) -> Iterator[float]:
    entries = cast("list[object]", told) if isinstance(told, list) else []
    # A number may have any number of digits in JSON.
    return (float(n) for n in entries if isinstance(n, int | float) and abs(n) < _LONGEST)

"""Forms of a kind: its plain one, and others with another value of one of its settings.

The batteries try every kind in these forms. They follow from what its settings say of themselves:
their type, their bounds and their examples.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from segdoor.errors import ConfigError
from segdoor.plugins import Plugin

Given = dict[str, Any]


def plain(kind: type[Plugin]) -> Given:
    """Return a kind's settings that must be given, each with the first value that will do."""
    needed = {name: field for name, field in kind.model_fields.items() if field.is_required()}
    for name, field in needed.items():
        if not _values(field):
            _fail(kind, name, "must be given, and no value follows from its type")
    for values in itertools.product(*map(_values, needed.values())):
        given = dict(zip(needed, values, strict=True))
        if _made(kind, given) is not None:
            return given
    _fail(kind, ", ".join(needed), "must be given, and no value that was tried is allowed")
    raise AssertionError


def plainly(kind: type[Plugin]) -> Plugin:
    """Make a kind with what must be given, and nothing else."""
    return kind(**plain(kind))


@cache
def others(kind: type[Plugin]) -> Sequence[Given]:
    """Return settings that each give one setting another value; of files and of other kinds none.

    Settings that are only allowed together are given together.
    """
    found: list[Given] = []
    alone: Given = {}
    for name, field in kind.model_fields.items():
        if _is_tried_elsewhere(field.annotation):
            continue
        values = _values(field)
        if not values:
            _fail(kind, name, "has no other value that follows from its type")
        allowed = [value for value in values if _made(kind, {**plain(kind), name: value})]
        found += _unlike(kind, [{**plain(kind), name: value} for value in allowed])
        if not allowed:
            alone[name] = values[0]
    if alone:
        together = {**plain(kind), **alone}
        if _made(kind, together) is None:
            _fail(kind, ", ".join(alone), "has no other value among those tried that is allowed")
        found.append(together)
    return found


def forms(kind: type[Plugin]) -> Sequence[Given]:
    """Return a kind's plain form and all others."""
    return [plain(kind), *others(kind)]


def _unlike(kind: type[Plugin], given: Sequence[Given]) -> Iterator[Given]:
    """Yield the settings that make something else than those before, and than the plain ones."""
    seen = [plainly(kind)]
    for settings in given:
        made = kind(**settings)
        if made not in seen:
            seen.append(made)
            yield settings


def _made(kind: type[Plugin], given: Given) -> Plugin | None:
    try:
        return kind(**given)
    except (ValidationError, ConfigError):
        return None


def _fail(kind: type[Plugin], setting: str, why: str) -> None:
    pytest.fail(
        f"{kind.kind}: its setting {setting} {why}. Give examples of it in class {kind.__name__} "
        f"of {kind.__module__}: {setting}: ... = Field(default=..., examples=[...]); they are "
        "shown in docs/plugins.md too.",
        pytrace=False,
    )


def _is_tried_elsewhere(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Path | Plugin):
        return True
    return any(_is_tried_elsewhere(part) for part in get_args(annotation))


def _values(field: FieldInfo) -> list[Any]:
    """Return values that a setting may allow."""
    if field.examples:
        return list(field.examples)
    start = None if field.is_required() else field.get_default(call_default_factory=True)
    return list(dict.fromkeys(_of_type(field.annotation, field.metadata, start)))


def _of_type(annotation: object, rules: Sequence[Any], start: object) -> Iterator[Any]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [m.metadata if isinstance(m, FieldInfo) else [m] for m in parts[1:]]
        yield from _of_type(parts[0], [*rules, *itertools.chain(*inner)], start)
    elif origin in (Union, types.UnionType):
        for part in parts:
            yield from _of_type(part, rules, start)
    elif origin is Literal:
        yield from parts
    elif annotation is bool:
        yield from (True, False)
    elif annotation in (int, float):
        yield from (annotation(number) for number in _numbers(rules, start))


def _numbers(rules: Sequence[Any], start: object) -> Iterator[float]:
    """Yield numbers around a default and between the bounds; some of them may break a rule."""
    lows = [getattr(r, "ge", getattr(r, "gt", None)) for r in rules if isinstance(r, Ge | Gt)]
    highs = [getattr(r, "le", getattr(r, "lt", None)) for r in rules if isinstance(r, Le | Lt)]
    low, high = max(lows, default=0), min(highs, default=None)
    about = start if isinstance(start, int | float) else low
    # A third is a number that no text holds in few digits.
    yield from (about + 1, about + 40, about / 2, about / 3, low)
    if high is not None and high <= about + 1:
        yield (low + high) / 2

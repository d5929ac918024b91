"""What to do about a setting that breaks its rule: its range and an example, as a sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

UNSURE = "Change it so that this holds."
"""The remedy where nothing better is known than the rule itself."""
MISSING = "Give it."
"""The remedy for a setting that is missing, where no example is known."""
_KEY = "remedy"
# Their rules say everything, or list the values.
_TOLD = {"value_error", "literal_error", "enum", "extra_forbidden"}
_GOOD = (16, 1, 0.5)
_KINDS = {
    "bool": "Write true or false.",
    "int": "Give a whole number.",
    "float": "Give a number.",
    "string": "Give a text.",
    "list": "Give a list.",
    "tuple": "Give a list.",
    "dict": "Give settings by name.",
    "model": "Give settings by name.",
    "path": "Give a path.",
    "literal": "Choose one of these.",
    "missing": MISSING,
}
"""What to give, by the beginning of the type of a complaint."""


class RuleError(ValueError):
    """A rule between or beyond single settings is broken, and its remedy is known."""

    def __init__(self, rule: str, remedy: str) -> None:
        """Keep the remedy beside the rule."""
        super().__init__(rule)
        self.remedy = remedy


@dataclass(frozen=True)
class _Range:
    """The numbers that a setting may be; a side that is open is None."""

    lower: float | None = None
    lower_included: bool = True
    upper: float | None = None
    upper_included: bool = True

    @classmethod
    def of(cls, rules: list[object]) -> _Range:
        lower, upper, above, below = None, None, True, True
        for rule in rules:
            if isinstance(rule, Ge | Gt):
                lower = cast("Any", rule.ge if isinstance(rule, Ge) else rule.gt)
                above = isinstance(rule, Ge)
            if isinstance(rule, Le | Lt):
                upper = cast("Any", rule.le if isinstance(rule, Le) else rule.lt)
                below = isinstance(rule, Le)
        return cls(lower, above, upper, below)

    @property
    def in_words(self) -> str:
        low, high = f"{self.lower}", f"{self.upper}"
        if self.lower is None:
            under = f" of at most {high}" if self.upper_included else f" below {high}"
            return "" if self.upper is None else under
        if self.upper is None:
            return f" of at least {low}" if self.lower_included else f" above {low}"
        begin = f" from {low}" if self.lower_included else f" above {low}"
        if self.lower_included:
            return f"{begin} to {high}" if self.upper_included else f"{begin} to below {high}"
        return f"{begin} and up to {high}" if self.upper_included else f"{begin} and below {high}"

    def holds(self, number: object) -> bool:
        if isinstance(number, bool) or not isinstance(number, int | float):
            return False
        low = self.lower is None or self.lower < number
        high = self.upper is None or number < self.upper
        return (low or (self.lower_included and number == self.lower)) and (
            high or (self.upper_included and number == self.upper)
        )


def with_remedies(model: type[BaseModel], problem: ValidationError) -> ValidationError:
    """Return a failed validation in which a model's own settings say what to give instead.

    Args:
        model: The settings class that was validated: it alone knows the rules of its fields.
        problem: What failed.
    """
    lines = [_line(model, detail) for detail in problem.errors()]
    return ValidationError.from_exception_data(problem.title, lines)


def remedy_of(detail: ErrorDetails) -> str:
    """Return what to do about a complaint of a failed validation."""
    told = detail.get("ctx", {})
    if _KEY in told:
        return str(told[_KEY])
    choices = re.findall(r"'([^']+)'", str(told.get("expected", "")))
    near = difflib.get_close_matches(str(detail["input"]), choices, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    if isinstance(told.get("error"), RuleError):
        return told["error"].remedy
    begins = (say for kind, say in _KINDS.items() if detail["type"].startswith(kind))
    return next(begins, UNSURE)


def _line(model: type[BaseModel], detail: ErrorDetails) -> InitErrorDetails:
    """Return a complaint as pydantic takes it back, with the remedy if the model has the field."""
    told: dict[str, Any] = dict(detail.get("ctx", {}))
    kind = detail["type"]
    field = model.model_fields.get(str(detail["loc"][0])) if detail["loc"] else None
    if field is not None and _KEY not in told and kind not in _TOLD:
        remedy = _advice(field, detail)
        told |= {} if remedy is None else {_KEY: remedy}
    # Kinds that pydantic does not know by name, such as path_type, are kept as well.
    custom = PydanticCustomError(cast("Any", kind), cast("Any", detail["msg"]), told)
    return InitErrorDetails(type=custom, loc=detail["loc"], input=detail["input"], ctx=told)


def _advice(field: FieldInfo, detail: ErrorDetails) -> str | None:
    """Return what to give for a field; None if the field does not say."""
    kind, inner = detail["type"], len(detail["loc"]) > 1
    rules = list(_rules_within(field.annotation)) if inner else list(field.metadata)
    numbers = _Range.of(rules)
    about_numbers = kind.startswith(("int", "float", "finite", "greater", "less"))
    example = _example(field, numbers if about_numbers else None, inner=inner)
    such_as = "" if example is None else f", such as {example}"
    if about_numbers:
        whole = "whole " if _is_whole(field.annotation) else ""
        return f"Give a {whole}number{numbers.in_words}{such_as}."
    if not such_as:
        return None
    return f"Give {'it' if kind == 'missing' else 'another value'}{such_as}."


def _rules_within(annotation: object) -> Iterator[object]:
    """Yield the rules of what a field's annotation holds, as of the numbers of a list."""
    for part in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        if isinstance(part, FieldInfo):
            yield from part.metadata
        else:
            yield part
            yield from _rules_within(part)


def _is_whole(annotation: object) -> bool:
    parts = (annotation, *(part for part in _rules_within(annotation)))
    return int in parts and float not in parts


def _example(field: FieldInfo, numbers: _Range | None, *, inner: bool) -> str | None:
    own = () if field.is_required() else (field.get_default(),)
    given = () if inner else (*(field.examples or ()), *own)
    if numbers is None:
        return next((word for one in given if (word := _in_a_word(one))), None)
    good = [n for n in _GOOD if isinstance(n, int) or not _is_whole(field.annotation)]
    bounds = (numbers.lower, numbers.upper)
    return next((str(n) for n in (*given, *good, *bounds) if numbers.holds(n)), None)


def _in_a_word(value: object) -> str:
    if isinstance(value, tuple) and all(isinstance(part, str) for part in value):
        return "+".join(cast("tuple[str, ...]", value))
    return "" if isinstance(value, Mapping | bool | type(None)) or not str(value) else str(value)

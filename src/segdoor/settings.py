"""The base of every configuration: frozen, strict, each field documented by its own docstring."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, cast, get_args, runtime_checkable

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from segdoor.errors import ConfigError
from segdoor.remedies import remedy_of, with_remedies

Tree = dict[str, object]
"""Settings as plain data, by name."""
Pixels = Annotated[int, Field(ge=1, le=16384)]
"""A length of pictures."""


class Settings(BaseModel):
    """Settings of one part of the program: immutable, and a misspelt name is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _say_what_helps(
        cls, given: object, handler: ModelWrapValidatorHandler[Settings]
    ) -> Settings:
        """Add the remedy where a field breaks its rule: no one above knows the field."""
        try:
            return handler(given)
        except ValidationError as problem:
            raise with_remedies(cls, problem) from None


SettingsT = TypeVar("SettingsT", bound=BaseModel)


@runtime_checkable
class ReadingInfo(Protocol):
    """What pydantic passes to a validator."""

    @property
    def context(self) -> Any:  # noqa: ANN401 - as pydantic has it
        """Where the settings come from: a `Telling`, or something else."""
        ...


@runtime_checkable
class WritingInfo(Protocol):
    """What pydantic passes to a serializer."""

    @property
    def mode(self) -> str:
        """For Python, or for JSON."""
        ...

    @property
    def exclude_unset(self) -> bool:
        """Leave out what was not set."""
        ...

    @property
    def exclude_defaults(self) -> bool:
        """Leave out what has its default."""
        ...


@dataclass(frozen=True)
class Telling:
    """Where settings come from, passed to validators as their context.

    Attributes:
        source: What to blame in messages: a file name or an option group.
        recorded: Whether it is a record, plan or other untrusted file, which never causes an
            import.
    """

    source: object = ""
    recorded: bool = False

    @classmethod
    def of(cls, context: object) -> Telling:
        """Return where settings come from, by the context; the caller's program by default."""
        return context if isinstance(context, cls) else cls()

    def culprit(self, setting: str) -> str:
        """Return what a message calls a setting."""
        # Options are named whole: "--" or "--attack." and the keys; files apart from the keys.
        whole = not self.source or str(self.source).endswith(("-", "."))
        return f"{self.source}{'' if whole else ': '}{setting}"


def validated(
    model: type[SettingsT], given: object, *, source: object, recorded: bool = False
) -> SettingsT:
    """Build settings from plain data, turning a failed validation into a readable error.

    Args:
        model: The settings class to build.
        given: Plain data, as read from YAML or JSON.
        source: What to blame in the message: a file name or an option group.
        recorded: Whether they come from an untrusted file, which never causes an import.

    Raises:
        ConfigError: If a key is unknown, missing or holds a value that breaks its rule.
    """
    try:
        return model.model_validate(given, context=Telling(source, recorded))
    except ValidationError as problem:
        raise explained(problem, source, model=model) from None


def explained(
    problem: ValidationError, source: object, *, model: type[BaseModel] | None = None
) -> ConfigError:
    """Return the first complaint of a failed validation in plain words."""
    detail: ErrorDetails = problem.errors()[0]
    keys = [str(part) for part in detail["loc"]]
    culprit = Telling(source).culprit(".".join(keys)) if keys else str(source).rstrip("-.")
    if detail["type"] == "extra_forbidden":
        advice = _suggestion(model, keys) if model else ""
        return ConfigError(culprit, "is not a known setting", keys[-1], advice)
    missing = detail["type"] == "missing"
    rule = "must be given" if missing else detail["msg"].removeprefix("Value error, ")
    value = "" if missing else brief(detail["input"])
    # A rule between settings names them itself: the value found would be all of them.
    if isinstance(detail["input"], dict) and detail["type"] == "value_error":
        value = ""
    return ConfigError(culprit, rule[0].lower() + rule[1:], value, remedy_of(detail))


def brief(value: object) -> str:
    """Return a value as text of bounded length: a small YAML file can describe a huge value."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


RENAMED = {"exams": "tests", "clean_victim": "clean_model"}
"""New names of renamed settings by their old ones, which older files still contain."""


def _suggestion(model: type[BaseModel], keys: list[str]) -> str:
    if keys[-1] in RENAMED:
        return f"It is now called {RENAMED[keys[-1]]}."
    known = list(_owner(model, keys[:-1]).model_fields)
    near = difflib.get_close_matches(keys[-1], known, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known settings here: {', '.join(known)}."


def _owner(model: type[BaseModel], keys: list[str]) -> type[BaseModel]:
    """Follow keys down the nested settings classes as far as they lead."""
    for key in keys:
        # Keys that are no field are places in a list or names in a mapping.
        field = model.model_fields.get(key)
        inner = _model_in(field.annotation) if field else model
        if inner is None:
            return model
        model = inner
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the settings class that an annotation holds, also within lists and choices."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((inner for inner in found if inner), None)


class Wishes(Settings):
    """Requested settings; None means that the value is derived.

    Attributes:
        facts: The same settings, all explicit.
        follows: What an omitted setting is derived from, by its name; others have a default.
    """

    facts: ClassVar[type[Settings]] = Settings
    follows: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Copy the help of the facts, and add what each setting is derived from."""
        for name, field in cls.model_fields.items():
            if name not in vars(cls).get("__annotations__", ()):
                # It is inherited, and so is its help.
                continue
            if name in cls.follows:
                field.description = f"{_help(cls, name)} [default: from {cls.follows[name]}]"
            elif field.description is None:
                field.description = f"{_help(cls, name)}{_default(cls, name)}"

    @model_validator(mode="before")
    @classmethod
    def _keeps_the_rules(cls, given: object, info: ReadingInfo) -> object:
        """Refuse what the facts would refuse, with the same messages; null settings are derived."""
        if not isinstance(given, Mapping):
            return given
        asked = said(cast("Mapping[str, object]", given))
        cls.facts.model_validate(asked, context=info.context)
        return asked

    def tree(self) -> Tree:
        """Return the requested settings as plain data, without those to be derived."""
        return self.model_dump(exclude_defaults=True)

    def alone(self) -> Settings:
        """Return the facts that follow from defaults alone."""
        return self.facts.model_validate(self.tree())


def said(given: Mapping[str, object]) -> Tree:
    """Return settings without those that are null, which are derived.

    Args:
        given: Settings by name; sections may be wishes, mappings, or lists of mappings.
    """
    tree: Tree = {}
    for name, value in given.items():
        inner = value.tree() if isinstance(value, Wishes) else value
        if isinstance(inner, list):
            inner = [_said_of(one) for one in cast("list[object]", inner)]
        if inner is not None:
            tree[name] = _said_of(inner)
    return tree


def _said_of(value: object) -> object:
    return said(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else value


def _help(wishes: type[Wishes], name: str) -> str:
    own = wishes.model_fields[name].description
    return own or wishes.facts.model_fields[name].description or ""


def _default(wishes: type[Wishes], name: str) -> str:
    default = wishes.facts.model_fields[name].default
    if isinstance(default, bool):
        return f" [default: {'on' if default else 'off'}]"
    return f" [default: {default}]" if isinstance(default, str | int | float) else ""

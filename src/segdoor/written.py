"""The one written form of a choice: ``kind:main,setting=value``, or a mapping with a ``kind``.

The first colon ends the kind, and what follows it is the kind's main setting; further settings
follow behind commas. A class of one's own is ``package.module:Class``, with its settings behind
commas. A value that holds a comma, a colon, an equals sign or quotes is put in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

from segdoor.errors import ConfigError

_PART = re.compile(
    r"""(?:(?P<name>[A-Za-z_]\w*)=)?            # a setting's name
        (?P<value>"[^"]*"|'[^']*'|[^,:='"]+)    # its value, in quotes or plain
        (?:,(?=.)|$)""",
    re.VERBOSE,
)
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_PLAIN = re.compile(r"[^,:='\"]+")


@dataclass(frozen=True)
class Written:
    """A choice as it was written.

    Attributes:
        kind: The kind's name, or ``package.module:Class``.
        main: The main setting, where it stands without its name; None if it does not.
        settings: The settings that were named.
    """

    kind: str
    main: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Form:
    """How a kind is written, for messages.

    Attributes:
        pattern: With the names of its settings, such as ``hide:VICTIMS,target=VALUE``.
        example: With values; empty if none is known.
        alone: Whether its name alone is enough.
    """

    pattern: str
    example: str = ""
    alone: bool = True


def _any_form(kind: str) -> Form:
    return Form(f"{kind}:main,setting=value")


def read_written(
    given: object,
    known: Collection[str],
    *,
    option: str,
    form_of: Callable[[str], Form] = _any_form,
) -> Written:
    """Read a choice from text or from a mapping.

    Args:
        given: ``kind:main,setting=value``, or a mapping of ``kind`` and settings.
        known: Names of the kinds there are: what a colon behind them begins is a setting.
        option: What to blame.
        form_of: How a kind is written, by its name.

    Raises:
        ConfigError: If it is neither, or breaks the grammar.
    """
    if isinstance(given, str):
        return _of_text(given.strip(), known, option, form_of)
    if isinstance(given, Mapping):
        return _of_mapping(cast("Mapping[str, object]", given), option)
    raise _broken(option, given, _any_form("kind"))


def in_writing(kind: str, main: object, settings: Mapping[str, object]) -> str:
    """Return a choice as text, which `read_written` reads again."""
    parts = [f"{name}={_quoted(value)}" for name, value in settings.items()]
    if main is None:
        return ",".join([kind, *parts])
    return ",".join([f"{kind}:{_quoted(main)}", *parts])


def _of_mapping(given: Mapping[str, object], option: str) -> Written:
    kind = given.get("kind")
    if not isinstance(kind, str):
        raise ConfigError(
            option, "must name its kind", dict(given), "Write {kind: ..., setting: ...}."
        )
    return Written(kind, None, {name: value for name, value in given.items() if name != "kind"})


def _of_text(
    text: str, known: Collection[str], option: str, form_of: Callable[[str], Form]
) -> Written:
    kind, rest = kind_of(text, known)
    if not rest:
        return Written(kind)
    if not rest[1:]:
        if kind not in known and ":" not in kind:
            # That there is no such kind is worse, and the caller's to say.
            return Written(kind)
        raise _unfinished(option, text, kind, form_of(kind))
    main, settings = None, dict[str, object]()
    has_main = rest[0] == ":"
    broken = _broken(option, text, form_of(kind))
    for number, (name, value) in enumerate(_parts(rest[1:], broken)):
        if name is None and number == 0 and has_main:
            main = value
        elif name is None or name in settings:
            raise broken
        else:
            settings[name] = value
    return Written(kind, main, settings)


def kind_of(text: str, known: Collection[str]) -> tuple[str, str]:
    """Return the kind, and what follows it: empty, or from the colon or comma on."""
    kind = re.split("[:,]", text, maxsplit=1)[0]
    own = _CLASS.match(text)
    if kind not in known and own is not None:
        kind = own[0]
    return kind, text[len(kind) :]


def _parts(text: str, broken: ConfigError) -> list[tuple[str | None, str]]:
    found: list[tuple[str | None, str]] = []
    place = 0
    while place < len(text) or not found:
        part = _PART.match(text, place)
        if part is None:
            raise broken
        found.append((part["name"], _unquoted(part["value"])))
        place = part.end()
    return found


def _quoted(value: object) -> str:
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] in "'\"" else text


def _unfinished(option: str, text: str, kind: str, form: Form) -> ConfigError:
    alone = f", or {kind} alone for its defaults" if form.alone else ""
    told = f"{form.example}, for example" if form.example else form.pattern
    return ConfigError(option, f"needs a value after '{text}'", text, f"Write {told}{alone}.")


def _broken(option: str, given: object, form: Form) -> ConfigError:
    such_as = f"For example {form.example}. " if form.example else ""
    return ConfigError(
        option,
        f"must be written {form.pattern}, each setting once",
        given or "nothing",
        f"{such_as}A value with a comma, colon or equals sign goes in quotes, or in a mapping:"
        " {kind: ..., setting: ...}.",
    )

"""The form of every plug-in: a class in a file with settings, behaviour and an introduction.

A registry is a table from names to classes. A user's own class is written ``package.module:Class``
in place of a name; its code runs because the caller names it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from pydantic import ValidationError

from segdoor.errors import ConfigError, first_line
from segdoor.settings import ReadingInfo, Settings, Telling, WritingInfo, explained, said
from segdoor.written import Form, Written, in_writing, kind_of, read_written


@dataclass(frozen=True)
class Introduction:
    """How a plug-in introduces itself, in plain sentences.

    Attributes:
        source: Where it comes from: a paper with its section, or a library.
        does: What it does.
        needs: What it needs: scenes, time, access.
        fails: When it fails or means nothing.
    """

    source: str
    does: str
    needs: str
    fails: str


class Plugin(Settings):
    """A choice with its settings, written ``kind:main,setting=value``.

    Attributes:
        kind: Its name in its registry; ``package.module:Class`` for a user's own class.
        main: The setting that comes first when it is written; None if there is none. If it stands
            for several settings and is not one itself, the class splits it.
        introduction: What a new user should know about it.
    """

    kind: ClassVar[str]
    main: ClassVar[str | None] = None
    introduction: ClassVar[Introduction]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Name an unregistered class by its import path."""
        if "kind" not in vars(cls):
            cls.kind = f"{cls.__module__}:{cls.__qualname__}"

    def __str__(self) -> str:
        """Return the choice as it is written on the command line."""
        given = {
            name: in_a_word(value) for name, value in self.model_dump(exclude_defaults=True).items()
        }
        main = None
        if self.main is not None and (self.main in given or _is_needed(type(self), self.main)):
            main = given.pop(self.main, in_a_word(getattr(self, self.main)))
        return in_writing(self.kind, main, given)


def in_a_word(value: object) -> object:
    """Join several names with +, as settings expect them; return anything else unchanged."""
    if isinstance(value, tuple) and all(isinstance(part, str) for part in value):
        return "+".join(value)
    return value


def _is_needed(plugin: type[Plugin], setting: str) -> bool:
    return plugin.model_fields[setting].is_required()


PluginT_co = TypeVar("PluginT_co", bound=Plugin, covariant=True)


@dataclass(frozen=True)
class Registry(Generic[PluginT_co]):
    """The plug-ins of one sort by name.

    Attributes:
        what: What messages call them, such as repair.
        base: The class that they derive from.
        option: The option that names them, for messages: --with.
        known: The classes by name.
    """

    what: str
    base: type[PluginT_co]
    option: str
    known: Mapping[str, type[PluginT_co]]

    @property
    def listed(self) -> str:
        """Return the known names, as messages list them."""
        return ", ".join(self.known) or "none yet"

    def read(self, given: object) -> PluginT_co:
        """Return the plug-in that a text or mapping names; a plug-in is returned unchanged.

        Raises:
            ConfigError: If the kind or a setting is unknown, or a value breaks its rule; the
                message lists the known ones.
        """
        if isinstance(given, self.base):
            return given
        plugin, given_settings = self.understood(given)
        try:
            return plugin.model_validate(given_settings)
        except ValidationError as problem:
            source = f"{self.option} {given}" if isinstance(given, str) else self.option
            raise explained(problem, source, model=plugin) from None

    def spelled(self, given: object, telling: Telling | None = None) -> object:
        """Return a plug-in or its text as a mapping with its kind; anything else as it is.

        Raises:
            ConfigError: If a text breaks the grammar, or names a class that does not exist.
        """
        if isinstance(given, self.base):
            return {"kind": given.kind, **given.model_dump(exclude_unset=True)}
        if not isinstance(given, str):
            return given
        _, settings = self.understood(given, telling)
        return {"kind": kind_of(given.strip(), self.known)[0], **settings}

    def setting(self, given: object, info: ReadingInfo) -> PluginT_co:
        """Return the plug-in for a setting; errors name its place among the settings.

        Raises:
            ConfigError: If the kind or a setting is unknown.
        """
        if isinstance(given, self.base):
            return given
        telling = Telling.of(info.context)
        plugin, settings = self.understood(given, telling)
        try:
            return plugin.model_validate(settings, context=info.context)
        except ValidationError as problem:
            # Pydantic adds where the setting stands, but only the plug-in knows its neighbours.
            if problem.errors()[0]["type"] == "extra_forbidden":
                place = telling.culprit(f"{self.option}.")
                raise explained(problem, place, model=plugin) from None
            raise

    def understood(
        self, given: object, telling: Telling | None = None
    ) -> tuple[type[PluginT_co], Mapping[str, object]]:
        """Return the class that a text or mapping names, and its settings, not yet validated.

        A setting that is null is as if it were left out.

        Raises:
            ConfigError: If the kind is unknown, or the main setting is missing or there twice.
        """
        telling = telling or Telling()
        option = telling.culprit(self.option)
        written = read_written(given, self.known, option=option, form_of=self._form)
        plugin = self.named(written.kind, telling)
        given_settings = said(_settings(plugin, written, option))
        main = plugin.main
        if main is not None and main in plugin.model_fields and main not in given_settings:
            _check_may_lack(plugin, main, option)
        return plugin, given_settings

    def _form(self, kind: str) -> Form:
        """Return how a kind is written."""
        plugin = self.known.get(kind)
        return Form(f"{kind},setting=value") if plugin is None else _form_of(plugin)

    def named(self, kind: str, telling: Telling | None = None) -> type[PluginT_co]:
        """Return the class of a kind, or a user's own class; a record never causes an import.

        Raises:
            ConfigError: If there is none.
        """
        if kind in self.known:
            return self.known[kind]
        telling = telling or Telling()
        option = telling.culprit(self.option)
        if ":" in kind:
            find = self._imported if telling.recorded else self._of_yours
            return find(kind, option)
        raise ConfigError(
            option,
            f"must name a known {self.what}",
            kind or "nothing",
            f"Known: {self.listed}; write your own as package.module:Class.",
        )

    def _imported(self, kind: str, option: str) -> type[PluginT_co]:
        """Return a user's class if it is already imported: a file never causes an import."""
        module, _, name = kind.partition(":")
        # Looked up without getattr: a module may import more when it is asked for a name.
        found = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if found is None:
            raise ConfigError(
                option,
                f"must be a known {self.what}, or a class that you name yourself: a file "
                "cannot cause code to run",
                kind,
                f"If you trust that code, import {module} first, or name {kind} in the settings "
                "that you give.",
            )
        return self._derived(found, kind, option)

    def _of_yours(self, kind: str, option: str) -> type[PluginT_co]:
        module, _, name = kind.partition(":")
        try:
            found: object = getattr(importlib.import_module(module), name)
        # A user's module may raise anything.
        except Exception as why:
            raise ConfigError(
                option,
                f"must name a known {self.what}, or a class as package.module:Class",
                f"{kind}: {first_line(why)}",
                f"Known: {self.listed}.",
            ) from why
        return self._derived(found, kind, option)

    def _derived(self, found: object, kind: str, option: str) -> type[PluginT_co]:
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise ConfigError(
                option, f"must name a class derived from {self.base.__name__}", kind,
                f"Derive it from {self.base.__module__}.{self.base.__name__}.",
            )  # fmt: skip
        return found


def as_mapping(plugin: Plugin, info: WritingInfo) -> dict[str, object]:
    """Return the settings of a plug-in, with its kind before them."""
    settings = plugin.model_dump(
        mode=info.mode, exclude_unset=info.exclude_unset, exclude_defaults=info.exclude_defaults
    )
    return {"kind": plugin.kind, **settings}


def _form_of(plugin: type[Plugin]) -> Form:
    """Return how a plug-in is written: the main setting, those that it needs, or one more."""
    fields, main = plugin.model_fields, plugin.main
    needed = [name for name, field in fields.items() if field.is_required() and name != main]
    named = needed or [name for name in fields if name != main][:1]
    head = plugin.kind if main is None else f"{plugin.kind}:{main.upper()}"
    pattern = ",".join([head, *(f"{name}=VALUE" for name in named)])
    values = {
        name: in_a_word(field.examples[0])
        for name, field in fields.items()
        if field.examples and (name == main or name in needed)
    }
    alone = not any(field.is_required() for field in fields.values())
    if main not in values:
        return Form(pattern, alone=alone)
    return Form(pattern, in_writing(plugin.kind, values.pop(main), values), alone)


def _check_may_lack(plugin: type[Plugin], main: str, option: str) -> None:
    field = plugin.model_fields[main]
    if field.is_required():
        raise ConfigError(
            option,
            f"must be written {_form_of(plugin).pattern}",
            plugin.kind,
            f"{main} is: {field.description}",
        )


def _settings(plugin: type[Plugin], written: Written, option: str) -> Mapping[str, object]:
    """Return settings by name, the main one among them."""
    if written.main is None:
        return written.settings
    if plugin.main is None:
        raise ConfigError(
            option,
            f"must not have a value after '{written.kind}:'",
            written.main,
            f"Name the setting: {', '.join(plugin.model_fields) or 'it has none'}.",
        )
    if plugin.main in written.settings:
        raise ConfigError(
            option,
            "must have each setting once",
            plugin.main,
            f"Write it after '{written.kind}:'.",
        )
    return {plugin.main: written.main, **written.settings}

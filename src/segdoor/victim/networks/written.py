"""A network as it is written, spread out into the settings that all networks share a form for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from segdoor.errors import ConfigError
from segdoor.plugins import Plugin, Registry
from segdoor.settings import Telling
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.networks.own import Factory
from segdoor.victim.networks.registry import NETWORKS, network_class
from segdoor.written import read_written

Tree = dict[str, object]


def spelled(given: object, telling: Telling, common: Collection[str]) -> object:
    """Return a network as a mapping of ``name``, ``backbone`` and the settings of both.

    Anything that is neither text, mapping nor plug-in stays, to be refused.

    Args:
        given: The network as it was written.
        telling: Who wrote it.
        common: Settings that all networks share a form for.

    Raises:
        ConfigError: If a text breaks the grammar, or names a class that is not there.
        ValidationError: If neither the network nor its backbone has a setting that is given.
    """
    if isinstance(given, str | Plugin):
        tree: Tree = {"name": given}
    elif isinstance(given, Mapping):
        tree = dict(cast("Mapping[str, object]", given))
    else:
        return given
    if "kind" in tree and "name" not in tree:
        tree["name"] = tree.pop("kind")
    _spread(tree, "name", NETWORKS, telling)
    _spread(tree, "backbone", BACKBONES, telling)
    return {**_expected(tree, telling), **tree, **_own(tree, telling, common)}


def _spread(tree: Tree, key: str, registry: Registry[Plugin], telling: Telling) -> None:
    """Put a name in the place of a choice, and the choice's settings beside it."""
    given = tree.get(key)
    if isinstance(given, Plugin):
        given = {"kind": given.kind, **given.model_dump(exclude_unset=True)}
    if not isinstance(given, str | Mapping):
        return
    option = telling.culprit(registry.option)
    written = read_written(given, registry.known, option=option)
    settings: Tree = dict(written.settings)
    if written.main is not None:
        settings = {_main(written.kind, registry, telling): written.main, **settings}
    twice = sorted(settings.keys() & (tree.keys() - {key}))
    if twice:
        raise ConfigError(option, "must have each setting once", twice[0], "Write it in one place.")
    tree |= {**settings, key: written.kind}


def _main(kind: str, registry: Registry[Plugin], telling: Telling) -> str:
    """Return the name of a kind's main setting."""
    plugin = registry.named(kind, telling)
    if plugin.main is None:
        raise ConfigError(
            telling.culprit(registry.option),
            f"must not have a value after '{kind}:'",
            remedy=f"Name the setting: {', '.join(plugin.model_fields)}.",
        )
    return plugin.main


def _expected(tree: Tree, telling: Telling) -> Tree:
    """Return mean and deviation that a backbone of one's own expects."""
    name = str(tree.get("backbone", ""))
    if ":" not in name:
        return {}
    # A record that names it must not have its code run later either, hence here in any case.
    mean, std = BACKBONES.named(name, telling).expects
    return {"mean": mean, "std": std}


def _own(tree: Tree, telling: Telling, common: Collection[str]) -> Tree:
    """Return the settings that only this network or backbone has, as their class reads them."""
    own = {key: value for key, value in tree.items() if key not in common}
    if not own:
        return {}
    classes = [_class_of(str(tree.get("name", "small")), telling)]
    if "backbone" in classes[0].model_fields:
        classes.append(BACKBONES.named(str(tree.get("backbone", "resnet")), telling))
    read: Tree = {}
    for plugin in classes:
        having = {name: value for name, value in tree.items() if name in plugin.model_fields}
        chosen = plugin.model_validate(having) if own.keys() & having.keys() else None
        read |= {name: getattr(chosen, name) for name in own.keys() & having.keys()}
    unknown = [
        InitErrorDetails(type="extra_forbidden", loc=(key,), input=value)
        for key, value in own.items()
        if key not in read
    ]
    if unknown:
        raise ValidationError.from_exception_data("network", unknown)
    return read


def _class_of(name: str, telling: Telling) -> type[Plugin]:
    if ":" in name and telling.recorded:
        return NETWORKS.named(name, telling)
    return Factory if name not in NETWORKS.known and ":" not in name else network_class(name)

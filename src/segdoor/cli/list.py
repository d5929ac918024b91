"""``segdoor list``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from segdoor.cli.screen import tell, tell_json
from segdoor.plugins import Plugin, Registry
from segdoor.settings import Settings

Sort = Literal[
    "triggers", "stickers", "repairs", "metrics", "networks", "backbones", "data", "studies",
    "presets",
]  # fmt: skip
"""What can be listed."""


class Setting(Settings):
    """A setting of a choice."""

    name: str
    """The setting."""
    meaning: str
    """What it does."""
    default: str | None
    """Its default as text; null if it must be given."""


class Entry(Settings):
    """A choice that comes along."""

    name: str
    """What it is called wherever it can be named."""
    summary: str
    """What it is, in a line."""
    source: str | None = None
    """Where it comes from."""
    needs: str | None = None
    """What it needs."""
    fails: str | None = None
    """When it fails or means nothing."""
    settings: tuple[Setting, ...] = ()
    """Its settings, the main one first."""


class Listing(Settings):
    """All choices of a sort."""

    what: Sort
    """The sort."""
    entries: tuple[Entry, ...]
    """The choices, in the order of their table."""


def list_(what: Sort, /, *, json: bool = False) -> None:
    """Name what comes along of a sort: triggers, stickers, repairs, networks, data sets, ...

    A class of your own stands wherever a name of triggers, repairs, metrics, networks or backbones
    does, as package.module:Class.

    Args:
        what: The sort.
        json: Print everything as JSON instead of text.
    """
    listing = Listing(what=what, entries=tuple(_ENTRIES[what]()))
    if json:
        tell_json(listing)
        return
    for entry in listing.entries:
        tell(*_told(entry))


def _told(entry: Entry) -> Iterator[str]:
    yield f"{entry.name}: {entry.summary}"
    told = {"from": entry.source, "needs": entry.needs, "fails": entry.fails}
    yield from (f"    {what}: {text}" for what, text in told.items() if text)
    for setting in entry.settings:
        default = "must be given" if setting.default is None else f"{setting.default} if left out"
        # A setting without a default value says itself what is done then.
        told = "" if setting.default == "None" else f" ({default})"
        yield f"    {setting.name}: {setting.meaning}{told}"


def _triggers() -> Iterator[Entry]:
    from segdoor.attack.triggers.registry import TRIGGERS

    return _plugins(TRIGGERS)


def _stickers() -> Iterator[Entry]:
    from segdoor.stickers import DRAWINGS

    return (Entry(name=name, summary=f"written sticker:{name}") for name in DRAWINGS)


def _repairs() -> Iterator[Entry]:
    from segdoor.defense.repairs.registry import REPAIRS

    return _plugins(REPAIRS)


def _metrics() -> Iterator[Entry]:
    from segdoor.scores.metrics.registry import METRICS

    return _plugins(METRICS)


def _networks() -> Iterator[Entry]:
    from segdoor.victim.networks.registry import NETWORKS

    return _plugins(NETWORKS)


def _backbones() -> Iterator[Entry]:
    from segdoor.victim.backbones.registry import BACKBONES

    return _plugins(BACKBONES)


def _data() -> Iterator[Entry]:
    from segdoor.data.load import DATASETS

    return _modules("segdoor.data", DATASETS)


def _studies() -> Iterator[Entry]:
    from segdoor.papers.registry import PAPERS
    from segdoor.study.library import load_study, study_names

    for paper in PAPERS.values():
        for name in study_names(paper):
            study = load_study(paper, name)
            yield Entry(name=name, summary=f"{study.shows}: {study.title}")


def _presets() -> Iterator[Entry]:
    from segdoor.papers.registry import PAPERS
    from segdoor.study.library import load_preset, preset_names

    for paper in PAPERS.values():
        for name in preset_names(paper):
            yield Entry(name=name, summary=load_preset(paper, name).title)


_ENTRIES = {
    "triggers": _triggers,
    "stickers": _stickers,
    "repairs": _repairs,
    "metrics": _metrics,
    "networks": _networks,
    "backbones": _backbones,
    "data": _data,
    "studies": _studies,
    "presets": _presets,
}
assert set(_ENTRIES) == set(get_args(Sort))


def _plugins(registry: Registry[Plugin]) -> Iterator[Entry]:
    for name, plugin in registry.known.items():
        told = plugin.introduction
        yield Entry(
            name=name,
            summary=told.does,
            source=told.source,
            needs=told.needs,
            fails=told.fails,
            settings=tuple(_settings(plugin)),
        )


def _settings(plugin: type[Plugin]) -> Iterator[Setting]:
    """Yield a plug-in's settings, the main one first."""
    for name, field in sorted(plugin.model_fields.items(), key=lambda it: it[0] != plugin.main):
        default = None if field.is_required() else str(field.get_default(call_default_factory=True))
        yield Setting(name=name, meaning=field.description or "", default=default)


def _modules(package: str, names: Mapping[str, object]) -> Iterator[Entry]:
    """Yield what has a module of its name, which introduces itself in its first line."""
    for name in names:
        told = importlib.import_module(f"{package}.{name}").__doc__ or ""
        yield Entry(name=name, summary=told.strip().splitlines()[0])

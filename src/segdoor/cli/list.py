"""``segdoor list``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Literal, get_args

from segdoor.cli.screen import tell, tell_json
from segdoor.plugins import Plugin, Registry, in_a_word
from segdoor.settings import Settings

Sort = Literal[
    "triggers", "stickers", "placements", "labels", "repairs", "filters", "detectors", "purifiers",
    "scans", "metrics", "networks", "backbones", "data", "studies", "presets",
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
    """A built-in choice."""

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


class Sorts(Settings):
    """All sorts of choices."""

    sorts: dict[Sort, str]
    """What each is, in a line."""


def list_(what: Sort | None = None, /, *, json: bool = False) -> None:
    """List what is built in: triggers, networks, repairs, metrics...

    Without a name, prints the kinds of things that can be listed. With one, prints each entry with
    its source, its needs, its limits and its settings.

    For example:

      segdoor list
      segdoor list triggers
      segdoor list networks --json

    Options that take a plug-in also take a class of your own, package.module:Class.

    Args:
        what: What to list.
        json: Print everything as JSON instead of text.
    """
    if what is None:
        tell_json(Sorts(sorts=_SORTS)) if json else tell(*(f"{n}: {t}" for n, t in _SORTS.items()))
        return
    listing = Listing(what=what, entries=tuple(_entries(what)))
    if json:
        tell_json(listing)
        return
    for entry in listing.entries:
        tell(*_told(entry))
    if not listing.entries:
        tell(f"There are no built-in {what} yet. One of your own is package.module:Class.")


_SORTS: dict[Sort, str] = {
    "triggers": "what is put into images",
    "stickers": "built-in small pictures for the trigger sticker",
    "placements": "where a trigger goes",
    "labels": "how the labels of poisoned scenes are changed",
    "repairs": "defenses that remove a backdoor from a model",
    "filters": "defenses that find poisoned scenes in a data set",
    "detectors": "defenses that find triggers in images",
    "purifiers": "defenses that remove triggers from images",
    "scans": "defenses that find backdoors in models",
    "metrics": "figures computed from the tables of a run",
    "networks": "networks to train or examine",
    "backbones": "backbones that some networks are built on",
    "data": "data sets, and formats of your own data",
    "studies": "tables and figures of a paper, for segdoor study",
    "presets": "data, networks and recipes that studies run on",
}
assert set(_SORTS) == set(get_args(Sort))


def _told(entry: Entry) -> Iterator[str]:
    yield f"{entry.name}: {entry.summary}"
    told = {"from": entry.source, "needs": entry.needs, "fails": entry.fails}
    yield from (f"    {what}: {text}" for what, text in told.items() if text)
    for setting in entry.settings:
        default = (
            "must be given"
            if setting.default is None
            else f"{setting.default or 'none'} if left out"
        )
        # A setting without a default value says itself what is done then.
        told = "" if setting.default == "None" else f" ({default})"
        yield f"    {setting.name}: {setting.meaning}{told}"


def _stickers() -> Iterator[Entry]:
    from segdoor.stickers import DRAWINGS

    return (Entry(name=name, summary=f"written sticker:{name}") for name in DRAWINGS)


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


_OTHERS = {"stickers": _stickers, "studies": _studies, "presets": _presets}
_REGISTRIES = {
    "triggers": "attack.triggers.registry:TRIGGERS",
    "placements": "attack.placements.registry:PLACEMENTS",
    "labels": "attack.labels.registry:LABELS",
    "repairs": "defense.repairs.registry:REPAIRS",
    "filters": "defense.filters.registry:FILTERS",
    "detectors": "defense.detectors.registry:DETECTORS",
    "purifiers": "defense.purifiers.registry:PURIFIERS",
    "scans": "defense.scans.registry:SCANS",
    "metrics": "scores.metrics.registry:METRICS",
    "networks": "victim.networks.registry:NETWORKS",
    "backbones": "victim.backbones.registry:BACKBONES",
    "data": "data.registry:DATASETS",
}
"""Where the tables of plug-ins are; some bring torch: only the one asked for is imported."""
assert {*_OTHERS, *_REGISTRIES} == set(get_args(Sort))


def _entries(what: Sort) -> Iterator[Entry]:
    if what in _OTHERS:
        return _OTHERS[what]()
    module, _, table = _REGISTRIES[what].partition(":")
    return _plugins(getattr(import_module(f"segdoor.{module}"), table))


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
        usual = field.get_default(call_default_factory=True)
        default = None if field.is_required() else str(in_a_word(usual))
        yield Setting(name=name, meaning=field.description or "", default=default)

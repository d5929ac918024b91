"""The filters by name."""

from __future__ import annotations

from segdoor.defense.filters.container import Container
from segdoor.defense.filters.filter import Filter
from segdoor.defense.filters.patch_mining import PatchMining
from segdoor.plugins import Registry

FILTERS: Registry[Filter] = Registry(
    "filter",
    Filter,
    "filter",
    {plugin.kind: plugin for plugin in (PatchMining, Container)},
)
"""The filters by name; add one by a file beside this one and a line here."""

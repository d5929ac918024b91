"""The filters by name."""

from __future__ import annotations

from segdoor.defense.filters.abl import AntiBackdoorLearning
from segdoor.defense.filters.activation_clustering import ActivationClustering
from segdoor.defense.filters.beatrix import Beatrix
from segdoor.defense.filters.container import Container
from segdoor.defense.filters.dst import DistanceOfStrong
from segdoor.defense.filters.filter import Filter
from segdoor.defense.filters.patch_mining import PatchMining
from segdoor.defense.filters.random import Random
from segdoor.defense.filters.shard_audit import ShardAudit
from segdoor.defense.filters.spectral import Spectral
from segdoor.plugins import Registry

_PLUGINS: tuple[type[Filter], ...] = (
    PatchMining, Container, ShardAudit, Spectral, ActivationClustering, Beatrix,
    AntiBackdoorLearning, DistanceOfStrong, Random,
)  # fmt: skip

FILTERS: Registry[Filter] = Registry(
    "filter",
    Filter,
    "--with",
    {plugin.kind: plugin for plugin in _PLUGINS},
)
"""The filters by name; add one by a file beside this one and a line here."""

"""One rule for null in every choice: it is as if the setting were left out, and follows."""

from __future__ import annotations

from typing import Any

import pytest

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.registry import LABELS
from segdoor.attack.placements.registry import PLACEMENTS
from segdoor.attack.triggers.registry import TRIGGERS
from segdoor.data.registry import DATASETS
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.scans.registry import SCANS
from segdoor.experiment.resolving import Asked, Layer
from segdoor.experiment.wishes import wishes_from
from segdoor.plugins import Registry
from segdoor.scores.metrics.registry import METRICS
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.registry import NETWORKS

REGISTRIES: tuple[Registry[Any], ...] = (
    TRIGGERS, PLACEMENTS, LABELS, REPAIRS, FILTERS, DETECTORS, PURIFIERS, SCANS, METRICS, DATASETS,
    NETWORKS, BACKBONES,
)  # fmt: skip
EVERY = [(registry, kind) for registry in REGISTRIES for kind in registry.known]
OF_RUNS = [(r, kind) for r, kind in EVERY if r in (TRIGGERS, PLACEMENTS, LABELS, NETWORKS)]
NAMES_OF_RUNS = [f"{registry.what} {kind}" for registry, kind in OF_RUNS]
NEEDED: dict[str, dict[str, object]] = {
    "prune": {"channels": 3},
    "finetune": {"share": 0.1},
    "semantic": {"shows": "person", "others": ("pole",)},
}
NAMES = [f"{registry.what} {kind}" for registry, kind in EVERY]


@pytest.mark.parametrize(("registry", "kind"), EVERY, ids=NAMES)
def test_null_settings_of_a_choice_follow(registry: Registry[Any], kind: str) -> None:
    plugin = registry.known[kind]
    optional = {n: None for n, field in plugin.model_fields.items() if not field.is_required()}
    needed = NEEDED.get(kind, {})
    nulls = {"kind": kind, **optional, **needed}
    assert registry.read(nulls) == plugin(**needed)
    # Otherwise nobody could ask for the null that means something else.
    for name, field in plugin.model_fields.items():
        assert field.is_required() or field.get_default() is None or not _takes_null(plugin, name)


def _takes_null(plugin: type[Any], name: str) -> bool:
    return type(None) in getattr(plugin.model_fields[name].annotation, "__args__", ())


@pytest.mark.parametrize(("registry", "kind"), OF_RUNS, ids=NAMES_OF_RUNS)
def test_null_settings_among_those_of_a_run_follow(registry: Registry[Any], kind: str) -> None:
    plugin = registry.known[kind]
    nulls: dict[str, object] = {"kind": kind, **NEEDED.get(kind, {})}
    nulls |= {n: None for n, field in plugin.model_fields.items() if not field.is_required()}
    plain: dict[str, object] = {"kind": kind, **NEEDED.get(kind, {})}
    if registry is LABELS:
        told = [[{"attack": {"labels": [{"kind": "hide"}, one]}}] for one in (nulls, plain)]
        if kind != "scatter":
            told = [[{"attack": {"labels": [one]}}] for one in (nulls, plain)]
    elif registry in (TRIGGERS, PLACEMENTS):
        name = registry.option.partition(".")[2]
        told = [[{"attack": {name: one}}] for one in (nulls, plain)]
    else:
        told = [[{"network": one}] for one in (nulls, plain)]
    asked = [Asked(wishes_from(one), Layer()).facts((512, 512)) for [one] in told]
    assert asked[0] == asked[1]


def test_null_within_facts_follows() -> None:
    nulls = {"trigger": {"kind": "sticker", "size": None, "name": None},
             "labels": [{"kind": "hide", "victims": None, "target": "grass"}],
             "placement": {"kind": "band", "draw": None}}  # fmt: skip
    plain = {"trigger": "sticker", "labels": "hide,target=grass", "placement": "band"}
    assert AttackConfig.model_validate(nulls) == AttackConfig.model_validate(plain)
    network = NetworkConfig.model_validate({"name": "pspnet", "depth": None, "backbone": None})
    assert network == NetworkConfig(name="pspnet")

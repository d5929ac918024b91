"""From a grid to runs: every point becomes the settings of one run."""

from __future__ import annotations

import hashlib
import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig, Reading
from segdoor.experiment.resolving import Asked, Layer, merged
from segdoor.experiment.wishes import wishes_from
from segdoor.record import Json
from segdoor.settings import Settings, Tree
from segdoor.study.config import Preset, Study
from segdoor.study.contents import (
    attack_tree,
    data_tree,
    named_before,
    network_tree,
    trigger_in_a_word,
    without_former_defaults,
)

OF_RUNS = ("attack", "tests", "training", "examination", "controls")
"""Sections of a run's settings that a preset can set."""
# Without a size in the preset no length of the paper depends on it: see the presets of papers.
_ANY_SIZE = (500, 500)


class Point(Settings):
    """One point of a grid: its fields are the axes, in the units of the paper."""

    @abstractmethod
    def clean(self) -> Point:
        """Return the place of the clean model that is examined as this point's is."""

    @property
    def in_words(self) -> str:
        """Return the values on all axes."""
        return ", ".join(f"{axis} {value}" for axis, value in self.model_dump().items())


@dataclass(frozen=True)
class Place:
    """A point of a grid on a preset.

    Attributes:
        point: The point.
        given: Settings of its runs besides the preset's; None if the preset does not support it.
        repairs: Repairs by the paper's name, and as they are done here.
        axes: Settings that override the preset's.
        defenses: Methods of defense that the bench measures, repairs among them.
    """

    point: Point
    given: Tree | None
    repairs: Mapping[str, str] = field(default_factory=dict[str, str])
    axes: Tree = field(default_factory=dict[str, object])
    defenses: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        point: Where it lies on the grid.
        seed: Its seed.
        asked: Its requested settings.
        config: All of its settings.
        repairs: Repairs by the paper's name, and as they are done here.
        defenses: Methods of defense that the bench measures, repairs among them.
    """

    point: Point
    seed: int
    asked: Asked
    config: ExperimentConfig
    repairs: Mapping[str, str]
    defenses: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return a readable name that no run of other settings has."""
        config = self.config
        targets = dict.fromkeys(target for _, target in config.attack.pairs)
        parts = [
            config.data.name, config.method, f"{config.attack.rate:g}",
            config.network.name.split(":")[-1],
            *config.attack.victims, *targets, trigger_in_a_word(config.attack),
            *([f"q{config.attack.num_scattered}"] if config.attack.num_scattered else []),
            f"s{self.seed}",
        ]  # fmt: skip
        return f"{named(parts)}-{fingerprint(deciding(config, brief=True))}"


def expand(
    places: Iterable[Place],
    study: Study,
    preset: Preset,
    layer: Layer,
    *,
    reading: Reading = "paper",
    seeds: tuple[int, ...] = (),
    before: Tree | None = None,
) -> tuple[PlannedRun, ...]:
    """Return all runs of a study, point by point, seed by seed.

    Args:
        places: Its points on the preset; points that the preset does not support are left out.
        study: What varies.
        preset: What it is run on.
        layer: How the other settings of a run are derived.
        reading: Which reading of the paper.
        seeds: Seeds; the preset's if left out.
        before: Settings of readings and recipes when the study was begun, where they differ.

    Raises:
        ConfigError: If the preset supports none of the points.
    """
    runs = tuple(
        _planned(place, study, preset, layer, reading=reading, seed=seed, before=before or {})
        for place in places
        if place.given is not None
        for seed in seeds or preset.seeds
    )
    if not runs:
        raise ConfigError(
            f"preset {preset.title}", f"must allow a run of {study.shows}", "",
            "Its networks or classes leave out every point.",
        )  # fmt: skip
    return runs


def distinct(runs: Iterable[PlannedRun]) -> tuple[PlannedRun, ...]:
    """Return each run once, in order.

    Points of a grid with the same settings are one run, with the repairs and defenses of all.
    """
    found: dict[str, PlannedRun] = {}
    for run in runs:
        first = found.setdefault(run.key, run)
        defenses = tuple(dict.fromkeys((*first.defenses, *run.defenses)))
        repairs = {**first.repairs, **run.repairs}
        found[run.key] = replace(first, repairs=repairs, defenses=defenses)
    return tuple(found.values())


def deciding(config: ExperimentConfig, *, brief: bool = False) -> Json:
    """Return the settings that decide results, of a resolved configuration.

    The locations of scenes, start weights, trigger picture and clean model, and the title, do not
    matter; start weights and the picture count by content.

    Args:
        config: The configuration.
        brief: Leave out what has its default, so that a setting that a later version adds does not
            give every run another key.
    """
    places = {"title": True, "data": {"root"}, "controls": {"clean_weights"}}
    tree = config.model_dump(mode="json", exclude=places, exclude_defaults=brief)
    if "data" in tree:
        tree["data"] = data_tree(config.data, brief=brief, exclude=("root",))
    if "network" in tree:
        tree["network"] = network_tree(config.network, brief=brief)
    if "attack" in tree:
        tree["attack"] = attack_tree(config.attack, brief=brief)
    tree = named_before(tree)
    return without_former_defaults(tree) if brief else tree


def named(parts: Iterable[str]) -> str:
    """Join parts into a valid folder name."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", "-".join(parts))


def fingerprint(tree: object) -> str:
    """Return a short hash of plain data."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:10]


def _planned(
    place: Place,
    study: Study,
    preset: Preset,
    layer: Layer,
    *,
    reading: Reading,
    seed: int,
    before: Tree,
) -> PlannedRun:
    of_point: Tree = {
        "title": f"{study.shows}: {study.title}",
        "seed": seed,
        "reading": reading,
        "preset": preset.recipe,
        **(place.given or {}),
    }
    own: Tree = {"data": preset.data.model_dump()}
    own |= {name: getattr(preset, name).tree() for name in OF_RUNS}
    tree = merged(merged(merged(of_point, before), own), place.axes)
    source = f"{study.shows}: grid" if place.axes else "config"
    try:
        asked = Asked(wishes_from(tree, source=source), layer)
        facts = asked.facts(preset.data.size or _ANY_SIZE)
    except ConfigError as why:
        if not place.axes:
            raise
        raise ConfigError(
            why.culprit, why.rule, why.value,
            f"{why.remedy} It is so at {place.point.in_words}: change the grid, or leave the point "
            "out by 'without'.",
        ) from None  # fmt: skip
    return PlannedRun(place.point, seed, asked, facts, place.repairs, place.defenses)

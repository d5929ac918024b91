"""From a grid to runs: every point in the paper's units becomes the settings of one run."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from segdoor.attack.config import OnVictim
from segdoor.attack.triggers.sticker import Sticker
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig, Reading, config_from
from segdoor.experiment.fidelity import Tree, merged, resolve
from segdoor.record import Json
from segdoor.settings import Settings
from segdoor.study.config import Block, Counting, PaperData, Preset, Study
from segdoor.study.earlier import NEWEST, settings_before
from segdoor.study.start import attack_tree, network_tree, trigger_in_a_word

_HEIGHT, _AREA = 512, 512 * 1024
_CHANNELS = 256
_USUAL: dict[PaperData, tuple[str, str, int]] = {
    "cityscapes": ("car", "road", 55),
    "voc": ("person", "background", 15),
}
_OF_RUNS = {"data", "attack", "exams", "training", "examination", "controls"}
_USUAL_Q: dict[tuple[Reading, PaperData], int] = {
    ("paper", "cityscapes"): 100,
    ("paper", "voc"): 100,
    ("official", "cityscapes"): 100_000,
    ("official", "voc"): 50_000,
}


class Point(Settings):
    """One point of a grid, in the paper's units."""

    method: Literal["clean", "baseline", "nni", "prl", "nni+prl"]
    """How scenes are poisoned; clean for a victim trained on honest data."""
    rate: float
    """Poisoning rate."""
    network: str
    """Network of the paper."""
    victims: str
    """Victim classes, joined by +."""
    target: str
    """Target class."""
    trigger: int
    """Side of the trigger in the paper's pixels."""
    q: int | None
    """Pixels relabelled in a scene as the paper counts them; null without PRL."""
    q_as: Counting | None
    """How Q is counted here; null without PRL."""
    single_class: bool
    """Whether the trigger lies on one class."""
    on_victim: OnVictim
    """Whether the trigger keeps off victim pixels, may cover them or must lie on them."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        point: Where it lies on the grid.
        seed: Its seed.
        given: Its settings, those that differ from what follows.
        config: Its settings, resolved.
        repairs: Repairs by the paper's name, and as they are done here.
    """

    point: Point
    seed: int
    given: ExperimentConfig
    config: ExperimentConfig
    repairs: dict[str, str]

    @cached_property
    def key(self) -> str:
        """Return a readable name that no run of other settings has."""
        point, config = self.point, self.config
        parts = [
            config.data.name, point.method, f"{point.rate:g}", config.network.name.split(":")[-1],
            *config.attack.victims, config.attack.target, trigger_in_a_word(config.attack),
            *([f"q{config.attack.prl.num_pixels}"] if point.q else []), f"s{self.seed}",
        ]  # fmt: skip
        return f"{named(parts)}-{fingerprint(deciding(config, brief=True))}"


def usual_q(reading: Reading, data: PaperData) -> int:
    """Return the Q of the paper's or the code's main experiments."""
    return _USUAL_Q[reading, data]


def expand(
    study: Study,
    preset: Preset,
    *,
    reading: Reading = "paper",
    seeds: tuple[int, ...] = (),
    version: int = NEWEST,
) -> tuple[PlannedRun, ...]:
    """Return all runs of a study, point by point, seed by seed.

    Args:
        study: What varies.
        preset: What it is run on; points that it has no network or classes for are left out.
        reading: Which reading of the paper.
        seeds: Seeds; the preset's if left out.
        version: Of what readings and recipes say, see `study.earlier`.

    Raises:
        ConfigError: If the study has no grid for these scenes, or the preset lacks a network.
    """
    blocks = study.grid(preset.stands_for)
    if not blocks:
        other = "voc" if preset.stands_for == "cityscapes" else "cityscapes"
        raise ConfigError(
            f"study {study.shows}",
            "must have a grid for what the preset stands for",
            preset.stands_for,
            f"Take a preset that stands for {other}.",
        )
    runs = [
        _planned(study, block, point, preset, reading=reading, seed=seed, version=version)
        for block in blocks
        for point in points(block, preset, reading)
        if _possible(point, preset)
        for seed in seeds or preset.seeds
    ]
    if not runs:
        raise ConfigError(
            f"preset {preset.title}", f"must allow a run of {study.shows}", "",
            "Its networks or classes leave out every point.",
        )  # fmt: skip
    return tuple(runs)


def distinct(runs: Iterable[PlannedRun]) -> tuple[PlannedRun, ...]:
    """Return each run once, in order.

    Points of a grid that come to the same settings are one run, with the repairs of all.

    Args:
        runs: Runs on one preset.
    """
    found: dict[str, PlannedRun] = {}
    for run in runs:
        first = found.setdefault(run.key, run)
        found[run.key] = replace(first, repairs=first.repairs | run.repairs)
    return tuple(found.values())


def left_out(study: Study, preset: Preset, reading: Reading = "paper") -> tuple[Point, ...]:
    """Return the points that a preset has no network or classes for."""
    return tuple(
        point
        for block in study.grid(preset.stands_for)
        for point in points(block, preset, reading)
        if not _possible(point, preset)
    )


def points(block: Block, preset: Preset, reading: Reading) -> Iterator[Point]:
    """Yield every combination of a block's values; Q varies only where there is PRL."""
    victims, target, trigger = _USUAL[preset.stands_for]
    axes = itertools.product(
        block.network, block.victims or (victims,), block.target or (target,),
        block.trigger or (trigger,), block.single_class, block.on_victim, block.rate, block.method,
    )  # fmt: skip
    counts = block.q or (usual_q(reading, preset.stands_for),)
    for network, victim, to, side, single, on_victim, rate, method in axes:
        relabelled = tuple(itertools.product(counts, preset.q_as)) if "prl" in method else ()
        for q, q_as in relabelled or ((None, None),):
            yield Point(
                method=method, rate=rate, network=network, victims=victim, target=to, trigger=side,
                q=q, q_as=q_as, single_class=single, on_victim=on_victim,
            )  # fmt: skip


def deciding(config: ExperimentConfig, *, brief: bool = False) -> Json:
    """Return the settings that decide results, of a resolved configuration.

    Where the scenes, start weights, the trigger's picture and the clean victim lie, and what the
    run is called, do not; start weights and the picture do by their content.

    Args:
        config: The configuration.
        brief: Leave out what has its default, so that a setting that a later version adds does not
            give every run another key.
    """
    places = {"title": True, "data": {"root"}, "controls": {"clean_weights"}}
    tree = config.model_dump(mode="json", exclude=places, exclude_defaults=brief)
    if "network" in tree:
        tree["network"] = network_tree(config.network, brief=brief)
    if "attack" in tree:
        tree["attack"] = attack_tree(config.attack, brief=brief)
    return tree


def named(parts: Iterable[str]) -> str:
    """Return parts as a name that any folder can have."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", "-".join(parts))


def fingerprint(tree: object) -> str:
    """Return a short hash of plain data."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:10]


def _possible(point: Point, preset: Preset) -> bool:
    if point.network not in preset.networks:
        raise ConfigError(
            f"preset {preset.title}: networks",
            f"must say what stands for {point.network}",
            ", ".join(preset.networks),
            f"Add {point.network}, or 'null' for it to leave it out.",
        )
    classes = [*point.victims.split("+"), point.target]
    here = [preset.classes.get(name, name) for name in classes]
    return preset.networks[point.network] is not None and None not in here


def _planned(
    study: Study,
    block: Block,
    point: Point,
    preset: Preset,
    *,
    reading: Reading,
    seed: int,
    version: int,
) -> PlannedRun:
    rules = {"single_class": point.single_class, "on_victim": point.on_victim}
    network = preset.networks[point.network]
    assert network is not None
    attack: Tree = {
        "rate": point.rate,
        "victims": [preset.classes.get(name, name) for name in point.victims.split("+")],
        "target": preset.classes.get(point.target, point.target),
        "trigger": {"kind": Sticker.kind, "size": _side(point.trigger, preset, reading)},
        "rules": rules,
        "shortfall": block.shortfall,
    }
    if point.q is not None:
        attack["prl"] = {"num_pixels": _relabelled(point.q, point.q_as, preset)}
    of_point: Tree = {
        "title": f"{study.shows}: {study.title}",
        "seed": seed,
        "reading": reading,
        "method": point.method,
        "preset": preset.recipe,
        "attack": attack,
        "exams": {"rules": rules},
        "network": network.model_dump(exclude_unset=True),
    }
    of_point = merged(of_point, settings_before(version, reading, preset.recipe))
    given = config_from(merged(of_point, preset.model_dump(include=_OF_RUNS, exclude_unset=True)))
    # The paper's lengths on VOC do not depend on the size of its pictures.
    config = resolve(given, preset.data.size or (500, 500))
    repairs = {spec: _repair_here(spec, preset) for spec in block.repairs}
    return PlannedRun(point, seed, given, config, repairs)


def _side(side: int, preset: Preset, reading: Reading) -> int:
    """Return the side of the trigger in the scenes' pixels."""
    if preset.stands_for == "cityscapes" and preset.data.size is not None:
        side = max(1, round(side * preset.data.size[0] / _HEIGHT))
    # Even sizes crash in the authors' code.
    return side + 1 if reading == "official" and side % 2 == 0 else side


def _relabelled(q: int, q_as: Counting | None, preset: Preset) -> int:
    """Return Q in the scenes' pixels."""
    if q_as == "number" or preset.data.size is None:
        return q
    height, width = preset.data.size
    return max(1, round(q * height * width / _AREA))


def _repair_here(spec: str, preset: Preset) -> str:
    """Return a repair with the paper's channels scaled to those of the preset's networks."""
    # Imported late: repairs bring torch.
    from segdoor.defense.repairs.prune import Prune  # noqa: PLC0415
    from segdoor.defense.repairs.registry import REPAIRS  # noqa: PLC0415

    repair = REPAIRS.read(spec)
    if not isinstance(repair, Prune):
        return spec
    channels = max(1, int(repair.channels * preset.channels / _CHANNELS + 0.5))
    return str(repair.model_copy(update={"channels": channels}))

"""Files that decide results, identified by content: moved weights and pictures are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import cast

from segdoor.attack.before import attack_before
from segdoor.attack.config import AttackConfig
from segdoor.attack.lengths import Lengths
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.config import DataConfig
from segdoor.files import digest_of
from segdoor.record import Json
from segdoor.record.earlier import named_then
from segdoor.victim.config import START_WEIGHTS, NetworkConfig

# Lengths that were defaults when keys were first made, for 128 rows: keys still leave them out.
_FORMER = Lengths.at(128)
_FORMER_DEFAULTS: dict[str, object] = {
    "attack.trigger.size": _FORMER.trigger,
    "attack.placement.upper": _FORMER.edges[1],
    "exams.near": list(_FORMER.edges[:2]),
    "exams.far": list(_FORMER.edges[1:]),
}


def named_before(tree: Json) -> Json:
    """Return settings of a run under the names that keys were first made from."""
    told = named_then(tree)
    controls = told.get("controls")
    if isinstance(controls, dict):
        told["controls"] = named_then(cast("Json", controls))
    return told


def without_former_defaults(tree: Json) -> Json:
    """Return the settings in a run's key: without lengths that once were defaults."""
    return _without(tree, "")


def _without(tree: Json, prefix: str) -> Json:
    kept: Json = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        inner = _without(cast("Json", value), f"{key}.") if isinstance(value, dict) else value
        if inner != {} and (key not in _FORMER_DEFAULTS or inner != _FORMER_DEFAULTS[key]):
            kept[name] = inner
    return kept


def data_tree(data: DataConfig, *, brief: bool = False, exclude: Collection[str] = ()) -> Json:
    """Return a data set's settings for a run's name.

    The list of scenes to leave out counts by content, and without one it is not told: names are the
    same as before there was such a setting.

    Args:
        data: The data set.
        brief: Leave out what has its default.
        exclude: Settings to leave out.
    """
    tree = data.model_dump(mode="json", exclude={*exclude, "exclude"}, exclude_defaults=brief)
    left_out = data.exclude
    if left_out is None:
        return tree
    return {**tree, "exclude": digest_of_start(left_out) if left_out.is_file() else str(left_out)}


def network_tree(network: NetworkConfig, *, brief: bool = False) -> Json:
    """Return a network's settings, with digests in place of the paths of weights.

    For files that are not here, the path is used.

    Args:
        network: The network.
        brief: Leave out what has its default.
    """
    tree = network.model_dump(mode="json", exclude_defaults=brief)
    return {**tree, **start_digests(network)}


def attack_tree(attack: AttackConfig, *, brief: bool = False) -> Json:
    """Return an attack's settings for a run's name, in their first form, see `network_tree`.

    A digest stands in place of the path of the trigger's picture. For a file that is not here, the
    path is used.
    """
    tree = attack.model_dump(mode="json", exclude_defaults=brief)
    told = attack_before(tree, attack.labels, brief=brief)
    trigger = attack.trigger
    if isinstance(trigger, Sticker) and trigger.file is not None and trigger.file.is_file():
        settings = cast("Json", told["trigger"])
        told["trigger"] = {**settings, "file": digest_of_start(trigger.file)}
    return told


def trigger_in_a_word(attack: AttackConfig) -> str:
    """Return the trigger in a run's name: a sticker's size, or another kind."""
    trigger = attack.trigger
    return f"t{trigger.size}" if isinstance(trigger, Sticker) else str(trigger)


def start_digests(network: NetworkConfig) -> dict[str, str]:
    """Return the SHA-256 of each file or folder that a network starts from, by its setting."""
    places = {name: getattr(network, name) for name in START_WEIGHTS}
    return {
        name: digest_of_start(place)
        for name, place in places.items()
        if isinstance(place, Path) and place.exists()
    }


def digest_of_start(place: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder with their names."""
    if place.is_file():
        return _digest(place, place.stat().st_mtime_ns, place.stat().st_size)
    parts = [
        (file.name, digest_of_start(file)) for file in sorted(place.iterdir()) if file.is_file()
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@lru_cache
def _digest(file: Path, when: int, size: int) -> str:
    """Return a file's digest, computed again only when it has changed."""
    del when, size
    return digest_of(file)

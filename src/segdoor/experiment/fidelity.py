"""From a reading of the paper to explicit settings for every room; no mode flag exists below.

The reading `paper` takes the text at its word. The reading `official` does what the authors' code
does where that differs. A setting that a person gives always wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.merging import settled
from segdoor.attack.labels.registry import spelled as spelled_labels
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.placements import registry as placements
from segdoor.attack.placements.placement import DrawnPlacement, Placement
from segdoor.attack.planning import check_place
from segdoor.attack.triggers import registry as triggers
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.config import DataConfig
from segdoor.data.transforms import Size
from segdoor.experiment.config import ExperimentConfig, Reading, config_from
from segdoor.rounding import half_up
from segdoor.settings import validated
from segdoor.victim.config import PRESETS

Tree = dict[str, object]

# The paper's lengths on Cityscapes at 512 x 1024 and on VOC (sections 5.1 and 5.3, appendix A).
_CITYSCAPES_SIZE = (512, 1024)
_CITYSCAPES_HEIGHT = 512
_CITYSCAPES_BANDS = (0.0, 60.0, 90.0, 120.0)
_CITYSCAPES_TRIGGER_AREA = 55 * 55 / (512 * 1024)
_VOC_TRIGGER_SIDE = 15
_VOC_BANDS = (0.0, 30.0, 60.0, 90.0)

# Of several objects around the victims one is chosen first (section 3.1).
_PAPER: Tree = {"exams": {"draw": "object"}}

_OFFICIAL_SCATTER: Tree = {
    "kind": Scatter.kind,
    "pool": "scene_as_given",
    "scope": "all",
    "positions": "per_num_pixels",
    "on_ignored": True,
}

EXCEPTIONS: dict[Reading, tuple[str, ...]] = {
    "paper": (),
    "official": (
        "Label maps are never resized bilinearly: that would invent classes.",
        "Opacity blends the trigger; it does not darken the scene.",
    ),
}
"""Behaviour of the authors' code that is never reproduced because it is a bug."""


def resolve(given: ExperimentConfig, size: Size) -> ExperimentConfig:
    """Return the configuration with every setting explicit.

    Args:
        given: Only the fields that were set count; others follow from reading, method, preset and
            the scenes.
        size: Height and width of the scenes in pixels.

    Raises:
        ConfigError: If the combination breaks a rule.
    """
    layers: list[Mapping[str, object]] = [
        {"data": _scenes(given), "training": PRESETS[given.preset].model_dump()},
        _classes(given),
        _scaled_lengths(given, size),
        _official(given, size) if given.reading == "official" else _PAPER,
        _method(given, size),
        given.model_dump(exclude_unset=True),
    ]
    tree: Tree = {}
    for layer in layers:
        tree = merged(tree, layer)
    config = config_from(tree)
    check_place(config.attack, option="method" if "nni" in config.method else "attack.placement")
    return config


def data_of(given: ExperimentConfig) -> DataConfig:
    """Return which scenes are meant: those that the preset stands for, where nothing else is said.

    Args:
        given: Only the fields that were set count.
    """
    asked = given.data.model_dump(exclude_unset=True)
    return validated(DataConfig, {**_scenes(given), **asked}, source="data")


def as_on_voc(given: ExperimentConfig) -> bool:
    """Tell whether classes and lengths are those of the paper's experiments on VOC.

    They follow from the preset; without one, from the data set.
    """
    if "preset" in given.model_fields_set:
        return given.preset == "voc"
    return given.data.name == "voc"


def told_of_data(given: ExperimentConfig) -> str:
    """Return in a sentence what follows from the data set without being asked for; or nothing."""
    if "preset" in given.model_fields_set or not as_on_voc(given):
        return ""
    return (
        "Classes and lengths are those of the paper's experiments on VOC, unless given: person -> "
        f"background, a trigger of {_VOC_TRIGGER_SIDE} pixels, bands to 30, 60 and 90 pixels. "
        "--preset voc takes the paper's recipe as well; with --preset fast they are those of "
        "Cityscapes, scaled."
    )


def merged(below: Mapping[str, object], above: Mapping[str, object]) -> Tree:
    """Return both trees of settings as one; where both speak, ``above`` wins.

    A choice of another kind replaces the one below whole: its settings are no setting of the other.
    Label changes are a list, which is merged by kind.
    """
    if "labels" in below or "labels" in above:
        below, above = settled(below, above)
    tree = dict(below)
    for key, value in above.items():
        under = tree.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            inner, outer = cast("Tree", under), cast("Tree", value)
            alike = "kind" not in outer or outer["kind"] == inner.get("kind", outer["kind"])
            tree[key] = merged(inner, outer) if alike else value
        else:
            tree[key] = value
    return tree


def in_full(tree: Mapping[str, object]) -> Tree:
    """Return settings with trigger and placement as mappings, so that they can be merged."""
    attack = tree.get("attack")
    if not isinstance(attack, Mapping):
        return dict(tree)
    told = cast("Tree", dict(attack))
    ways = {
        "trigger": triggers.spelled, "placement": placements.spelled, "labels": spelled_labels
    }  # fmt: skip
    full = {name: way(told[name]) for name, way in ways.items() if name in told}
    return {**tree, "attack": {**told, **full}}


def _scenes(given: ExperimentConfig) -> Tree:
    """Return the scenes that a preset of the paper stands for."""
    if given.preset == "fast" or "preset" not in given.model_fields_set:
        return {}
    size = {"size": _CITYSCAPES_SIZE} if given.preset == "cityscapes" else {}
    return {"name": given.preset, **size}


def _classes(given: ExperimentConfig) -> Tree:
    """Return victim and target class of the paper's experiments on VOC; others are the default."""
    if not as_on_voc(given):
        return {}
    return {"attack": {"victims": ("person",), "target": "background"}}


def in_order(hide: Tree, scatter: Tree, reading: Reading) -> list[Tree]:
    """Return the label changes of PRL in the order that a reading makes them.

    Args:
        hide: Settings of hide.
        scatter: Settings of scatter.
        reading: Which reading of the paper.
    """
    return [hide, scatter] if reading == "paper" else [scatter, hide]


def num_scattered(given: ExperimentConfig, size: Size) -> int:
    """Return Q, the pixels that pixel random labelling changes in a scene of this size.

    The paper's 100 and the code's 100 000 (VOC: 50 000) belong to 512 x 1024 pixels (VOC: to
    its own sizes). Other sizes are scaled by area, at least one pixel.
    """
    of_voc = as_on_voc(given)
    count = (50_000 if of_voc else 100_000) if given.reading == "official" else 100
    share = 1.0 if of_voc else size[0] * size[1] / (512 * 1024)
    return max(1, half_up(count * share))


def _scaled_lengths(given: ExperimentConfig, size: Size) -> Tree:
    """Return trigger size and bands: the paper's own, the bands scaled from Cityscapes' height."""
    factor = size[0] / _CITYSCAPES_HEIGHT
    scaled = tuple(edge * factor for edge in _CITYSCAPES_BANDS)
    bands = _VOC_BANDS if as_on_voc(given) else scaled
    near = {"lower": bands[0], "upper": bands[1]}
    bounded = issubclass(_placement(given), DrawnPlacement)
    return {
        "attack": {
            "trigger": _sticker(_trigger_side(given, size)),
            "placement": near if bounded else {},
        },
        "exams": {"near": bands[:2], "far": bands[1:]},
    }


def _trigger_side(given: ExperimentConfig, size: Size) -> int:
    """Return the trigger's side in pixels: the paper's 15 on VOC, its share of the area elsewhere.

    The share is Cityscapes' 0.58 %; scaled with the height instead, the trigger would be larger on
    pictures that are not twice as wide as high.
    """
    if as_on_voc(given):
        return _VOC_TRIGGER_SIDE
    return max(1, half_up((_CITYSCAPES_TRIGGER_AREA * size[0] * size[1]) ** 0.5))


def _sticker(size: int) -> Tree:
    return {"kind": Sticker.kind, "size": size}


def _official(given: ExperimentConfig, size: Size) -> Tree:
    """Return every setting in which the authors' code departs from the paper's text."""
    of_voc = as_on_voc(given)
    side = _trigger_side(given, size)
    # 200 of 512 x 1024 pixels on Cityscapes; 100 pixels on VOC, whatever the image's size.
    fractions = {"vertical": 200 / 512, "horizontal": 200 / 1024, "unit": "fraction"}
    margin = {"vertical": 100, "horizontal": 100, "unit": "pixels"} if of_voc else fractions
    rules = {"distance": "chebyshev", "lower_included": False, "margin": margin}
    return {
        "attack": {
            "rules": rules,
            "without_room": "relabel",
            # Without PRL it scatters no pixels, and its settings are those of a scatter given.
            "labels": in_order({"kind": Hide.kind}, _OFFICIAL_SCATTER, "official"),
            # Even sizes crash there.
            "trigger": _sticker(side if side % 2 else side + 1),
        },
        "exams": {
            "rules": rules,
            "scope": "with_victims",
            "without_room": "count",
            "without_victims": "count",
        },
        "examination": {
            "flip": True,
            "input_size": "eights_plus_one",
            "score_at": "input",
            "label_resize": "nearest",
            "absent_class": "zero",
        },
        "network": {"dropout": 0.0 if given.network.name == "pspnet" else 0.1},
        "training": _official_batch(given),
    }


def _official_batch(given: ExperimentConfig) -> Tree:
    """Return the batch size in the authors' files; they have none for other recipes."""
    if given.preset not in {"voc", "cityscapes"}:
        return {}
    small = given.preset == "voc" and given.network.name == "deeplabv3"
    return {"batch_size": 56 if small else 64}


def _method(given: ExperimentConfig, size: Size) -> Tree:
    """Return what the paper's methods are made of; NNI+PRL is the composition of both."""
    placement = {"kind": _placement(given).kind}
    if "prl" not in given.method:
        return {"attack": {"placement": placement}}
    scatter: Tree = {"kind": Scatter.kind, "num_pixels": num_scattered(given, size)}
    labels = in_order({"kind": Hide.kind}, scatter, given.reading)
    return {"attack": {"placement": placement, "labels": labels}}


def _placement(given: ExperimentConfig) -> type[Placement]:
    """Return the kind of placement: the one that was named, or the method's."""
    asked = given.attack.placement
    if "placement" in given.attack.model_fields_set and placements.is_named(asked):
        return type(asked)
    near = "nearest" if given.reading == "paper" else "band"
    return placements.PLACEMENTS.known[near if "nni" in given.method else "random"]

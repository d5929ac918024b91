"""The layer of the paper's readings, methods and presets: the settings derived from them.

The reading `paper` follows the text. The reading `official` follows the authors' code where that
differs. A user's setting always wins; there is no mode flag in lower layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.lengths import Lengths
from segdoor.attack.placements.random import Random
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig, Method, Reading
from segdoor.experiment.resolving import Asked, Layer, merged
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.rounding import half_up
from segdoor.settings import Tree
from segdoor.victim.config import PRESETS

_CITYSCAPES_SIZE = (512, 1024)
# The paper's lengths on VOC (section 5.1, appendix A) are for its own sizes.
_VOC_TRIGGER = 15
_VOC_EDGES = (0.0, 30.0, 60.0, 90.0)

# Of several objects around the victims one is chosen first (section 3.1).
_PAPER: Tree = {"tests": {"draw": "object"}}

_OFFICIAL_SCATTER: Tree = {
    "kind": Scatter.kind,
    "pool": "scene_as_given",
    "scope": "all",
    "positions": "per_num_pixels",
    "on_ignored": True,
}

EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "official": (
        "Label maps are never resized bilinearly: that would invent classes.",
        "Opacity blends the trigger; it does not darken the scene.",
    ),
}
"""Behaviour of the authors' code that is never reproduced because it is a bug, by reading."""


@dataclass(frozen=True)
class PaperLengths(Layer):
    """Derives settings from facts, which hold every setting: only lengths left open."""

    def lengths(self, wishes: ExperimentWishes, height: int) -> Lengths:
        """Return the paper's lengths; even sizes of triggers crash in the authors' code."""
        lengths = Lengths.at(height)
        if as_on_voc(wishes):
            lengths = replace(lengths, trigger=_VOC_TRIGGER, edges=_VOC_EDGES)
        even = wishes.reading == "official" and lengths.trigger % 2 == 0
        return replace(lengths, trigger=lengths.trigger + even)

    def exceptions(self, reading: str) -> tuple[str, ...]:
        """Return what a reading deliberately leaves out."""
        return EXCEPTIONS.get(reading, ())


@dataclass(frozen=True)
class ReadingLayer(PaperLengths):
    """Derives settings from reading, method, preset and the scenes' size."""

    def data(self, wishes: ExperimentWishes) -> Tree:
        """Return the scenes that the preset stands for."""
        if wishes.preset in {None, "fast"}:
            return {}
        size = {"size": _CITYSCAPES_SIZE} if wishes.preset == "cityscapes" else {}
        return {"name": wishes.preset, **size}

    def settings(self, wishes: ExperimentWishes, size: Size) -> Tree:
        """Return recipe, classes, and the settings of reading and method."""
        recipe: Tree = {"training": PRESETS[wishes.preset or "fast"].model_dump()}
        reading = _official(wishes) if wishes.reading == "official" else _PAPER
        method = _method(wishes.method, wishes.reading, num_scattered(wishes, size))
        tree = Tree()
        for layer in (recipe, _classes(wishes), reading, method):
            tree = merged(tree, layer)
        return tree


READING = ReadingLayer()
"""The layer that the command line, studies of the paper and the public API pass in."""


def asked(given: ExperimentWishes | ExperimentConfig) -> Asked:
    """Return the request with its layer of derived settings.

    Args:
        given: Wishes, from which the rest is derived; or facts, which hold everything.

    Raises:
        ConfigError: If it is neither, or facts contradict one another.
    """
    if isinstance(given, ExperimentWishes):
        return Asked(given, READING)
    # A caller from Python may pass anything.
    if not isinstance(given, ExperimentConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            "settings of a run",
            "must be ExperimentWishes or an ExperimentConfig",
            type(given).__name__,
            "Write segdoor.ExperimentWishes(...).",
        )
    _check_whole(given)
    return Asked(ExperimentWishes.model_validate(given.model_dump()), PaperLengths())


def _check_whole(config: ExperimentConfig) -> None:
    """Refuse facts that name a method but do not have its settings."""
    attack = config.attack
    at_random = "nni" in config.method and type(attack.placement) is Random
    if at_random or ("prl" in config.method and not attack.num_scattered):
        raise ConfigError(
            "method",
            "must be what attack.placement and attack.labels say where all settings are given",
            config.method,
            "Ask with ExperimentWishes, from which the rest follows.",
        )


def resolve(given: ExperimentWishes, size: Size) -> ExperimentConfig:
    """Return every setting, explicit.

    Args:
        given: Requested settings.
        size: Height and width of the scenes in pixels.

    Raises:
        ConfigError: If the combination breaks a rule.
    """
    return asked(given).facts(size)


def as_on_voc(given: ExperimentWishes) -> bool:
    """Tell whether classes and lengths are those of the paper's experiments on VOC.

    They follow from the preset; without one, from the data set.
    """
    if given.preset is not None:
        return given.preset == "voc"
    return given.data.name == "voc"


def told_of_data(given: ExperimentWishes) -> str:
    """Describe in a sentence the settings derived from the data set; empty without any."""
    if given.preset is not None or not as_on_voc(given):
        return ""
    return (
        "Classes and lengths are those of the paper's experiments on VOC, unless given: person -> "
        f"background, a trigger of {_VOC_TRIGGER} pixels, bands to 30, 60 and 90 pixels. "
        "--preset voc takes the paper's recipe as well; with --preset fast they are those of "
        "Cityscapes, scaled."
    )


def _classes(given: ExperimentWishes) -> Tree:
    """Return victim and target class of the paper's experiments on VOC; others are the default."""
    if not as_on_voc(given):
        return {}
    return {"attack": {"victims": ("person",), "target": "background"}}


def num_scattered(given: ExperimentWishes, size: Size) -> int:
    """Return Q, the pixels that pixel random labelling changes in a scene of this size.

    The paper's 100 and the code's 100 000 (VOC: 50 000) belong to 512 x 1024 pixels (VOC: to
    its own sizes). Other sizes are scaled by area, at least one pixel.
    """
    of_voc = as_on_voc(given)
    count = (50_000 if of_voc else 100_000) if given.reading == "official" else 100
    share = 1.0 if of_voc else size[0] * size[1] / (512 * 1024)
    return max(1, half_up(count * share))


def _official(given: ExperimentWishes) -> Tree:
    """Return every setting in which the authors' code departs from the paper's text."""
    of_voc = as_on_voc(given)
    # 200 of 512 x 1024 pixels on Cityscapes; 100 pixels on VOC, whatever the image's size.
    fractions = {"vertical": 200 / 512, "horizontal": 200 / 1024, "unit": "fraction"}
    margin = {"vertical": 100, "horizontal": 100, "unit": "pixels"} if of_voc else fractions
    rules = {"distance": "chebyshev", "lower_included": False, "margin": margin}
    return {
        "attack": {
            "rules": rules,
            "without_room": "relabel",
            # Without PRL no pixels are scattered; these are the settings for a given scatter.
            "labels": in_order({"kind": Hide.kind}, _OFFICIAL_SCATTER, "official"),
        },
        "tests": {
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


def _official_batch(given: ExperimentWishes) -> Tree:
    """Return the batch size in the authors' files, which only these recipes have."""
    if given.preset not in {"voc", "cityscapes"}:
        return {}
    small = given.preset == "voc" and given.network.name == "deeplabv3"
    return {"batch_size": 56 if small else 64}


def in_order(hide: Tree, scatter: Tree, reading: Reading) -> list[Tree]:
    """Return the label changes of PRL in the order that a reading makes them."""
    return [hide, scatter] if reading == "paper" else [scatter, hide]


def _method(method: Method, reading: Reading, num_pixels: int) -> Tree:
    """Return the settings of the paper's methods; NNI+PRL combines both."""
    near = "nearest" if reading == "paper" else "band"
    placement = {"kind": near if "nni" in method else Random.kind}
    if "prl" not in method:
        return {"attack": {"placement": placement}}
    scatter: Tree = {"kind": Scatter.kind, "num_pixels": num_pixels}
    labels = in_order({"kind": Hide.kind}, scatter, reading)
    return {"attack": {"placement": placement, "labels": labels}}

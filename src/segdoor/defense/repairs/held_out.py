"""Choosing how strong a repair is: on clean scenes that were held out, never on an attack.

The strongest setting that loses at most 2 % of the mean IoU there, relative to the model before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Split, hold_out
from segdoor.defense.repairs.repair import Passes, RepairContext
from segdoor.evaluation.examine import examine
from segdoor.randomness import Stream
from segdoor.rounding import share_of
from segdoor.scores.metrics.functions import clean_benign_accuracy
from segdoor.victim.members import layers

HELD_OUT = 0.2
MOST_LOST = 0.02


@dataclass(frozen=True)
class Choice:
    """A setting that was chosen.

    Attributes:
        value: The setting.
        remark: How it was chosen, for people.
        passes: What that took.
    """

    value: float
    remark: str
    passes: Passes = field(default_factory=Passes)


def split(scenes: SceneDataset, context: RepairContext) -> Split:
    """Hold a fifth of clean scenes out, one at least; of one scene alone, or none, nothing.

    It is the same fifth whether a setting is chosen or given, so that results can be compared.
    """
    number = len(scenes)
    wanted = max(1, share_of(HELD_OUT, number)) if number > 1 else 0
    return hold_out(scenes, wanted, Stream(context.seed).child("held-out scenes"))


def mean_iou(model: nn.Module, scenes: SceneDataset, context: RepairContext) -> float:
    """Return a model's mean IoU on scenes, over the classes that occur or are predicted."""
    modes = [(layer, layer.training) for layer in layers(model)]
    try:
        tables = examine(model, scenes, network=context.network)
    finally:
        # The model may be the one that was given, which stays as it is.
        for layer, mode in modes:
            layer.training = mode
    return clean_benign_accuracy(tables.total())


@dataclass(frozen=True, eq=False)
class Strengths:
    """The settings of a repair that one is chosen from.

    Attributes:
        name: What the setting is called.
        values: Its values, from the strongest to the weakest.
        default: What is taken where nothing can be chosen.
        made: Makes the repaired model of a value; its weights may be overwritten by the next.
        same: Says what a value comes to: two values of which it says the same need one look.
    """

    name: str
    values: Sequence[float]
    default: float
    made: Callable[[float], nn.Module]
    same: Callable[[float], object]


def choose(
    model: nn.Module, scenes: SceneDataset, strengths: Strengths, context: RepairContext
) -> Choice:
    """Return the strongest setting that loses at most 2 % of mean IoU on held-out scenes.

    Args:
        model: The model before the repair.
        scenes: The held-out scenes; the default setting is taken if there are none.
        strengths: What is chosen from.
        context: Mean and standard deviation of the model's images, and the observer.
    """
    name, default = strengths.name, strengths.default
    if not len(scenes):
        return Choice(default, f"{name} {default:g} by default: too few clean scenes to hold out")
    # Deviation 39: the papers name a threshold for their data, or take the one with the lowest
    # success rate of the attack, which no defender knows.
    context.observer.begin(f"choosing {name}", len(strengths.values) + 1)
    before = mean_iou(model, scenes, context)
    context.observer.advance(mean_iou=before)
    looks, known = 1, dict[object, bool]()
    for value in strengths.values:
        result = strengths.same(value)
        if result not in known:
            after = mean_iou(strengths.made(value), scenes, context)
            known[result] = after >= (1 - MOST_LOST) * before
            looks += 1
        context.observer.advance()
        if known[result]:
            passes = Passes(looks * len(scenes))
            return Choice(value, f"{name} {value:g} chosen on {_scenes(len(scenes))}", passes)
    passes = Passes(looks * len(scenes))
    remark = f"no {name} loses at most 2 % on {_scenes(len(scenes))}: the weakest is taken"
    return Choice(strengths.values[-1], remark, passes)


def _scenes(number: int) -> str:
    return f"{number} held-out scene{'' if number == 1 else 's'}"

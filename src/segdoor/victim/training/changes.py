"""What is random about the augmentation of a scene, drawn without looking at it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from segdoor.victim.config import AugmentationConfig, ScaleDistribution


@dataclass(frozen=True)
class Change:
    """What happens to one scene.

    Attributes:
        scale: Factor of size.
        angle: Rotation in radians, counter-clockwise.
        mirrored: Whether left and right are swapped.
        down: Place of the crop from top (0) to bottom (1), where there is a choice.
        right: Place of the crop from left (0) to right (1).
        blurred: Whether the scene is blurred.
    """

    scale: float
    angle: float
    mirrored: bool
    down: float
    right: float
    blurred: bool


def draw_changes(config: AugmentationConfig, count: int, rng: np.random.Generator) -> list[Change]:
    """Draw the changes of so many scenes.

    The numbers and their order are frozen: trainings are repeated by them.

    Args:
        config: Ranges and probabilities.
        count: Number of scenes.
        rng: Asked scene by scene, and for the blur of all at the end.
    """
    shapes = [_shape(config, rng) for _ in range(count)]
    blurred = rng.random(count) < config.blur_probability
    return [Change(*shape, blurred=bool(blur)) for shape, blur in zip(shapes, blurred, strict=True)]


def _shape(
    config: AugmentationConfig, rng: np.random.Generator
) -> tuple[float, float, bool, float, float]:
    scale = _SCALES[config.scale_distribution](*config.scale, rng)
    turned = rng.random() < config.rotation_probability
    angle = math.radians(rng.uniform(-1, 1) * config.rotation) if turned else 0.0
    mirrored = rng.random() < config.flip_probability
    return scale, angle, mirrored, rng.random(), rng.random()


def _uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return rng.uniform(low, high)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


_SCALES: Final[dict[ScaleDistribution, Callable[[float, float, np.random.Generator], float]]] = {
    "uniform": _uniform,
    "log_uniform": _log_uniform,
}

"""The context that a network uses: how far a pixel lies from the pixels that decide its class.

Two measures, both on untouched scenes. Covering: grey windows cover the image one at a time, and
the pixels that change class are counted by their distance from the window. Gradient: how the
gradient of a pixel's largest logit is spread over the image, the effective receptive field (Luo et
al. 2016, arXiv 1701.04128).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from pydantic import Field
from torch import nn

from segdoor.data.scene import ClassSet, Scene
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examiner import Examiner
from segdoor.randomness import Stream
from segdoor.settings import Settings
from segdoor.tensors import AnyImage, Image
from segdoor.victim.answer import ask
from segdoor.victim.config import NetworkConfig

_AT_ONCE = 8
Distances = Float64[np.ndarray, "H W"]
"""Distance of each pixel, in pixels."""


class ContextConfig(Settings):
    """How the context is measured."""

    windows: int = Field(default=16, ge=1, le=10_000)
    """Grey windows in each scene, one at a time."""
    window: float = Field(default=0.125, gt=0, le=0.5)
    """Side of a window as a share of the image's height."""
    points: int = Field(default=8, ge=1, le=10_000)
    """Pixels of each scene whose gradients are taken."""
    seed: int = Field(default=0, ge=0)
    """Decides where windows and pixels lie: the same for every network."""


@dataclass(frozen=True, eq=False)
class SceneContext:
    """The context that a network uses in one scene.

    Attributes:
        pixels: Pixels outside a window by their distance from it, summed over windows, one number
            a band.
        changed: Those of them that changed class when the window was covered.
        gradient: Share of the gradient by its distance from the pixel, the mean over pixels, one
            number a band.
        reach: Mean distance of the gradient in pixels, weighted by its absolute value.
    """

    pixels: Int64[np.ndarray, " bands"]
    changed: Int64[np.ndarray, " bands"]
    gradient: Float64[np.ndarray, " bands"]
    reach: float


def edges_for(height: int, width: int) -> tuple[int, ...]:
    """Return the distances in pixels that separate the bands: 0, 4, 8, 16 ... past the diagonal."""
    edges = [0, 4]
    while edges[-1] <= np.hypot(height, width):
        edges.append(2 * edges[-1])
    return tuple(edges)


class ContextExaminer:
    """A network whose context is measured."""

    def __init__(
        self,
        model: nn.Module,
        classes: ClassSet,
        config: ContextConfig,
        *,
        examination: ExaminationConfig,
        network: NetworkConfig,
    ) -> None:
        """Put the network into evaluation mode.

        Args:
            model: The network.
            classes: Its classes.
            config: How the context is measured.
            examination: How the network is shown scenes.
            network: The input that it expects.
        """
        self._examiner = Examiner(model, classes, examination, network)
        self._config = config

    def look(self, scene: Scene, edges: Sequence[int]) -> SceneContext:
        """Return the context that the network uses in a scene.

        Args:
            scene: The untouched scene.
            edges: Distances in pixels that separate the bands, rising from 0.

        Raises:
            ConfigError: If the network's logits do not fit the classes or are not finite.
        """
        stream = Stream(self._config.seed).child("context", scene.name)
        pixels, changed = self._covering(scene, edges, stream.child("windows").generator())
        gradient, reach = self._gradient(scene, edges, stream.child("points").generator())
        self._examiner.check()
        return SceneContext(pixels, changed, gradient, reach)

    def _covering(
        self, scene: Scene, edges: Sequence[int], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        height, width = scene.image.shape[:2]
        side = max(1, round(self._config.window * height))
        tops = rng.integers(0, max(1, height - side + 1), self._config.windows)
        lefts = rng.integers(0, max(1, width - side + 1), self._config.windows)
        places = [(int(top), int(left)) for top, left in zip(tops, lefts, strict=True)]
        before = self._labels([scene.image])[0]
        pixels, changed = (np.zeros(len(edges) - 1, np.int64) for _ in range(2))
        for part in _parts(places):
            covered = [self._covered(scene.image, place, side) for place in part]
            for place, after in zip(part, self._labels(covered), strict=True):
                away = distance_to_window(before.shape, place, side)
                outside = away > 0
                pixels += np.histogram(away[outside], edges)[0]
                changed += np.histogram(away[outside & (before != after)], edges)[0]
        return pixels, changed

    def _gradient(
        self, scene: Scene, edges: Sequence[int], rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        height, width = scene.image.shape[:2]
        rows = rng.integers(0, height, self._config.points)
        columns = rng.integers(0, width, self._config.points)
        shares, reaches = np.zeros(len(edges) - 1), 0.0
        places = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
        for part in _parts(places):
            for place, strength in zip(part, self._strengths(scene.image, part), strict=True):
                away = distance_to_window((height, width), place, 1)
                total = max(float(strength.sum()), np.finfo(np.float64).tiny)
                shares += np.histogram(away, edges, weights=strength)[0] / total
                reaches += float((strength * away).sum()) / total
        return shares / len(places), reaches / len(places)

    def _strengths(self, image: AnyImage, places: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return the absolute gradient of the largest logit at each place, summed over colours."""
        shown = self._examiner.pixels(image).repeat(len(places), 1, 1, 1).requires_grad_()
        size = shown.shape[2], shown.shape[3]
        with torch.enable_grad():
            num_classes = len(self._examiner.classes)
            logits = ask(self._examiner.model, shown, num_classes=num_classes, size=size).logits
            best = [logits[i, :, row, column].max() for i, (row, column) in enumerate(places)]
            (gradient,) = torch.autograd.grad(torch.stack(best).sum(), shown)
        return gradient.abs().sum(dim=1).double().cpu().numpy()

    def _labels(self, images: Sequence[AnyImage]) -> list[np.ndarray]:
        shown = torch.cat([self._examiner.pixels(image) for image in images])
        return list(self._examiner.answer(shown).cpu().numpy())

    def _covered(self, image: AnyImage, place: tuple[int, int], side: int) -> Image:
        """Return a copy with a window in the colour that the network is given as zero."""
        copy = np.array(image)
        mean = np.array(self._examiner.network.mean) * 255
        top, left = place
        copy[top : top + side, left : left + side] = np.clip(mean, 0, 255).round()
        return copy


def distance_to_window(shape: Sequence[int], place: tuple[int, int], side: int) -> Distances:
    """Return each pixel's Euclidean distance from the nearest pixel of a square window.

    Args:
        shape: The image's height and width in pixels.
        place: Top and left of the window.
        side: Its side in pixels.
    """
    away = [
        np.maximum(np.maximum(start - np.arange(length), np.arange(length) - (start + side - 1)), 0)
        for length, start in zip(shape[:2], place, strict=True)
    ]
    return np.hypot(away[0][:, None], away[1][None, :])


def _parts(places: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    for start in range(0, len(places), _AT_ONCE):
        yield places[start : start + _AT_ONCE]

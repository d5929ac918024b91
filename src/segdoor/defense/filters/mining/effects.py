"""What goes with a patch: other labels in its scenes, and other predictions when it is pasted."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy.stats import mannwhitneyu
from torch import nn

from segdoor.data.scene import Scene, SceneDataset
from segdoor.defense.filters.mining.patches import Cut
from segdoor.evaluation.examiner import Examiner
from segdoor.tensors import AnyImage, Label
from segdoor.victim.config import NetworkConfig

_LEAST_SIDE = 3

Shares = Float64[np.ndarray, "N K"]


@dataclass(frozen=True)
class LabelEvidence:
    """The class whose share differs most between scenes with a patch and all others.

    Attributes:
        index: Id of the class.
        with_patch: Its mean share of the pixels where the patch is.
        without: Its mean share elsewhere.
        p_value: Of the rank test of both, times the number of classes.
    """

    index: int
    with_patch: float
    without: float
    p_value: float

    @property
    def weight(self) -> float:
        """Return 1 if the class is surely gone where the patch is, 0 if it is as large as ever."""
        gone = 1 - self.with_patch / self.without
        return gone * gone * min(1.0, -float(np.log10(max(self.p_value, 1e-6))) / 6)


def class_shares(label: Label, num_classes: int) -> Float64[np.ndarray, " K"]:
    """Return each class's share of a scene's pixels; ignored ones count for none."""
    return np.bincount(label.ravel(), minlength=256)[:num_classes] / label.size


def label_evidence(shares: Shares, members: Bool[np.ndarray, " N"]) -> LabelEvidence | None:
    """Return the class that is rarer where the patch is, with the smallest p-value.

    Returns:
        The class; None if too few scenes have the patch or lack it, or no class is rarer.
    """
    if min(members.sum(), (~members).sum()) < _LEAST_SIDE:
        return None
    found: list[LabelEvidence] = []
    for index in range(shares.shape[1]):
        inside, outside = shares[members, index], shares[~members, index]
        if inside.mean() >= outside.mean():
            continue
        value = float(mannwhitneyu(inside, outside, alternative="less").pvalue)
        value = min(1.0, value * shares.shape[1])
        found.append(LabelEvidence(index, float(inside.mean()), float(outside.mean()), value))
    return min(found, key=lambda one: one.p_value, default=None)


@dataclass(frozen=True)
class Transplant:
    """What pasting a patch into other scenes does to a model's predictions outside the patch.

    Attributes:
        changed: Mean share of the pixels that change their class.
        control: The same for control patches of this size, the larger of two kinds.
        wins: Share of the scenes in which the patch changes more than every control.
        classes: The class that loses most pixels, and the one that they go to.
    """

    changed: float
    control: float
    wins: float
    classes: tuple[int, int]


class Transplants:
    """Pastes patches into scenes and looks at what a model says outside them."""

    def __init__(
        self, model: nn.Module, scenes: Sequence[Scene], known: SceneDataset, network: NetworkConfig
    ) -> None:
        """Ask the model for the scenes as they are.

        Args:
            model: The model; a copy of it is asked.
            scenes: Where to paste, at least one.
            known: Says which classes there are.
            network: What images the model expects.
        """
        self._examiner = Examiner(copy.deepcopy(model), known.classes, network=network)
        self._scenes = scenes
        self._num_classes = len(known.classes)
        self._before = [self._examiner.predict([scene])[0] for scene in scenes]

    def of(self, picture: Cut, others: Sequence[AnyImage], rng: np.random.Generator) -> Transplant:
        """Paste a patch, and controls of its size: its own pixels shuffled, and parts of scenes.

        Args:
            picture: The patch.
            others: Scenes to cut controls from.
            rng: Draws places and controls.
        """
        moves = np.zeros((self._num_classes, self._num_classes), np.int64)
        rows: list[tuple[float, float, float]] = []
        height, width = picture.shape[:2]
        for scene, before in zip(self._scenes, self._before, strict=True):
            if height >= scene.image.shape[0] or width >= scene.image.shape[1]:
                continue
            top = int(rng.integers(0, scene.image.shape[0] - height))
            left = int(rng.integers(0, scene.image.shape[1] - width))
            shuffled = rng.permutation(picture.reshape(-1, 3)).reshape(picture.shape)
            pasted = (picture, shuffled, _striking(others, (height, width), rng))
            changed: list[float] = []
            for number, cut in enumerate(pasted):
                after, outside = self._after(scene, cut, top, left)
                moved = outside & (after != before)
                changed.append(float(moved.sum() / outside.sum()))
                if number == 0:
                    np.add.at(moves, (before[moved], after[moved]), 1)
            rows.append((changed[0], changed[1], changed[2]))
        table = np.array(rows or [(0.0, 0.0, 0.0)])
        wins = float((table[:, 0] > table[:, 1:].max(axis=1)).mean())
        first, second = np.unravel_index(int(moves.argmax()), moves.shape)
        means = table.mean(axis=0)
        return Transplant(float(means[0]), float(means[1:].max()), wins, (int(first), int(second)))

    def _after(self, scene: Scene, cut: Cut, top: int, left: int) -> tuple[Label, np.ndarray]:
        image = scene.image.copy()
        height, width = cut.shape[:2]
        image[top : top + height, left : left + width] = cut
        outside = np.ones(scene.label.shape, np.bool_)
        outside[top : top + height, left : left + width] = False
        return self._examiner.predict([Scene(image, scene.label, scene.name)])[0], outside


def _striking(others: Sequence[AnyImage], size: tuple[int, int], rng: np.random.Generator) -> Cut:
    """Return the part of a scene with the most contrast among a few drawn ones."""
    best: Cut | None = None
    for _ in range(8):
        image = others[int(rng.integers(len(others)))]
        top = int(rng.integers(0, image.shape[0] - size[0] + 1))
        left = int(rng.integers(0, image.shape[1] - size[1] + 1))
        cut = image[top : top + size[0], left : left + size[1]]
        if best is None or cut.std() > best.std():
            best = cut
    assert best is not None
    return best

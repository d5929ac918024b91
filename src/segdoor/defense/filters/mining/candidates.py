"""From groups of equal windows to a few candidates for a trigger, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from segdoor.data.scene import SceneDataset
from segdoor.defense.filters.mining.patches import Cut, Patch, best_places, cut_around, patch_in
from segdoor.defense.filters.mining.repeats import Group, Stacked
from segdoor.workers import Workers

_LOOKED_AT = 16
_LARGEST = 0.25
_SAME_PATCH = 0.7
_LEAST_CONTRAST = 10.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """A patch that may be a trigger.

    Attributes:
        patch: What it looks like.
        scenes: The scenes whose windows led to it.
    """

    patch: Patch
    scenes: tuple[int, ...]

    @property
    def strength(self) -> float:
        """Return how telling it is: the same to the last detail, and in many scenes."""
        return self.patch.sameness * float(np.log2(len(self.scenes)))


@dataclass(frozen=True)
class _Cutting:
    """Windows to be cut out of one scene: number of the group, row, column and side."""

    scene: int
    windows: tuple[tuple[int, int, int, int], ...]


def candidates(
    scenes: SceneDataset, stacked: Stacked, groups: Sequence[Group], workers: Workers, most: int
) -> tuple[Candidate, ...]:
    """Return the candidates behind groups of windows.

    Args:
        scenes: The scenes, of which those of the groups are read again, each once.
        stacked: Their windows.
        groups: Windows that are nearly the same.
        workers: Who reads the scenes.
        most: How many candidates at most.
    """
    cuts: list[list[Cut]] = [[] for _ in groups]
    for part in workers.map(partial(_cut, scenes), _cuttings(stacked, groups)):
        for number, cut in part:
            cuts[number].append(cut)
    found: list[Candidate] = []
    for group, each in zip(groups, cuts, strict=True):
        patch = patch_in(np.stack(each))
        if patch is not None and _plausible(patch, stacked.windows.size[0]):
            found.append(Candidate(patch, group.scenes))
    found.sort(key=lambda one: -one.strength)
    kept: list[Candidate] = []
    for one in found:
        if len(kept) < most and not any(_same(one.patch, other.patch) for other in kept):
            kept.append(one)
    return tuple(kept)


def _plausible(patch: Patch, height: int) -> bool:
    # What is larger is a part of a street: the same place, or the same car.
    return max(patch.picture.shape[:2]) <= _LARGEST * height and patch.contrast >= _LEAST_CONTRAST


def _cuttings(stacked: Stacked, groups: Sequence[Group]) -> list[_Cutting]:
    wanted: dict[int, list[tuple[int, int, int, int]]] = {}
    for number, group in enumerate(groups):
        for window, scene in list(zip(group.members, group.scenes, strict=True))[:_LOOKED_AT]:
            _, row, column, side = stacked.windows.places[window].tolist()
            wanted.setdefault(scene, []).append((number, row, column, side))
    return [_Cutting(scene, tuple(windows)) for scene, windows in sorted(wanted.items())]


def _cut(scenes: SceneDataset, cutting: _Cutting) -> list[tuple[int, Cut]]:
    image = scenes[cutting.scene].image
    return [(number, cut_around(image, *place)) for number, *place in cutting.windows]


def _same(one: Patch, other: Patch) -> bool:
    """Tell whether two patches are the same, or one a part of the other."""
    small, large = sorted((one.picture, other.picture), key=lambda picture: picture.size)
    border = max(small.shape[:2]) // 2
    padded = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    return best_places(padded, [small])[0].likeness >= _SAME_PATCH

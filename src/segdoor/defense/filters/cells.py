"""Cells: the parts of a class region that lie in one block of a scene, as rows of numbers.

A relabelled victim is a sliver of its scene; the mean over a whole image drowns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.defense.defense import Evidence
from segdoor.defense.filters.filter import FilterContext, Suspicion
from segdoor.defense.filters.looking import Looking, model_for, read_through
from segdoor.randomness import Stream
from segdoor.tensors import AnyMask, Label

BLOCK = 32
"""Pixels of a block's side, at most; an eighth of the scene's height where that is less."""
MOST_FEATURES = 64
"""Columns that are kept; wider features are projected."""
_LEAST_BLOCK, _LEAST_SHARE, _MOST_A_SCENE = 8, 0.05, 128
_TOP, _SHOWN = 3, 5

Rows = Float32[np.ndarray, "N D"]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of many scenes.

    Attributes:
        rows: One vector a cell.
        labels: The class id of each.
        scenes: The scene of each.
        boxes: Top, left, height and width of the block of each.
        areas: Pixels of each, as a share of its block.
    """

    rows: Rows
    labels: Int64[np.ndarray, " N"]
    scenes: Int64[np.ndarray, " N"]
    boxes: Int64[np.ndarray, "N 4"]
    areas: Float64[np.ndarray, " N"]

    @classmethod
    def joined(cls, parts: Iterable[Cells]) -> Cells:
        """Return the cells of several scenes behind one another."""
        every = list(parts)
        names = ("rows", "labels", "scenes", "boxes", "areas")
        return cls(*(np.concatenate([getattr(one, name) for one in every]) for name in names))

    def of_classes(self, at_least: int = 4) -> Iterator[tuple[int, Int64[np.ndarray, " M"]]]:
        """Yield each class with so many cells, and its cells, in at least two scenes."""
        for label in np.unique(self.labels):
            own = np.flatnonzero(self.labels == label)
            if len(own) >= at_least and len(np.unique(self.scenes[own])) > 1:
                yield int(label), own


def cells_of(
    values: Float32[np.ndarray, "D h w"], label: Label, classes: ClassSet, scene: int
) -> Cells:
    """Return the cells of a scene, each with the mean of a map over its pixels.

    Args:
        values: A map of any resolution over the scene.
        label: The scene's label map; ignored pixels are in no cell.
        classes: The classes.
        scene: The number of the scene.
    """
    height, width = label.shape
    side = int(np.clip(height // 8, _LEAST_BLOCK, BLOCK))
    down, across = values.shape[1:]
    small = cv2.resize(label, (across, down), interpolation=cv2.INTER_NEAREST_EXACT)
    rows = np.arange(down) * height // down // side
    columns = np.arange(across) * width // across // side
    blocks = rows[:, None] * (columns[-1] + 1) + columns[None]
    counted = small < len(classes)
    keys, cell = np.unique(blocks[counted] * 256 + small[counted], return_inverse=True)
    count = np.bincount(cell, minlength=len(keys))
    sums = np.stack([np.bincount(cell, plane[counted], len(keys)) for plane in values], axis=1)
    areas = count / (side * side * down * across / (height * width))
    kept = np.flatnonzero(areas >= _LEAST_SHARE)
    # Of the many cells of a large scene the largest are kept, evenly for all scenes.
    kept = np.sort(kept[np.argsort(-areas[kept], kind="stable")[:_MOST_A_SCENE]])
    block = keys[kept] // 256
    tops, lefts = block // (columns[-1] + 1) * side, block % (columns[-1] + 1) * side
    boxes = np.column_stack(
        [tops, lefts, np.minimum(side, height - tops), np.minimum(side, width - lefts)]
    )
    means = (sums[kept] / count[kept, None]).astype(np.float32)
    own = np.full(len(kept), scene, np.int64)
    return Cells(means, keys[kept] % 256, own, boxes.astype(np.int64), areas[kept])


def feature_cells(scenes: SceneDataset, context: FilterContext) -> Cells:
    """Return all cells with their penultimate features, of the given or a trained network."""
    looking = Looking(model_for(scenes, context), scenes.classes, context.network)
    parts: list[Cells] = []
    narrow: Tensor | None = None
    for number, scene in enumerate(read_through(scenes, "features", context)):
        found = looking.features(looking.images(scene))[0]
        if narrow is None:
            narrow = _projection(found.shape[0], context.seed).to(found.device)
        values = torch.einsum("chw,cd->dhw", found, narrow).cpu().numpy()
        parts.append(cells_of(values, scene.label, scenes.classes, number))
    return Cells.joined(parts)


def _projection(width: int, seed: int) -> Tensor:
    """Return what makes features narrow: nothing if they are, else random directions."""
    if width <= MOST_FEATURES:
        return torch.eye(width)
    # Deviation 50: papers take all features. Random directions keep distances within some percent
    # (Johnson and Lindenstrauss), and memory does not grow with the network's width.
    rng = Stream(seed).child("filters", "projection").generator()
    drawn = rng.standard_normal((width, MOST_FEATURES)) / MOST_FEATURES**0.5
    return torch.from_numpy(drawn.astype(np.float32))


def relative(scores: np.ndarray, groups: np.ndarray) -> Float64[np.ndarray, " N"]:
    """Return scores minus the median of their group, in median absolute deviations of it."""
    found = np.zeros(len(scores))
    for group in np.unique(groups):
        own = groups == group
        middle = np.median(scores[own])
        spread = np.median(np.abs(scores[own] - middle))
        found[own] = (scores[own] - middle) / max(float(spread), 1e-6 + 1e-3 * abs(float(middle)))
    return found


def judged(
    scenes: SceneDataset, cells: Cells, scores: np.ndarray, says: str, *, masked: int = 50
) -> Suspicion:
    """Return what cells say of their scenes: each scene has the mean of its three highest.

    Args:
        scenes: The scenes.
        cells: Their cells.
        scores: The score of each cell.
        says: What a high score means, as a sentence.
        masked: In how many scenes suspect pixels are marked.
    """
    totals = np.full(len(scenes), float(scores.min()) if len(scores) else 0.0)
    top: Mapping[int, Sequence[int]] = {}
    for scene in np.unique(cells.scenes):
        own = np.flatnonzero(cells.scenes == scene)
        best = own[np.argsort(-scores[own], kind="stable")[:_TOP]]
        totals[scene] = scores[best].mean()
        top[int(scene)] = best.tolist()
    masks: dict[str, AnyMask] = {}
    evidence: list[Evidence] = []
    for scene in np.argsort(-totals, kind="stable")[:masked]:
        if not top.get(int(scene)):
            continue
        name, label = scenes.names[int(scene)], scenes.label(int(scene))
        masks[name] = _mask(label, cells, top[int(scene)])
        if len(evidence) < _SHOWN:
            first = top[int(scene)][0]
            row, column, height, width = (int(value) for value in cells.boxes[first])
            evidence.append(
                Evidence(
                    says,
                    name,
                    (row, column, height, width),
                    (int(cells.labels[first]),),
                    float(totals[scene]),
                    scenes[int(scene)].image[row : row + height, column : column + width].copy(),
                )
            )
    named = dict(zip(scenes.names, totals.tolist(), strict=True))
    return Suspicion(named, masks, tuple(evidence))


def _mask(label: Label, cells: Cells, chosen: Sequence[int]) -> AnyMask:
    mask = np.zeros(label.shape, np.bool_)
    for cell in chosen:
        top, left, height, width = cells.boxes[cell]
        part = slice(top, top + height), slice(left, left + width)
        mask[part] |= label[part] == cells.labels[cell]
    return mask

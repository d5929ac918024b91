"""Which windows come again in other scenes: signatures, hashing, and groups of equal windows.

The work grows with the number of windows, not with its square: windows are compared with a few
others of the same hash alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64
from scipy.fft import dctn
from scipy.sparse import csr_array

from segdoor.defense.filters.mining.windows import Thumbs, Windows

ALIKE = 0.93
"""Cosine of two whitened signatures from which on windows are taken for the same."""
_TABLES, _NEXT = 16, 12
_COLOURS_MAY_DIFFER = 0.6
_FIXED, _NEIGHBOURS, _SPREAD = 0.03, 0.25, 0.04
_PIXEL_NOISE = 0.02
# Coefficients of a DCT of 8 x 8 by falling scale: luma up to its middle, colours coarsely.
_LUMA = np.array([(i, j) for i in range(8) for j in range(8) if 0 < i + j <= 7]).T
_CHROMA = np.array([(i, j) for i in range(8) for j in range(8) if 0 < i + j <= 3]).T

Signatures = Float32[np.ndarray, "N D"]
Links = Int64[np.ndarray, "M 2"]


@dataclass(frozen=True, eq=False)
class Stacked:
    """The windows of all scenes.

    Attributes:
        windows: All windows; the size is the typical scene's.
        scenes: The scene of each.
    """

    windows: Windows
    scenes: Int64[np.ndarray, " N"]

    @classmethod
    def of(cls, each: Sequence[Windows]) -> Stacked:
        """Stack the windows of scenes, in their order."""
        scenes = np.repeat(np.arange(len(each)), [len(one) for one in each])
        height, width = (int(np.median([one.size[axis] for one in each])) for axis in (0, 1))
        places = np.concatenate([one.places for one in each])
        thumbs = np.concatenate([one.thumbs for one in each])
        return cls(Windows(places, thumbs, (height, width)), scenes.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Group:
    """Windows that are nearly the same, one a scene.

    Attributes:
        members: The windows, the one with most links first.
        scenes: The scene of each.
    """

    members: tuple[int, ...]
    scenes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Repeats:
    """What comes again.

    Attributes:
        groups: Groups at places that vary, those in the most scenes first.
        num_fixed: Links that were left out, as both windows sit at one place of the frame.
        num_neighbours: Pairs of scenes that were left out, as they show the same place.
    """

    groups: tuple[Group, ...]
    num_fixed: int
    num_neighbours: int


def signatures(thumbs: Thumbs) -> Signatures:
    """Return a vector of length 1 for each window; cosines of unlike windows scatter around 0.

    The coefficients are whitened by their covariance over all windows: what most windows have in
    common, such as a strong slow gradient, then says little.
    """
    found = np.asarray(dctn(thumbs.astype(np.float32), axes=(1, 2), norm="ortho"))
    luma, chroma = found[:, _LUMA[0], _LUMA[1]], found[:, _CHROMA[0], _CHROMA[1]]
    parts = [luma[..., 0], chroma[..., 1], chroma[..., 2]]
    rows = _unit(np.concatenate(parts, axis=1))
    values, vectors = np.linalg.eigh(rows.T @ rows / max(1, len(rows)))
    # Directions in which windows hardly differ hold the noise of JPEG.
    scale = np.sqrt(np.maximum(values, 0) + _PIXEL_NOISE * values.mean())
    return _unit(rows @ (vectors / scale).astype(np.float32))


def _unit(rows: Signatures) -> Signatures:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def repeats(stacked: Stacked, rng: np.random.Generator, most: int) -> Repeats:
    """Return the groups of windows that come again in different scenes.

    Args:
        stacked: The windows of all scenes.
        rng: Draws the planes of the hashes.
        most: How many groups at most.
    """
    scales = stacked.windows.places[:, 0]
    found = [np.zeros((0, 2), np.int64)]
    for scale in np.unique(scales):
        own = np.flatnonzero(scales == scale)
        rows = signatures(stacked.windows.thumbs[own])
        found.append(own[_linked(rows, stacked.scenes[own], rng)])
    links = np.concatenate(found)
    links = links[_same_colours(stacked.windows.thumbs, links)]
    fixed = _at_one_place(stacked, links)
    links = links[~fixed]
    alike, num_neighbours = _of_neighbours(stacked, links)
    return Repeats(_groups(stacked, links[~alike], most), int(fixed.sum()), num_neighbours)


def _linked(rows: Signatures, scenes: np.ndarray, rng: np.random.Generator) -> Links:
    """Return pairs of rows of different scenes that are alike, found by random hyperplanes."""
    bits = int(np.clip(np.ceil(np.log2(max(len(rows), 2))) + 2, 10, 30))
    found = [np.zeros((0, 2), np.int64)]
    for _ in range(_TABLES):
        planes = rng.standard_normal((rows.shape[1], bits)).astype(np.float32)
        keys = (rows @ planes > 0) @ (1 << np.arange(bits, dtype=np.int64))
        order = np.argsort(keys, kind="stable")
        for step in range(1, _NEXT + 1):
            a, b = order[:-step], order[step:]
            near = (keys[a] == keys[b]) & (scenes[a] != scenes[b])
            a, b = a[near], b[near]
            same = np.einsum("ij,ij->i", rows[a], rows[b]) > ALIKE
            found.append(np.column_stack([np.minimum(a, b)[same], np.maximum(a, b)[same]]))
    return np.unique(np.concatenate(found), axis=0).astype(np.int64)


def _same_colours(thumbs: Thumbs, links: Links) -> Bool[np.ndarray, " M"]:
    """Tell which linked windows agree in brightness and colour too: signatures leave both out."""
    first, second = (thumbs[links[:, side]].astype(np.float32) for side in (0, 1))
    apart = ((first - second) ** 2).sum(axis=3).mean(axis=(1, 2))
    contrast = ((first - first.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=3).mean(axis=(1, 2))
    return apart < _COLOURS_MAY_DIFFER**2 * contrast


def _at_one_place(stacked: Stacked, links: Links) -> Bool[np.ndarray, " M"]:
    """Tell which links join windows at one place of the frame: bonnets, logos, watermarks."""
    places, height = stacked.windows.places, stacked.windows.size[0]
    apart = np.abs(places[links[:, 0], 1:3] - places[links[:, 1], 1:3])
    near = np.maximum(places[links[:, 0], 3] / 2, _FIXED * height)
    return (apart < near[:, None]).all(axis=1)


def _of_neighbours(stacked: Stacked, links: Links) -> tuple[Bool[np.ndarray, " M"], int]:
    """Tell which links join scenes that have more in common than one small patch.

    Frames of a video have windows in common that lie far apart; those of a sticker lie together.
    """
    if not len(links):
        return np.zeros(0, np.bool_), 0
    scenes = stacked.scenes[links]
    _, pair = np.unique(scenes[:, 0] * len(stacked.windows) + scenes[:, 1], return_inverse=True)
    wide = np.ones(pair.max() + 1, np.bool_)
    for side in (0, 1):
        places = stacked.windows.places[links[:, side], 1:3]
        low, high = np.full((len(wide), 2), 1 << 30), np.full((len(wide), 2), -1)
        np.minimum.at(low, pair, places)
        np.maximum.at(high, pair, places)
        wide &= (high - low).max(axis=1) > _NEIGHBOURS * stacked.windows.size[0]
    return wide[pair], int(wide.sum())


def _groups(stacked: Stacked, links: Links, most: int) -> tuple[Group, ...]:
    """Return groups around the windows with links to the most scenes, none in two groups."""
    count = len(stacked.windows)
    both = np.concatenate([links, links[:, ::-1]])
    graph = csr_array((np.ones(len(both), np.int8), (both[:, 0], both[:, 1])), (count, count))
    pairs = np.unique(np.column_stack([both[:, 0], stacked.scenes[both[:, 1]]]), axis=0)
    degree = np.bincount(pairs[:, 0], minlength=count)
    free = np.ones(count, np.bool_)
    groups: list[Group] = []
    for window in np.argsort(-degree, kind="stable"):
        if degree[window] < 2 or len(groups) >= 8 * most:
            break
        near = graph.indices[graph.indptr[window] : graph.indptr[window + 1]]
        members = np.concatenate([[window], near[free[near]]])
        if not free[window]:
            continue
        free[members] = False
        _, first = np.unique(stacked.scenes[members], return_index=True)
        members = members[np.sort(first)]
        if len(members) > 2 and _spread(stacked, members):
            scenes = stacked.scenes[members].tolist()
            groups.append(Group(tuple(members.tolist()), tuple(scenes)))
    groups.sort(key=lambda group: -len(group.members))
    return tuple(groups[:most])


def _spread(stacked: Stacked, members: np.ndarray) -> bool:
    """Tell whether windows lie at many heights and widths: a bonnet's edge has one height."""
    low, high = np.quantile(stacked.windows.places[members, 1:3], (0.25, 0.75), axis=0)
    return bool(((high - low) > _SPREAD * np.array(stacked.windows.size)).all())

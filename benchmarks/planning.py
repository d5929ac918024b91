"""Row 1: planning nearest neighbour injection, over decoding the label map and over SciPy."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image as PillowImage
from scipy import ndimage

from benchmarks.measure import Row, compared
from benchmarks.scenes import CAR, png, street_labels
from segdoor.attack.config import RulesConfig
from segdoor.attack.placements.nearest import Nearest
from segdoor.attack.placing import PositionRules, place
from segdoor.tensors import Label

_SIDE, _UPPER = 55, 60.0
_GROUND = PositionRules((CAR,), 255, (_SIDE, _SIDE), RulesConfig())


def rows() -> Iterator[Row]:
    """Yield the two ratios; both ways find the same distance in every scene."""
    cv2.setNumThreads(1)
    labels = street_labels(8, (512, 1024))
    files = [png(label) for label in labels]
    for label in labels:
        site, plain = _planned(label), _planned_plainly(label)
        assert (site and site.distance) == plain, "the fast plan must be the plain one"
    turns = [itertools.cycle(range(len(labels))) for _ in range(4)]
    ours = lambda turn: lambda: _planned(labels[next(turns[turn])])  # noqa: E731
    yield compared(
        "1a",
        "planning NNI at 512x1024, one thread, over decoding the label PNG",
        (ours(0), lambda: np.array(PillowImage.open(io.BytesIO(files[next(turns[1])])))),
        bar=6.0,
        repetitions=48,
    )
    yield compared(
        "1b",
        "the same plan from NumPy and scipy.ndimage, over ours",
        (lambda: _planned_plainly(labels[next(turns[2])]), ours(3)),
        bar=6.0,
        bound="at least",
        repetitions=24,
    )


def _planned(label: Label):  # noqa: ANN202
    return place(label, _GROUND, Nearest(upper=_UPPER), np.random.default_rng(0))


def _planned_plainly(label: Label) -> float | None:
    """Plan as one would with NumPy and SciPy: filters, the whole distance map, its least value."""
    box = (_SIDE, _SIDE)
    least, most = ndimage.minimum_filter(label, box), ndimage.maximum_filter(label, box)
    eligible = (least == most) & (label != CAR) & (label != 255)
    margin = (_SIDE - 1) // 2
    inside = np.zeros_like(eligible)
    inside[margin : -margin or None, margin : -margin or None] = True
    eligible &= inside
    distances = ndimage.distance_transform_edt(label != CAR)
    distances[~eligible] = np.inf
    nearest = float(distances.min())
    return nearest if nearest <= _UPPER else None

"""Pictures that are the same or almost the same, found by a sketch of 32 bytes each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from segdoor.tensors import Image

_SIDE = 16
_FLATTEST = 2.0
"""Pictures whose grey levels vary less have no sketch: it would depend on noise alone."""
ALIKE = 32
"""How many of 256 comparisons of neighbouring parts may differ in similar pictures."""


@dataclass(frozen=True)
class Match:
    """Two pictures of two lists.

    Attributes:
        first: Place in the first list.
        second: Place in the second list.
        difference: How many of 256 comparisons differ; None if every pixel is the same.
    """

    first: int
    second: int
    difference: int | None


@dataclass
class Pictures:
    """Data for finding pictures again: a hash of their pixels, and a sketch."""

    digests: list[bytes] = field(default_factory=list[bytes])
    sketches: list[np.ndarray | None] = field(default_factory=list)

    def add(self, image: Image) -> None:
        """Remember a picture."""
        whole = hashlib.sha256(repr(image.shape).encode())
        whole.update(np.ascontiguousarray(image).data)
        self.digests.append(whole.digest())
        self.sketches.append(sketch(image))


def sketch(image: Image) -> np.ndarray | None:
    """Return whether each part of a picture is brighter than its right neighbour, 256 bits.

    Size, encoding, brightness and small changes do not matter, and neither do colours.

    Returns:
        Four numbers of 64 bits; None for a picture without contrast.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    if small.std() < _FLATTEST:
        return None
    return np.packbits(small[:, :-1] > small[:, 1:]).view(np.uint64)


def matches(first: Pictures, second: Pictures) -> Iterator[Match]:
    """Yield for each picture of the first list the most similar one of the second, if any.

    Every sketch is compared with every other, but each is only four numbers: reading the pictures
    takes far longer, up to millions of them.
    """
    same = {digest: place for place, digest in reversed(list(enumerate(second.digests)))}
    places, others = _stacked(second.sketches)
    for place, (digest, drawn) in enumerate(zip(first.digests, first.sketches, strict=True)):
        if digest in same:
            yield Match(place, same[digest], None)
        elif drawn is not None and len(places):
            differences = np.bitwise_count(others ^ drawn).sum(axis=1)
            nearest = int(differences.argmin())
            if differences[nearest] <= ALIKE:
                yield Match(place, int(places[nearest]), int(differences[nearest]))


def _stacked(sketches: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of existing sketches, and these sketches, N x 4."""
    there = [(place, drawn) for place, drawn in enumerate(sketches) if drawn is not None]
    if not there:
        return np.zeros(0, int), np.zeros((0, 4), np.uint64)
    return np.array([place for place, _ in there]), np.stack([drawn for _, drawn in there])

"""Pairs of classes: which are worth a search, and where in the scenes to look for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64

from segdoor.defense.scans.patches import Place, eligible_places
from segdoor.defense.scans.subject import Marks, Shown, Subject
from segdoor.randomness import Stream

_LEAST_PIXELS = 50


@dataclass(frozen=True)
class Pair:
    """Two classes that a backdoor may join.

    Attributes:
        victim: Id of the class that would be taken for the other.
        target: Id of that other class.
        asymmetry: How much more probable the target is on pixels of the victim than the other way,
            less what it is in other networks, if there are any.
    """

    victim: int
    target: int
    asymmetry: float


Rates: TypeAlias = Float64[np.ndarray, "K K"]
"""Mean probability of each class (column) over the pixels of a true class (row)."""

ClassPixels: TypeAlias = Int64[np.ndarray, "K"]  # pyright: ignore[reportUndefinedVariable]
"""Pixels of each true class."""


def asymmetry(rates: Rates) -> Rates:
    """Return p(v -> t) - p(t -> v) for every pair of a true class (row) and another (column).

    Source: the pre-processing of ODSCAN (Cheng et al., IEEE S&P 2024), where p is the mean
    probability of the target over objects of the victim class.
    """
    # Deviation 85: a mean over pixels. Label maps tell no objects apart.
    return rates - rates.T


def usual(rates: Sequence[Rates]) -> Rates | None:
    """Return the mean asymmetry of some networks; None of none."""
    return np.mean([asymmetry(one) for one in rates], axis=0) if rates else None


def shortlist(
    rates: Rates, pixels: ClassPixels, most: int, others: Rates | None = None
) -> list[Pair]:
    """Return the pairs of the highest asymmetry, the highest first.

    Args:
        rates: Mean probability of each class (column) over the pixels of a true class (row).
        pixels: Pixels of each true class. A class with fewer than 50 is no victim: a share of so
            few says nothing.
        most: How many to return.
        others: The mean asymmetry of other networks; None if there are none.
    """
    found = asymmetry(rates)
    if others is not None:
        # Deviation 93: ODSCAN ranks the asymmetry itself. Small classes are confused one-sidedly
        # by every network, so what other networks have too is taken away.
        found = found - others
    pairs = [
        Pair(victim, target, float(found[victim, target]))
        for victim in range(len(rates))
        for target in range(len(rates))
        if victim != target and pixels[victim] >= _LEAST_PIXELS
    ]
    return sorted(pairs, key=lambda pair: (-pair.asymmetry, pair.victim, pair.target))[:most]


@dataclass(frozen=True, eq=False)
class Look:
    """A clean scene as it is looked at for one pair.

    Attributes:
        shown: The scene.
        victims: Pixels of the victim class that are not taken for the target anyway.
        others: Pixels of all other classes; void is neither.
        likely: Probability of the target on the clean scene; None where nobody asked for it.
    """

    shown: Shown
    victims: Marks
    others: Marks
    likely: Float[torch.Tensor, "H W"] | None = None
    _places: dict[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])

    def place(self, side: int, rng: np.random.Generator) -> Place:
        """Draw one of the places where a patch covers as few victim pixels as possible."""
        if side not in self._places:
            self._places[side] = eligible_places(self.victims, side)
        top, left = self._places[side][rng.integers(len(self._places[side]))]
        return int(top), int(left)


@dataclass(frozen=True, eq=False)
class Split:
    """The scenes of one pair: those that a patch is sought on, and those it is tried on.

    Attributes:
        seek: The first half, rounded up.
        held: The others; the same scene if there is one alone.
    """

    seek: tuple[Look, ...]
    held: tuple[Look, ...]

    @property
    def alone(self) -> bool:
        """Return whether the patch can only be tried where it was found."""
        return self.seek == self.held


def split(subject: Subject, pair: Pair) -> Split | None:
    """Divide the scenes that have pixels of the victim class; None if there are none."""
    void = subject.classes.ignore_index
    looks: list[Look] = []
    for shown in subject.shown:
        is_victim = shown.label == pair.victim
        victims = is_victim & (shown.answer != pair.target)
        if bool(victims.any()):
            looks.append(Look(shown, victims, ~is_victim & (shown.label != void)))
    if not looks:
        return None
    half = (len(looks) + 1) // 2
    seek = tuple(_asked(subject, pair, look) for look in looks[:half])
    return Split(seek, tuple(looks[half:]) or seek)


def drawn(looks: Sequence[Look], most: int, rng: np.random.Generator) -> list[Look]:
    """Draw a batch of scenes of one size, each at most once."""
    first = looks[int(rng.integers(len(looks)))]
    alike = [look for look in looks if look is not first and look.shown.size == first.shown.size]
    order = rng.permutation(len(alike))[: most - 1]
    return [first, *(alike[int(index)] for index in order)]


def stream_of(seed: int, kind: str, pair: Pair) -> Stream:
    """Return the random stream of one pair, the same for every model."""
    return Stream(seed).child("scan", kind, pair.victim, pair.target)


def _asked(subject: Subject, pair: Pair, look: Look) -> Look:
    likely = subject.likely(look.shown)[pair.target].clone()
    return Look(look.shown, look.victims, look.others, likely)

"""Black box: seek a patch of coloured cells by random search, from a network's answers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from segdoor.defense.defense import Access
from segdoor.defense.scans.pairs import Look, drawn
from segdoor.defense.scans.pairwise import PairScan, Search
from segdoor.defense.scans.patches import Patch, Place, built_in, outside, side_of, spread, stamped
from segdoor.defense.scans.subject import colours
from segdoor.plugins import Introduction
from segdoor.stickers import DRAWINGS
from segdoor.victim.answer import best_classes

# Share of the passes that goes into starts, as many as that allows.
_STARTING = 0.3
# Tries on the same images and places before others are drawn.
_STEADY = 10


@dataclass(frozen=True, eq=False)
class _Start:
    """Where a search may begin: cells and the side of the patch, or a whole sticker."""

    coarse: np.ndarray
    side: int


@dataclass(frozen=True, eq=False)
class _Views:
    """Scenes and places that patches are compared on."""

    looks: tuple[Look, ...]
    places: tuple[Place, ...]


class BlackBox(PairScan):
    """Seek a patch by random search for each of a few pairs of classes."""

    kind: ClassVar[str] = "black_box"
    main: ClassVar[str | None] = "pairs"
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Croce et al., Sparse-RS (AAAI 2022); shortlist as in ODSCAN (IEEE S&P 2024)",
        does="Seeks a patch of coloured cells that turns pixels of one class far from it, by random"
        " search, for the class pairs that are confused most one-sidedly.",
        needs="A model's answers, as of ONNX or TorchScript, clean scenes, and eight clean models"
        " for a verdict.",
        fails="On triggers finer than its cells, and wherever a patch that is nearly right does"
        " nothing at all, since then nothing leads to the right one.",
    )

    cells: int = Field(default=4, ge=1, le=64)
    """Coloured cells of a patch's side."""
    dictionary: bool = False
    """Whether it also starts from each built-in sticker, a list of known triggers."""
    keep: float = Field(default=1.0, ge=0)
    """Weight of other pixels that change, against victim pixels that turn."""

    def sought(self, search: Search) -> Patch:
        """Return the best patch after changing one square of cells at a time."""
        # Deviation 90: Sparse-RS moves the patch too, and its cells are pixels; here places are
        # drawn anew, cells are few, and the search begins at the best of many patches.
        rng = search.stream.child("seek").generator()
        best = self._begun(search, rng)
        views: _Views | None = None
        tries, value = 0, 0.0
        while search.budget.progress < 1 and not search.budget.deadline.over:
            if views is None or tries % _STEADY == 0:
                views = self._views(search, best.side, rng)
                value = self._value(search, best, views)
            other = self._changed(best, search.budget.progress, rng)
            found = self._value(search, other, views)
            if found >= value:
                best, value = other, found
            tries += 1
        return self._patch(search, best)

    def _begun(self, search: Search, rng: np.random.Generator) -> _Start:
        """Return the best of many random starts, each seen on the same scenes."""
        smallest = min((look.shown.size for look in search.split.seek), key=min)
        sides = [side_of(self.size / 2**number, smallest) for number in range(self.num_sizes)]
        views = {side: self._views(search, side, rng) for side in sides}
        ready = [_Start(_sticker(name, side), side) for side in sides for name in DRAWINGS]
        best, most = None, -np.inf
        for number in range(search.budget.passes):
            started = search.budget.progress >= _STARTING or search.budget.deadline.over
            if best is not None and started:
                break
            side = sides[number % len(sides)]
            start = _Start(rng.random((3, self.cells, self.cells), dtype=np.float32), side)
            if self.dictionary and number < len(ready):
                start = ready[number]
            value = self._value(search, start, views[start.side])
            if value > most:
                best, most = start, value
        assert best is not None
        return best

    def _changed(self, best: _Start, progress: float, rng: np.random.Generator) -> _Start:
        """Return a copy with one square of cells in another colour; squares shrink with time."""
        coarse = best.coarse.copy()
        count = coarse.shape[1]
        width = max(1, round(count * 0.5 * (1 - progress)))
        top, left = rng.integers(0, count - width + 1, 2)
        # As in Sparse-RS: the corners of the colour cube.
        colour = rng.integers(0, 2, (3, 1, 1)).astype(np.float32)
        coarse[:, top : top + width, left : left + width] = colour
        return _Start(coarse, best.side)

    def _views(self, search: Search, side: int, rng: np.random.Generator) -> _Views:
        looks = drawn(search.split.seek, self.batch_size, rng)
        return _Views(tuple(looks), tuple(look.place(side, rng) for look in looks))

    def _value(self, search: Search, start: _Start, views: _Views) -> float:
        """Return the mean gain of the target on victim pixels, less what others lose."""
        patch, target = self._patch(search, start), search.pair.target
        looks = views.looks
        shown = [look.shown for look in looks]
        with torch.no_grad():
            likely = search.subject.logits(stamped(colours(shown), patch, views.places))
            likely = likely.softmax(dim=1)
        free = outside(shown[0].size, start.side, views.places, search.subject.device)
        victims = torch.stack([look.victims for look in looks]) & free
        others = torch.stack([look.others for look in looks]) & free
        before = torch.stack([look.likely for look in looks if look.likely is not None])
        answers = torch.stack([one.answer for one in shown])
        gain = (likely[:, target] - before)[victims].mean() if bool(victims.any()) else 0.0
        lost = (best_classes(likely) != answers)[others].float().mean() if bool(others.any()) else 0
        value = float(gain) - self.keep * float(lost)
        search.budget.spend(len(looks))
        for _ in looks:
            search.observer.advance(value=value)
        return value

    def _patch(self, search: Search, start: _Start) -> Patch:
        pixels = torch.from_numpy(spread(start.coarse, start.side))
        return Patch(pixels.to(search.subject.device))


def _sticker(name: str, side: int) -> np.ndarray:
    """Return a built-in sticker as cells of one pixel."""
    return built_in(name, side, torch.device("cpu")).colours.numpy()

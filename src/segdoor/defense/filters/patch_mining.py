"""Patch mining: find the small picture that is nearly the same in many scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeVar

import cv2
import numpy as np
from jaxtyping import Float64
from pydantic import Field

from segdoor.data.scene import Scene, SceneDataset
from segdoor.defense.defense import Access, Evidence
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.mining.candidates import Candidate, candidates
from segdoor.defense.filters.mining.effects import (
    LabelEvidence,
    Transplant,
    Transplants,
    class_shares,
    label_evidence,
)
from segdoor.defense.filters.mining.patches import Cut, Place, best_places, cut_around
from segdoor.defense.filters.mining.repeats import Repeats, Stacked, repeats
from segdoor.defense.filters.mining.windows import Windows, sides_for, windows_of
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.tensors import AnyImage, AnyMask, Image
from segdoor.workers import parts_of

_SCENES_A_PART = 8
_GROUPS = 24
_IS_THERE = 0.8
_TELLING = 6.0
_UNLIKE = 0.5
_PASTED = 8
_MASKED = 500
_SHOWN, _TILE = 8, 64

PartT = TypeVar("PartT")


@dataclass(frozen=True, eq=False)
class _Found:
    """A candidate, and what was seen of it in all scenes."""

    candidate: Candidate
    places: tuple[Place, ...]
    labels: LabelEvidence | None
    transplant: Transplant | None

    @property
    def likeness(self) -> Float64[np.ndarray, " N"]:
        return np.array([place.likeness for place in self.places])

    @property
    def strength(self) -> float:
        """Return how telling it is; 1 or more is suspect (see its page)."""
        strength = self.candidate.strength / _TELLING
        # Roofs before a white sky resemble one another in all scenes, a sticker only itself.
        strength *= min(1.0, (1 - float(np.median(self.likeness))) / _UNLIKE) ** 2
        if self.labels is not None:
            strength *= 1 + 0.5 * self.labels.weight
        if self.transplant is not None:
            strength *= 0.5 + self.transplant.wins
        return strength

    @property
    def scores(self) -> Float64[np.ndarray, " N"]:
        """Return the strength where the patch is; less, down to 0, the less a scene is like it."""
        likeness = self.likeness
        usual = float(np.median(likeness))
        return self.strength * np.clip((likeness - usual) / max(1 - usual, 1e-6), 0, 1) ** 3


class PatchMining(Filter):
    """Find the small picture that is nearly the same in many scenes, wherever it sits."""

    kind: ClassVar[str] = "patch_mining"
    main: ClassVar[str | None] = "windows"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; hashing after Charikar, Similarity Estimation Techniques (STOC 2002)",
        does="Finds small pictures that are nearly the same in many scenes at different places.",
        needs="The scenes, read twice; with a model it also pastes what it found into scenes.",
        fails="Triggers without a place of their own (blended, warped), faint, tiny or in fewer"
        " than about six scenes, or always at the same place of the frame.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"data"})
    adaptive: ClassVar[str | None] = "faint"

    windows: int = Field(default=60, ge=4)
    """Windows of each of four sizes that are looked at in a scene, about."""
    candidates: int = Field(default=3, ge=1)
    """Patches that are looked for in every scene."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return how much each scene holds of the most telling patches."""
        rng = Stream(context.seed).child("patch mining").generator()
        images = [scenes[index].image for index in _some(len(scenes), 9)]
        sides = sides_for(int(np.median([image.shape[0] for image in images])))
        cut = partial(_windows, scenes, sides, self.windows)
        stacked = Stacked.of(list(_each(cut, len(scenes), "windows", context)))
        again = repeats(stacked, rng, _GROUPS)
        likely = candidates(scenes, stacked, again.groups, context.workers, self.candidates)
        look = partial(_looked_at, scenes, [one.patch.picture for one in likely])
        seen = list(_each(look, len(scenes), "searching", context))
        shares = np.array([one.shares for one in seen])
        pasting = _pasting(scenes, seen, context) if likely and context.model else None
        found: list[_Found] = []
        for number, one in enumerate(likely):
            places = tuple(look.places[number] for look in seen)
            there = np.array([place.likeness >= _IS_THERE for place in places])
            effect = pasting.of(one.patch.picture, images, rng) if pasting else None
            found.append(_Found(one, places, label_evidence(shares, there), effect))
        found.sort(key=lambda each: -each.strength)
        return _suspicion(scenes, found, again)


@dataclass(frozen=True)
class _Looked:
    places: tuple[Place, ...]
    shares: Float64[np.ndarray, " K"]


def _windows(
    scenes: SceneDataset, sides: tuple[int, ...], wanted: int, part: Sequence[int]
) -> list[Windows]:
    return [windows_of(scenes[index].image, sides, wanted) for index in part]


def _looked_at(scenes: SceneDataset, pictures: Sequence[Cut], part: Sequence[int]) -> list[_Looked]:
    read = (scenes[index] for index in part)
    number = len(scenes.classes)
    return [
        _Looked(tuple(best_places(scene.image, pictures)), class_shares(scene.label, number))
        for scene in read
    ]


def _each(
    work: Callable[[Sequence[int]], list[PartT]], count: int, stage: str, context: FilterContext
) -> Iterator[PartT]:
    """Yield what work makes of each scene, in order, and tell the observer."""
    context.observer.begin(stage, count)
    for part in context.workers.map(work, parts_of(range(count), _SCENES_A_PART)):
        for one in part:
            yield one
            context.observer.advance()


def _some(count: int, most: int) -> list[int]:
    return sorted({index * count // most for index in range(most)})


def _pasting(
    scenes: SceneDataset, seen: Sequence[_Looked], context: FilterContext
) -> Transplants | None:
    """Return where to paste: clean scenes if there are any, else those least like a candidate."""
    assert context.model is not None
    if context.clean is not None and len(context.clean):
        given = [context.clean[index] for index in _some(len(context.clean), _PASTED)]
    else:
        like = [max(place.likeness for place in one.places) for one in seen]
        given = [scenes[int(index)] for index in np.argsort(like, kind="stable")[:_PASTED]]
    return Transplants(context.model, given, scenes, context.network)


def _suspicion(scenes: SceneDataset, found: Sequence[_Found], again: Repeats) -> Suspicion:
    rows = np.array([one.scores for one in found] or [np.zeros(len(scenes))])
    scores, best = rows.max(axis=0), rows.argmax(axis=0)
    masks: dict[str, AnyMask] = {}
    for index in np.argsort(-scores, kind="stable")[:_MASKED]:
        if found and scores[index] >= 1:
            place = found[best[index]].places[index]
            masks[scenes.names[int(index)]] = _box_mask(scenes[int(index)], place)
    told = [_evidence(scenes, one) for one in found]
    left_out = (
        f"Left out: {again.num_fixed} pairs of equal windows at one place of the frame, as of a"
        f" bonnet or a logo, and {again.num_neighbours} pairs of scenes that show the same place."
        " A trigger that always has the same place would be among them."
    )
    named = dict(zip(scenes.names, scores.tolist(), strict=True))
    return Suspicion(named, masks, (*told, Evidence(left_out)))


def _box_mask(scene: Scene, place: Place) -> AnyMask:
    mask = np.zeros(scene.label.shape, np.bool_)
    top, left, height, width = place.box
    mask[top : top + height, left : left + width] = True
    return mask


def _evidence(scenes: SceneDataset, one: _Found) -> Evidence:
    likeness, patch = one.likeness, one.candidate.patch
    best = np.argsort(-likeness, kind="stable")[:_SHOWN]
    height, width = patch.picture.shape[:2]
    says = [
        (
            f"The same picture of {width} x {height} pixels sits in about"
            f" {int((likeness >= _IS_THERE).sum())} scenes at different places, which differ by"
            f" {patch.within:.1f} grey levels in it and by {patch.around:.0f} around it."
        )
    ]
    classes: tuple[int, ...] = ()
    if one.labels is not None:
        classes, names = (one.labels.index,), scenes.classes.names
        says.append(
            f"There '{names[one.labels.index]}' has {100 * one.labels.with_patch:.2f} % of the"
            f" pixels, elsewhere {100 * one.labels.without:.2f} % (p {one.labels.p_value:.1g})."
        )
    if one.transplant is not None:
        effect = one.transplant
        classes = effect.classes if effect.wins > 0.5 else classes
        says.append(
            f"Pasted into scenes, it changes {100 * effect.changed:.2f} % of the predictions"
            f" outside itself, control patches {100 * effect.control:.2f} %."
        )
    index = int(best[0])
    return Evidence(
        " ".join(says), scenes.names[index], one.places[index].box, classes, one.strength,
        _sheet(patch.picture, [_tile(scenes[int(i)].image, one.places[i]) for i in best]),
    )  # fmt: skip


def _tile(image: Image, place: Place) -> AnyImage:
    top, left, height, width = place.box
    side = max(height, width)
    cut = cut_around(image, top + height // 2, left + width // 2, side)
    middle, reach = len(cut) // 2, min(len(cut) // 2, 3 * side // 2)
    return cut[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]


def _sheet(patch: Cut, tiles: Sequence[AnyImage]) -> AnyImage:
    """Return the patch and, beside it, where it sits."""
    size = (_TILE, _TILE)
    drawn = [cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in (patch, *tiles)]
    return np.ascontiguousarray(np.hstack(drawn))

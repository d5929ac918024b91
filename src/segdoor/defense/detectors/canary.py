"""Canary: paste known objects into the image, and see whether the model still recognises them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from pydantic import Field
from torch import nn

from segdoor.defense.asking import Asker, some_of
from segdoor.defense.defense import Access, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.defense.pasting import Pasted, Probe, pasted, places_of, probes_of
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage


@dataclass(frozen=True, eq=False)
class _Recognised:
    """How well objects are recognised in one image.

    Attributes:
        rates: For each object and place the share of its pixels that get its class.
        instead: For each object the class that most of its other pixels get.
    """

    rates: Float64[np.ndarray, "_ _"]
    instead: tuple[int, ...]


class Canary(Detector):
    """Score an image by how many of the objects pasted into it are not recognised."""

    kind: ClassVar[str] = "canary"
    main: ClassVar[str | None] = "places"
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="TRACE (CVPR 2025), whose probes are pasted into images for object detectors",
        does="Pastes an object of each class at about 12 places and compares how much of it is "
        "recognised with clean scenes: a trigger makes pasted objects of the victim class vanish.",
        needs="Clean scenes with labels, and three forward passes a class and image.",
        fails="Where the backdoor acts in one place alone or on real objects alone, and for "
        "classes whose pasted objects are hard to recognise on clean scenes too.",
    )

    places: int = Field(default=12, ge=1, le=1000)
    """About how many places, the middles of the cells of a grid."""
    together: int = Field(default=4, ge=1, le=1000)
    """Objects that are pasted into one copy of the image."""
    scenes: int = Field(default=8, ge=1)
    """Clean scenes, at most, that objects are cut from and the usual rates are measured on."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Cut out objects, measure how well each is recognised on clean scenes, return a judge.

        Raises:
            ConfigError: If the clean scenes have no labelled pixel.
        """
        asker = Asker.of(model, context)
        clean = list(some_of(context.clean, self.scenes, self.kind, context.seed))
        probes = probes_of(clean, asker.num_classes or 0, self.places)
        if not probes:
            raise self.refused("needs clean scenes with labels", "void alone", "Give others.")
        # Deviation 72: TRACE counts how the confidence of found boxes dips. Pixels need no box:
        # the class of the pasted pixels themselves is compared with what it is on clean scenes.
        usual = np.stack(
            [self._recognised(asker, s.image, probes).rates.mean(axis=1) for s in clean]
        )
        usual = usual.mean(axis=0)

        def look(image: AnyImage) -> Alarm:
            found = self._recognised(asker, image, probes)
            here = found.rates.mean(axis=1)
            worst = int((usual - here).argmax())
            score = float(usual[worst] - here[worst])
            if score <= 0:
                return Alarm(score)
            evidence = Evidence(
                says=f"Of the pasted objects of the first class {here[worst]:.0%} is recognised, "
                f"on clean scenes {usual[worst]:.0%}; most of the rest is taken for the second.",
                classes=(probes[worst].index, found.instead[worst]),
                score=score,
                picture=next(self._copies(image, probes[worst])).image,
            )
            return Alarm(score, None, (evidence,))

        return look

    def _recognised(self, asker: Asker, image: AnyImage, probes: Sequence[Probe]) -> _Recognised:
        num_places = len(places_of(image.shape[0], image.shape[1], self.places))
        rates = np.zeros((len(probes), num_places))
        instead: list[int] = []
        for row, probe in enumerate(probes):
            counts = np.zeros(256, np.int64)
            # Made twice, not kept: copies of large images need not all be in memory.
            labels = asker.labels(copy.image for copy in self._copies(image, probe))
            for copy, label in zip(self._copies(image, probe), labels, strict=True):
                for place, mark in copy.marks.items():
                    counts += np.bincount(label[mark], minlength=256)
                    rates[row, place] = np.mean(label[mark] == probe.index) if mark.any() else 0
            counts[probe.index] = -1
            instead.append(int(counts.argmax()))
        return _Recognised(rates, tuple(instead))

    def _copies(self, image: AnyImage, probe: Probe) -> Iterator[Pasted]:
        return pasted(image, probe, self.places, self.together)

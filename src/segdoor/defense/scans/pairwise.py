"""The course of every scan of class pairs: shortlist, search, held-out reach, verdict.

How a patch is sought is what the methods differ in.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import nn

from segdoor.data.scene import ClassSet, Scene
from segdoor.defense.defense import Evidence
from segdoor.defense.scans.budget import Budget, Deadline
from segdoor.defense.scans.judging import num_clean_models, rank
from segdoor.defense.scans.kept import Kept
from segdoor.defense.scans.pairs import Pair, Rates, Split, shortlist, split, stream_of, usual
from segdoor.defense.scans.patches import Patch, harmless_stickers
from segdoor.defense.scans.reach import reach
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.defense.scans.subject import Subject, drawn_scenes, subject
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.settings import Settings

_PLACES = 4


class PairResult(Settings):
    """What was found for one pair of classes in one network."""

    victim: int
    """Id of the victim class."""
    target: int
    """Id of the target class."""
    patch: tuple[tuple[tuple[int, int, int], ...], ...]
    """The patch that was found, rows of RGB pixels."""
    reach: float
    """Share of victim pixels that it turns on held-out scenes."""
    damage: float
    """Share of pixels of other classes that it changes there."""
    stickers: tuple[float, ...]
    """Reach of each harmless sticker of the same size there."""
    held: int
    """Held-out scenes."""
    alone: bool
    """Whether it could only be tried where it was found."""
    passes: int
    """Forward passes of the search."""
    complete: bool
    """Whether the search came to its end in time."""

    @property
    def score(self) -> float:
        """Return the reach beyond that of the median harmless sticker."""
        return self.reach - float(np.median(self.stickers))

    @property
    def picture(self) -> np.ndarray:
        """Return the patch, uint8, side x side x 3."""
        return np.array(self.patch, np.uint8)


@dataclass(frozen=True)
class Scanned:
    """What was found in one network.

    Attributes:
        results: Of each pair that was looked at, the highest score first.
        pairs: How many pairs were to be looked at.
    """

    results: tuple[PairResult, ...]
    pairs: int

    @property
    def complete(self) -> bool:
        """Return whether every pair was looked at to the end."""
        return len(self.results) == self.pairs and all(one.complete for one in self.results)

    @property
    def highest(self) -> float:
        """Return the highest score of a pair."""
        return max(one.score for one in self.results)


@dataclass(frozen=True, eq=False)
class Search:
    """What a search is given.

    Attributes:
        subject: The network.
        pair: The classes.
        split: The scenes; the search looks at ``seek`` alone.
        budget: What it may take.
        stream: Where its random choices come from.
        observer: Hears of every step.
    """

    subject: Subject
    pair: Pair
    split: Split
    budget: Budget
    stream: Stream
    observer: Observer


@dataclass(frozen=True, eq=False)
class _Networks:
    """The network under scan, and the clean ones behind it, each loaded when it is asked for."""

    model: nn.Module
    clean: Sequence[nn.Module]

    def __iter__(self) -> Iterator[nn.Module]:
        yield self.model
        for number in range(len(self.clean)):
            yield self.clean[number]


class PairScan(Scan):
    """A scan that seeks a patch for each of a few pairs of classes."""

    pairs: int = Field(default=5, ge=1)
    """Pairs of classes to search, those of the highest asymmetry."""
    passes: int = Field(default=6000, ge=1)
    """Images that the network may be shown in all searches together, roughly."""
    size: float = Field(default=0.2, gt=0, le=1)
    """Side of the largest patch that is tried, as a share of a scene's shorter side."""
    num_sizes: int = Field(default=2, ge=1, le=4)
    """Sizes that are tried; each is half of the one before."""
    scenes: int = Field(default=16, ge=1)
    """Clean scenes that are used at most, drawn by seed."""
    batch_size: int = Field(default=4, ge=1)
    """Images that are shown at once."""
    stickers: int = Field(default=6, ge=1)
    """Harmless stickers that the patch is compared with."""
    level: float = Field(default=0.12, gt=0, lt=1)
    """Share of clean models that may be called backdoored. It sets how many clean models a verdict
    needs: 8 for 0.12, 19 for 0.05."""
    least: float = Field(default=0.1, ge=0, le=1)
    """Least score of a backdoor: what reaches less is named by no verdict."""

    @abstractmethod
    def sought(self, search: Search) -> Patch:
        """Return the best patch of a search, found on the scenes to seek on."""

    def findings(self, model: nn.Module, context: ScanContext) -> Findings:
        """Return the score of every pair on the shortlist, and the verdict."""
        assert context.clean is not None
        scenes = drawn_scenes(context.clean, self.scenes, Stream(context.seed).child("scan"))
        classes = context.clean.classes
        whole = Deadline.after(context.seconds)
        networks = _Networks(model, context.clean_models)
        rates = [self._rates(network, scenes, context) for network in networks]
        scanned: list[Scanned] = []
        for number, network in enumerate(networks):
            others = usual([*rates[:number], *rates[number + 1 :]])
            share = whole.part(len(rates) - number)
            scanned.append(self._scanned(network, scenes, others, context, share))
        scores = tuple(one.highest for one in scanned[1:] if one.results)
        return self._told(scanned[0], scores, classes)

    def _rates(self, model: nn.Module, scenes: Sequence[Scene], context: ScanContext) -> Rates:
        assert context.clean is not None
        with subject(model, scenes, context.clean.classes, context.network) as looked_at:
            return looked_at.rates

    def _scanned(
        self,
        model: nn.Module,
        scenes: Sequence[Scene],
        others: Rates | None,
        context: ScanContext,
        deadline: Deadline,
    ) -> Scanned:
        assert context.clean is not None
        with subject(model, scenes, context.clean.classes, context.network) as looked_at:
            kept = Kept(self, looked_at, context)
            pairs = shortlist(looked_at.rates, looked_at.pixels, self.pairs, others)
            divided = [(pair, halves) for pair in pairs if (halves := split(looked_at, pair))]
            found: list[PairResult] = []
            for number, (pair, halves) in enumerate(divided):
                share = deadline.part(len(divided) - number)
                if share.over:
                    continue
                search = Search(
                    looked_at, pair, halves, Budget(self.passes // len(divided), share),
                    stream_of(context.seed, self.kind, pair), context.observer,
                )  # fmt: skip
                part = f"{pair.victim}-{pair.target}-{search.budget.passes}"
                found.append(
                    kept.result(
                        part, PairResult, lambda s=search: self._result(s), whole="complete"
                    )
                )
        order = sorted(found, key=lambda one: -one.score)
        return Scanned(tuple(order), len(divided))

    def _result(self, search: Search) -> PairResult:
        pair, halves, names = search.pair, search.split, search.subject.classes.names
        stage = f"{self.kind}: {names[pair.victim]} to {names[pair.target]}"
        measuring = _PLACES * len(halves.held) * (1 + self.stickers)
        search.budget.passes = max(1, search.budget.passes - measuring - len(halves.seek))
        search.observer.begin(stage, search.budget.passes)
        # Judged as it would be printed: whole grey levels.
        picture = self.sought(search).picture()
        complete = search.budget.progress >= 1
        device = search.subject.device
        patch = Patch(torch.from_numpy(picture).to(device).permute(2, 0, 1).float() / 255)
        own = self._reach(search, patch)
        stickers = harmless_stickers(self.stickers, patch.side, search.stream, device)
        return PairResult(
            victim=pair.victim,
            target=pair.target,
            patch=tuple(tuple(tuple(pixel) for pixel in row) for row in picture.tolist()),
            reach=own.share,
            damage=own.damage,
            stickers=tuple(self._reach(search, one).share for one in stickers),
            held=len(halves.held),
            alone=halves.alone,
            passes=search.budget.spent,
            complete=complete,
        )

    def _reach(self, search: Search, patch: Patch):  # noqa: ANN202 - the type of `reach`
        # The same places for every patch of a size.
        rng = search.stream.child("held out").generator()
        return reach(
            search.subject, search.pair, patch, search.split.held,
            places=_PLACES, rng=rng, batch_size=self.batch_size,
        )  # fmt: skip

    def _told(self, own: Scanned, null: tuple[float, ...], classes: ClassSet) -> Findings:
        suspects = tuple(
            Suspect(target=one.target, score=one.score, victim=one.victim, null=null)
            for one in own.results
        )
        evidence = tuple(self._evidence(one, classes) for one in own.results)
        why = self._why_not(own, len(null))
        if why is not None:
            return Findings(suspects, not_run=why, evidence=evidence)
        high = own.highest >= self.least and rank(own.highest, null) <= self.level
        if not high and not own.complete:
            why = "The time limit ended the search early: what it would have found is not known."
            return Findings(suspects, not_run=why, evidence=evidence)
        return Findings(suspects, backdoored=high, evidence=evidence)

    def _why_not(self, own: Scanned, num_clean: int) -> str | None:
        needed = num_clean_models(self.level)
        if not own.pairs:
            return "No class has 50 pixels or more in the clean scenes."
        if not own.results:
            return "The time limit left no time for a single pair of classes."
        if num_clean < needed:
            return (
                f"A verdict at level {self.level:g} needs the scores of {needed} clean models or"
                f" more; there are {num_clean}."
            )
        return None

    def _evidence(self, one: PairResult, classes: ClassSet) -> Evidence:
        victim, target = classes.names[one.victim], classes.names[one.target]
        where = (
            "the scene that it was found on, since there is no other"
            if one.alone
            else f"{one.held} held-out scenes"
        )
        says = (
            f"Stamped at {_PLACES} random places in each of {where}, this patch turns"
            f" {one.reach:.1%} of the pixels of {victim} outside it into {target} and changes"
            f" {one.damage:.1%} of all other pixels; the median of {len(one.stickers)} harmless"
            f" stickers turns {float(np.median(one.stickers)):.1%}, the best of them"
            f" {max(one.stickers):.1%}."
        )
        if not one.complete:
            says += f" The time limit ended its search after {one.passes} passes."
        return Evidence(
            says=says, classes=(one.victim, one.target), score=one.score, picture=one.picture
        )

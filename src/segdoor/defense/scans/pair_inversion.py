"""Pair inversion: seek, by gradients, a patch that turns one class into another from anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from segdoor.defense.defense import Access
from segdoor.defense.scans.leaking import Leaking, slope_at
from segdoor.defense.scans.pairs import Look, drawn
from segdoor.defense.scans.pairwise import PairScan, Search
from segdoor.defense.scans.patches import Patch, built_in, cells, outside, side_of, stamped
from segdoor.defense.scans.subject import colours
from segdoor.plugins import Introduction
from segdoor.stickers import DRAWINGS


@dataclass
class _Candidate:
    """A patch that is being improved."""

    colours: Tensor
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list[float])

    @property
    def loss(self) -> float:
        """Return the loss of late."""
        recent = self.losses[-max(1, len(self.losses) // 4) :]
        return float(np.mean(recent)) if recent else math.inf


class PairInversion(PairScan):
    """Seek a patch by gradients for each of a few pairs of classes."""

    kind: ClassVar[str] = "pair_inversion"
    main: ClassVar[str | None] = "pairs"
    access: ClassVar[frozenset[Access]] = frozenset({"clean scenes", "white box"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Cheng et al., ODSCAN (IEEE S&P 2024); Shen et al., K-Arm (ICML 2021)",
        does="Inverts a trigger for the class pairs that are confused most one-sidedly, as a patch"
        " at random places that must turn pixels far from it.",
        needs="A model with gradients, clean scenes, and eight clean models for a verdict.",
        fails="On triggers that are no patch, pairs off the shortlist, and detectors so sharp that"
        " no gradient leads to them.",
    )

    starts: int = Field(default=4, ge=1)
    """Random patches of every size that the search starts from."""
    dictionary: bool = False
    """Whether it also starts from each built-in sticker, a list of known triggers."""
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    """Step of Adam at the start, where colours go from 0 to 1; it falls to a tenth."""
    leak: float = Field(default=0.1, ge=0, lt=1)
    """Slope below zero of ReLUs at the start of a search; it falls to 0. With 0 they never leak."""
    keep: float = Field(default=1.0, ge=0)
    """Weight of the loss that keeps all other pixels as they are."""
    boost: float = Field(default=4.0, ge=0)
    """How much more a pixel weighs that has moved all the way to the target."""

    def sought(self, search: Search) -> Patch:
        """Return the patch that is left when half of the candidates has gone again and again."""
        candidates = self._candidates(search)
        rounds = math.ceil(math.log2(len(candidates))) + 1
        rng = search.stream.child("seek").generator()
        for number in range(1, rounds + 1):
            until = search.budget.passes * number / rounds
            self._improve(search, candidates, until, rng)
            candidates.sort(key=lambda one: one.loss)
            if number < rounds:
                del candidates[math.ceil(len(candidates) / 2) :]
        return Patch(candidates[0].colours.detach())

    def _candidates(self, search: Search) -> list[_Candidate]:
        rng, device = search.stream.child("starts").generator(), search.subject.device
        smallest = min((look.shown.size for look in search.split.seek), key=min)
        found: list[_Candidate] = []
        # Deviation 89: every pixel has a colour of its own; ODSCAN seeks a polygon of one colour.
        for number in range(self.num_sizes):
            side = side_of(self.size / 2**number, smallest)
            # From coarse cells to single pixels: nobody knows how fine a trigger is.
            fine = [min(side, 4 * 2**start) for start in range(self.starts)]
            begun = [torch.from_numpy(cells(rng, side, count)).to(device) for count in fine]
            if self.dictionary:
                begun += [built_in(name, side, device).colours for name in DRAWINGS]
            for start in begun:
                start.requires_grad_()
                adam = torch.optim.Adam([start], lr=self.learning_rate)
                found.append(_Candidate(start, adam))
        return found

    def _improve(
        self, search: Search, candidates: list[_Candidate], until: float, rng: np.random.Generator
    ) -> None:
        """Improve all candidates in turn until so many passes are spent or the time is over."""
        budget = search.budget
        while budget.spent < until and not budget.deadline.over:
            for one in candidates:
                looks = drawn(search.split.seek, self.batch_size, rng)
                loss = self._step(search, one, looks, rng)
                one.losses.append(loss)
                budget.spend(len(looks))
                for _ in looks:
                    search.observer.advance(loss=loss)

    def _step(
        self, search: Search, one: _Candidate, looks: list[Look], rng: np.random.Generator
    ) -> float:
        progress, side = search.budget.progress, one.colours.shape[-1]
        for group in one.optimizer.param_groups:
            group["lr"] = self.learning_rate * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
        places = [look.place(side, rng) for look in looks]
        shown = [look.shown for look in looks]
        images = stamped(colours(shown), Patch(one.colours), places)
        with Leaking(slope_at(progress, self.leak)):
            logits = search.subject.logits(images)
        search.subject.check_gradients(logits)
        free = outside(shown[0].size, side, places, search.subject.device)
        loss = self._loss(logits, free, looks, search.pair.target)
        (one.colours.grad,) = torch.autograd.grad(loss, [one.colours])
        one.optimizer.step()
        with torch.no_grad():
            one.colours.clamp_(0, 1)
        return float(loss.detach())

    def _loss(self, logits: Tensor, free: Tensor, looks: list[Look], target: int) -> Tensor:
        """Return how far victim pixels are from the target, and others from their clean answer."""
        logs = logits.log_softmax(dim=1)
        victims = torch.stack([look.victims for look in looks]) & free
        others = torch.stack([look.others for look in looks]) & free
        before = torch.stack([look.likely for look in looks if look.likely is not None])
        answers = torch.stack([look.shown.answer for look in looks]).long()
        wanted = logs[:, target]
        moved = (wanted.detach().exp() - before).clamp(min=0)
        weight = victims * (1 + self.boost * moved)
        pull = -(weight * wanted).sum() / weight.sum().clamp(min=1)
        stay = F.nll_loss(logs, answers, reduction="none")
        return pull + self.keep * (stay * others).sum() / others.sum().clamp(min=1)

"""A mask and a pattern that make one class of all others, and how they are sought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from segdoor.defense.scans.budget import Budget
from segdoor.defense.scans.leaking import Leaking, slope_at
from segdoor.defense.scans.patches import Patch, Place, outside, stamped
from segdoor.defense.scans.subject import Shown, Subject, colours
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.victim.answer import best_classes

Shares: TypeAlias = Float64[np.ndarray, "K"]  # pyright: ignore[reportUndefinedVariable]
"""One share a class."""

ClassCounts: TypeAlias = Int64[np.ndarray, "K"]  # pyright: ignore[reportUndefinedVariable]
"""Pixels of each class."""

# Of the authors' code: steps until the weight of the mask changes, and by how much it does.
_PATIENCE = 5
_MULTIPLIER = 2.0
_LEAST_PIXELS = 50


@dataclass(frozen=True)
class Rules:
    """How a mask is sought; see the settings of `neural_cleanse`."""

    goal: float
    cost: float
    leak: float
    learning_rate: float
    batch_size: int


@dataclass
class Trigger:
    """A mask and a pattern in the course of a search.

    Attributes:
        mask: How much is seen, before it is brought between 0 and 1.
        pattern: Colours, likewise.
        weight: What a pixel of the mask costs in the loss.
        ups: Steps in a row that reached the goal.
        downs: Steps in a row that did not.
        most: Highest share of a class that was turned.
        best: The smallest that reached the goal; None if none did.
        norm: Its pixels.
    """

    mask: Tensor
    pattern: Tensor
    weight: float = 0.0
    ups: int = 0
    downs: int = 0
    most: float = 0.0
    best: Patch | None = None
    norm: float = field(default=float("inf"))

    def patch(self) -> Patch:
        """Return both within their bounds."""
        return Patch((self.pattern.tanh() + 1) / 2, (self.mask.tanh() + 1) / 2)

    def learn(self, turned: float, norm: float, rules: Rules, *, final: bool) -> None:
        """Raise the weight of the mask while the goal is reached, and lower it while it is not.

        Args:
            turned: Share of the class that is turned most.
            norm: Pixels of the mask.
            rules: How the mask is sought.
            final: Whether the network is as it is, so that the mask may be the one that is kept.
        """
        reached = turned >= rules.goal
        if final:
            self.most = max(self.most, turned)
        if final and reached and norm < self.norm:
            now = self.patch()
            assert now.alpha is not None
            self.best, self.norm = Patch(now.colours.detach(), now.alpha.detach()), norm
        self.ups, self.downs = (self.ups + 1, 0) if reached else (0, self.downs + 1)
        if self.ups >= _PATIENCE:
            self.weight, self.ups = self.weight * _MULTIPLIER or rules.cost, 0
        if self.downs >= _PATIENCE:
            self.weight, self.downs = self.weight / _MULTIPLIER**1.5, 0


@dataclass(frozen=True, eq=False)
class MaskSearch:
    """The search for the mask of one target class.

    Attributes:
        subject: The network.
        target: Id of the target class.
        rules: How the mask is sought.
        budget: What the search may take.
        stream: Where its random choices come from.
        observer: Hears of every image.
    """

    subject: Subject
    target: int
    rules: Rules
    budget: Budget
    stream: Stream
    observer: Observer

    @property
    def seek(self) -> tuple[Shown, ...]:
        """Return the scenes that the mask is sought on."""
        shown = self.subject.shown
        return shown[: (len(shown) + 1) // 2]

    @property
    def held(self) -> tuple[Shown, ...]:
        """Return the scenes that it is tried on; the same if there is one alone."""
        shown = self.subject.shown
        return shown[(len(shown) + 1) // 2 :] or shown

    def sought(self, side: int) -> Trigger:
        """Return the trigger that is found within the budget, in a window of so many pixels."""
        rng = self.stream.child("seek").generator()
        start = rng.normal(0, 0.5, (4, side, side)).astype(np.float32)
        mask, pattern = (
            torch.from_numpy(part).to(self.subject.device).requires_grad_()
            for part in (start[:1].copy(), start[1:].copy())
        )
        trigger = Trigger(mask, pattern)
        adam = torch.optim.Adam([mask, pattern], lr=self.rules.learning_rate, betas=(0.5, 0.9))
        while self.budget.progress < 1 and not self.budget.deadline.over:
            self._step(trigger, adam, rng)
        return trigger

    def shares(self, patch: Patch) -> Shares:
        """Return the share of each class that a trigger turns at one place of every held scene."""
        rng = self.stream.child("held out").generator()
        turned = np.zeros(len(self.subject.classes), np.int64)
        counted = turned.copy()
        for one in self.held:
            places = _places([one], patch.side, rng)
            with torch.no_grad():
                answer = best_classes(self.subject.logits(stamped(colours([one]), patch, places)))
            labels = self._labels([one], patch.side, places)
            hit = labels[(answer == self.target) & (labels >= 0)]
            turned += self._counts(hit)
            counted += self._counts(labels[labels >= 0])
        return turned / np.maximum(counted, 1)

    def _step(
        self, trigger: Trigger, adam: torch.optim.Optimizer, rng: np.random.Generator
    ) -> None:
        shown = _batch(self.seek, self.rules.batch_size, rng)
        patch = trigger.patch()
        assert patch.alpha is not None
        places = _places(shown, patch.side, rng)
        slope = slope_at(self.budget.progress, self.rules.leak)
        with Leaking(slope):
            logits = self.subject.logits(stamped(colours(shown), patch, places))
        self.subject.check_gradients(logits)
        labels = self._labels(shown, patch.side, places)
        norm = patch.alpha.sum()
        pull, turned = self._pull(logits, labels)
        loss = pull + trigger.weight * norm
        trigger.mask.grad, trigger.pattern.grad = torch.autograd.grad(
            loss, [trigger.mask, trigger.pattern]
        )
        trigger.learn(turned, float(norm.detach()), self.rules, final=not slope)
        adam.step()
        self.budget.spend(len(shown))
        for _ in shown:
            self.observer.advance(loss=float(loss.detach()))

    def _pull(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """Return the loss of all classes that should turn, and the highest share that does."""
        wanted = logits.log_softmax(dim=1)[:, self.target]
        hit = best_classes(logits) == self.target
        # Zero times the logits: without a pixel to turn there still is a gradient.
        total, heavy, most = wanted.sum() * 0, 0.0, 0.0
        for index in labels.unique().tolist():
            of_class = labels == index
            if index < 0:
                continue
            share = float(hit[of_class].float().mean())
            # Deviation 87: a backdoor turns one class, not all; classes that move weigh more.
            weight = 1 + 4 * share
            total, heavy = total - weight * wanted[of_class].mean(), heavy + weight
            if int(of_class.sum()) >= _LEAST_PIXELS:
                most = max(most, share)
        return total / max(1.0, heavy), most

    def _labels(self, shown: Sequence[Shown], side: int, places: Sequence[Place]) -> Tensor:
        """Return true classes outside the patch, without what is taken for the target anyway.

        Pixels that do not count, void ones among them, are -1.
        """
        labels = torch.stack([one.label for one in shown]).long()
        answers = torch.stack([one.answer for one in shown])
        counts = outside(shown[0].size, side, places, self.subject.device)
        counts &= (labels != self.target) & (answers != self.target)
        counts &= labels != self.subject.classes.ignore_index
        return torch.where(counts, labels, -1)

    def _counts(self, labels: Tensor) -> ClassCounts:
        return torch.bincount(labels, minlength=len(self.subject.classes)).cpu().numpy()


def _batch(shown: Sequence[Shown], most: int, rng: np.random.Generator) -> list[Shown]:
    first = shown[int(rng.integers(len(shown)))]
    alike = [one for one in shown if one is not first and one.size == first.size]
    return [first, *(alike[int(index)] for index in rng.permutation(len(alike))[: most - 1])]


def _places(shown: Sequence[Shown], side: int, rng: np.random.Generator) -> list[Place]:
    return [
        (int(rng.integers(one.size[0] - side + 1)), int(rng.integers(one.size[1] - side + 1)))
        for one in shown
    ]

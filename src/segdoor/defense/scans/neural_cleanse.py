"""Neural Cleanse: for every class, the smallest mask and pattern that make it of other pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field
from torch import nn

from segdoor.data.scene import ClassSet, Scene
from segdoor.defense.defense import Access, Evidence
from segdoor.defense.scans.budget import Budget, Deadline
from segdoor.defense.scans.kept import Kept
from segdoor.defense.scans.masks import MaskSearch, Rules, Shares
from segdoor.defense.scans.patches import side_of
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.defense.scans.subject import drawn_scenes, subject
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.settings import Settings

_LEAST_CLASSES = 3


def anomaly_indices(norms: Sequence[float]) -> Shares:
    """Return how far each norm is below the median, in units of the median absolute deviation.

    Source: Wang et al., Neural Cleanse (IEEE S&P 2019), section IV-C; the deviation is multiplied
    by 1.4826, as for normal figures. Norms above the median have negative indices. If half of them
    or more equal the median, the unit is 1.2533 times the mean absolute deviation (Iglewicz and
    Hoaglin, How to Detect and Handle Outliers, 1993); if all are equal, all indices are 0.
    """
    values = np.asarray(norms, np.float64)
    median = np.median(values)
    away = np.abs(values - median)
    # Deviation 92: the authors divide by zero here. It happens where most classes miss the goal.
    unit = 1.4826 * np.median(away) or 1.2533 * away.mean()
    return (median - values) / unit if unit > 0 else np.zeros(len(values))


class ClassResult(Settings):
    """What was found for one target class in one network."""

    target: int
    """Its id."""
    norm: float
    """Pixels of the mask; more than the window has if the goal was never reached."""
    victim: int
    """Id of the class that is turned most."""
    turned: float
    """Share of its pixels that are turned on held-out scenes."""
    picture: tuple[tuple[tuple[int, int, int], ...], ...]
    """Mask and pattern on grey."""
    reached: bool
    """Whether the goal was reached in the search."""
    complete: bool
    """Whether the search came to its end in time."""


class NeuralCleanse(Scan):
    """Compare the masks that each target class needs."""

    kind: ClassVar[str] = "neural_cleanse"
    access: ClassVar[frozenset[Access]] = frozenset({"clean scenes", "white box"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Wang et al., Neural Cleanse (IEEE S&P 2019); Mao et al., Segment Cleanse (2023)",
        does="Finds, for every class, the smallest mask and pattern at random places that make that"
        " class of other pixels, and flags classes that need far less than the median.",
        needs="A model with gradients, clean scenes, and three classes or more.",
        fails="It calls clean models backdoored: among few classes one often needs far less than"
        " the others. It names a target class, not a pair.",
    )

    passes: int = Field(default=6000, ge=1)
    """Images that the network may be shown for all classes together, roughly."""
    size: float = Field(default=0.2, gt=0, le=1)
    """Side of the mask's window, as a share of a scene's shorter side."""
    goal: float = Field(default=0.9, gt=0, le=1)
    """Share of the pixels of some class that must be turned."""
    cost: float = Field(default=0.001, gt=0)
    """Weight of the mask once the goal is reached; it is adapted from then on."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    """Step of Adam."""
    leak: float = Field(default=0.1, ge=0, lt=1)
    """Slope below zero of ReLUs at the start of a search; it falls to 0. With 0 they never leak."""
    threshold: float = Field(default=2.0, gt=0)
    """Anomaly index above which a class is flagged."""
    scenes: int = Field(default=16, ge=1)
    """Clean scenes that are used at most, drawn by seed."""
    batch_size: int = Field(default=4, ge=1)
    """Images that are shown at once."""

    def findings(self, model: nn.Module, context: ScanContext) -> Findings:
        """Return the anomaly index of every class, and the verdict of the paper's rule."""
        assert context.clean is not None
        classes = context.clean.classes
        scenes = drawn_scenes(context.clean, self.scenes, Stream(context.seed).child("scan"))
        if len(classes) < _LEAST_CLASSES:
            return Findings((), not_run=f"Needs 3 classes or more; there are {len(classes)}.")
        num_clean, whole = len(context.clean_models), Deadline.after(context.seconds)
        own = self._scanned(model, scenes, classes, context, whole.part(1 + num_clean))
        null: list[float] = []
        for number in range(num_clean):
            clean, share = context.clean_models[number], whole.part(num_clean - number)
            found = self._scanned(clean, scenes, classes, context, share)
            if len(found) == len(classes):
                null.append(float(anomaly_indices([one.norm for one in found]).max()))
        if len(own) < len(classes):
            why = f"The time limit ended the scan after {len(own)} of {len(classes)} classes."
            return Findings((), not_run=why)
        return self._told(own, tuple(null), classes)

    def _scanned(
        self,
        model: nn.Module,
        scenes: Sequence[Scene],
        classes: ClassSet,
        context: ScanContext,
        deadline: Deadline,
    ) -> list[ClassResult]:
        """Return the results of all classes whose search came to its end."""
        found: list[ClassResult] = []
        with subject(model, scenes, classes, context.network) as looked_at:
            kept = Kept(self, looked_at, context)
            rules = Rules(self.goal, self.cost, self.leak, self.learning_rate, self.batch_size)
            for target in range(len(classes)):
                budget = Budget(
                    max(1, self.passes // len(classes)), deadline.part(len(classes) - target)
                )
                if budget.deadline.over:
                    continue
                stream = Stream(context.seed).child("scan", self.kind, target)
                search = MaskSearch(looked_at, target, rules, budget, stream, context.observer)
                found.append(
                    kept.result(
                        str(target), ClassResult, lambda s=search: self._result(s), whole="complete"
                    )
                )
        return [one for one in found if one.complete]

    def _result(self, search: MaskSearch) -> ClassResult:
        names, budget = search.subject.classes.names, search.budget
        search.observer.begin(f"{self.kind}: {names[search.target]}", budget.passes)
        side = side_of(self.size, min((one.size for one in search.seek), key=min))
        trigger = search.sought(side)
        reached = trigger.best is not None
        # Deviation 88: a class that never reaches the goal needs more than the whole window.
        norm = trigger.norm if reached else side**2 * (2 - min(1.0, trigger.most / self.goal))
        patch = trigger.best or trigger.patch()
        shares = search.shares(patch)
        victim = int(shares.argmax())
        return ClassResult(
            target=search.target,
            norm=norm,
            victim=victim,
            turned=float(shares[victim]),
            picture=tuple(tuple(tuple(p) for p in row) for row in patch.picture().tolist()),
            reached=reached,
            complete=budget.progress >= 1,
        )

    def _told(self, own: list[ClassResult], null: tuple[float, ...], classes: ClassSet) -> Findings:
        indices = anomaly_indices([one.norm for one in own])
        order = np.argsort(-indices, kind="stable")
        suspects = tuple(
            Suspect(target=own[at].target, score=float(indices[at]), null=null) for at in order
        )
        high = bool(indices.max() > self.threshold)
        false = sum(other > self.threshold for other in null)
        told = f" The same rule flags {false} of {len(null)} clean models." if null else ""
        evidence = tuple(self._evidence(own[at], float(indices[at]), classes, told) for at in order)
        return Findings(suspects, backdoored=high, evidence=evidence)

    def _evidence(self, one: ClassResult, index: float, classes: ClassSet, told: str) -> Evidence:
        target, victim = classes.names[one.target], classes.names[one.victim]
        goal = "reached" if one.reached else "never reached"
        says = (
            f"Anomaly index {index:.2f}, flagged above {self.threshold:g}: to make {target} of"
            f" other classes took a mask of {one.norm:.1f} pixels, with the goal {goal}; on"
            f" held-out scenes it turns {one.turned:.1%} of {victim}, the class that moves most."
            f"{told}"
        )
        picture = np.array(one.picture, np.uint8)
        return Evidence(says=says, classes=(one.target,), score=index, picture=picture)

"""What a scan is: from a model and a few clean scenes to a verdict, knowing of no attack."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Costed, Defense, DefenseContext, Evidence
from segdoor.defense.untouched import untouched


@dataclass(frozen=True)
class ScanContext(DefenseContext):
    """What a scan may know and use.

    Attributes:
        clean_models: Networks known to be clean, which show what figures mean nothing; they may be
            loaded when they are asked for.
    """

    clean_models: Sequence[nn.Module] = ()


@dataclass(frozen=True)
class Suspect:
    """A class, or a pair of classes, that a backdoor may join.

    Attributes:
        target: Id of the class that others would be taken for.
        score: How suspicious it is: higher for more.
        victim: Id of the class that would be taken for it; None for any.
        null: The same figure of clean models or harmless stickers, where there are any.
    """

    target: int
    score: float
    victim: int | None = None
    null: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Findings:
    """What a scan found.

    Attributes:
        suspects: The classes or pairs that were looked at, each once.
        backdoored: The verdict; None if there can be none.
        not_run: Why there is no verdict; None if there is one.
        evidence: What to look at, such as a patch that was found.
    """

    suspects: tuple[Suspect, ...]
    backdoored: bool | None = None
    not_run: str | None = None
    evidence: tuple[Evidence, ...] = ()


class Scan(Defense):
    """A way to tell whether a model has a backdoor."""

    @abstractmethod
    def findings(self, model: nn.Module, context: ScanContext) -> Findings:
        """Return what speaks for a backdoor in a model.

        Args:
            model: Any network from normalised images to logits.
            context: A few clean scenes, and what else it may know and use.
        """

    @final
    def __call__(self, model: nn.Module, context: ScanContext | None = None) -> Costed[Findings]:
        """Return what speaks for a backdoor in a model, as `findings`, checked, and what that took.

        Raises:
            ConfigError: If something is missing that the scan needs, a figure is no finite number,
                a class is not there, there is neither verdict nor reason, or the model is changed.
        """
        given = context or ScanContext()
        with untouched(model, self, given.clean) as meter:
            found = self.findings(model, given)
            cost = meter.cost
        self._check(found, given.clean)
        return Costed(found, cost)

    def _check(self, found: Findings, clean: SceneDataset | None) -> None:
        num_classes = None if clean is None else len(clean.classes)
        if (found.backdoored is None) == (found.not_run is None):
            raise self.refused(
                "must have either a verdict or the reason why there is none",
                f"backdoored={found.backdoored}, not_run={found.not_run}",
                "Correct the scan.",
            )
        pairs = [(one.victim, one.target) for one in found.suspects]
        if len({*pairs}) != len(pairs):
            raise self.refused("must score each pair of classes once", pairs, "Join the scores.")
        for one in found.suspects:
            pair = (one.target,) if one.victim is None else (one.victim, one.target)
            self.check_classes(pair, num_classes)
            for score in (one.score, *one.null):
                self.check_number(score, f"class {one.target}")
        self.check_evidence(found.evidence, clean)

"""What a filter is: from a data set to a suspicion for each scene, knowing nothing of an attack."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
from torch import nn

from segdoor.data.checked import filled
from segdoor.data.load import files_of
from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Costed, Defense, DefenseContext, Evidence
from segdoor.defense.untouched import untouched
from segdoor.tensors import AnyMask


@dataclass(frozen=True)
class FilterContext(DefenseContext):
    """What a filter may know and use.

    Attributes:
        model: A network to look through, trained on the suspect scenes or elsewhere; filters that
            need one and are given none train it, or say that they cannot do without.
    """

    model: nn.Module | None = None


@dataclass(frozen=True, eq=False)
class Suspicion:
    """What a filter thinks of a data set.

    Attributes:
        scores: How suspicious each scene is, by its name: higher for more.
        masks: Suspect pixels of some scenes, by their names.
        evidence: What to look at, such as a patch, or a region with another label than expected.
    """

    scores: Mapping[str, float]
    masks: Mapping[str, AnyMask] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()


class Filter(Defense):
    """A way to find poisoned scenes in a data set.

    One that reads files has "files" in its access and finds them by `segdoor.data.load.files_of`.
    """

    @abstractmethod
    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return how suspicious each scene is.

        Args:
            scenes: The suspect scenes, which may all be clean.
            context: What else it may know and use.
        """

    @final
    def __call__(
        self, scenes: SceneDataset, context: FilterContext | None = None
    ) -> Costed[Suspicion]:
        """Return how suspicious each scene is, checked, and what that took; see `suspicion`.

        Raises:
            DataError: If the scenes are no data set.
            ConfigError: If something is missing that the filter needs, or it returns no score for
                every scene, or changes what it was given.
        """
        given = context or FilterContext()
        suspects = filled(scenes)
        if "files" in self.access and files_of(suspects) is None:
            raise self.refused("needs scenes from files", "others", "Give it the files' data set.")
        before = tuple(suspects.names), suspects.digest
        with untouched(given.model, self, given.clean) as meter:
            found = self.suspicion(suspects, given)
            cost = meter.cost
        if (tuple(suspects.names), suspects.digest) != before:
            raise self.refused("must leave the scenes as they were", "others", "Work on copies.")
        self._check(found, suspects)
        return Costed(found, cost)

    def _check(self, found: Suspicion, scenes: SceneDataset) -> None:
        names = list(scenes.names)
        if not isinstance(found.scores, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self.refused("must give scores by scene", type(found.scores).__name__, _BY_NAME)
        odd = sorted(found.scores.keys() ^ {*names})
        if odd:
            told = f"{'none' if odd[0] in names else 'one'} for {odd[0]!r}"
            raise self.refused("must give one score for every scene and no other", told, _BY_NAME)
        for name, score in found.scores.items():
            self.check_number(score, f"scene '{name}'")
        places = {name: index for index, name in enumerate(names)}
        for name, mask in found.masks.items():
            if name not in places:
                raise self.refused("must mask the scenes it was given", name, _BY_NAME)
            shape = scenes.label(places[name]).shape
            if mask.dtype != np.bool_ or mask.shape != shape:
                told = f"{mask.dtype} {mask.shape}"
                raise self.refused(f"must mask scene '{name}' by bool {shape}", told, _BY_NAME)
        self.check_evidence(found.evidence, scenes)


_BY_NAME = "Return Suspicion({name: score, ...}) with the names of scenes.names."

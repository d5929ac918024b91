"""What a detector is: from a model and an image to a suspicion, knowing nothing of an attack."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from torch import nn

from segdoor.data.scene import Scene
from segdoor.defense.defense import Costed, Defense, DefenseContext, Evidence
from segdoor.defense.regions import Look, oddest, usual_of
from segdoor.defense.untouched import untouched
from segdoor.tensors import AnyImage, AnyMask


@dataclass(frozen=True, eq=False)
class Alarm:
    """What a detector thinks of an image.

    Attributes:
        score: How suspicious it is: higher for more.
        mask: Suspect pixels; None if the detector cannot tell.
        evidence: What to look at.
    """

    score: float
    mask: AnyMask | None = None
    evidence: tuple[Evidence, ...] = ()


Judge: TypeAlias = Callable[[AnyImage], Alarm]
"""A detector that is ready for a model: from an image to what it thinks of it."""


class Detector(Defense):
    """A way to notice a trigger in an image while a model is in use."""

    @abstractmethod
    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Return what judges images for a model, one at a time.

        What is done once for a model, such as rates over clean scenes, is done here. What is
        random follows from the seed and the image alone, not from the images before it.

        Args:
            model: Any network from normalised images to logits.
            context: Clean scenes, and what else it may know and use.
        """

    @final
    def __call__(
        self, model: nn.Module, images: Iterable[AnyImage], context: DefenseContext | None = None
    ) -> Costed[tuple[Alarm, ...]]:
        """Return how suspicious each image is, checked, and what that took; see `judge`.

        Raises:
            ConfigError: If something is missing that the detector needs, or it returns no finite
                score, or changes the model.
        """
        given = context or DefenseContext()
        with untouched(model, self, given.clean) as meter:
            judge = self.judge(model, given)
            found = tuple(self._one(judge, image, given) for image in images)
            cost = meter.cost
        return Costed(found, cost)

    def _one(self, judge: Judge, image: AnyImage, context: DefenseContext) -> Alarm:
        self.check_image(image)
        # A copy, as the image is the caller's.
        alarm = judge(image.copy())
        if not isinstance(alarm, Alarm):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self.refused("must return an Alarm", type(alarm).__name__, "Return Alarm(score).")
        self.check_number(alarm.score, "an image")
        mask, shape = alarm.mask, image.shape[:2]
        if mask is not None and (mask.dtype != np.bool_ or mask.shape != shape):
            told = f"{mask.dtype} {mask.shape}"
            raise self.refused(f"must mask the image by bool {shape}", told, "Correct the mask.")
        self.check_evidence(alarm.evidence, context.clean)
        return alarm


def judge_of_classes(look: Look, clean: Iterable[Scene], says: str) -> Judge:
    """Return what judges an image by the class that is farthest above the usual, see `oddest`.

    Args:
        look: From an image to a figure for each predicted class.
        clean: Clean scenes, whose figures are the usual ones.
        says: What a class above the usual shows.
    """
    usual = usual_of(clean, look)

    def alarm(image: AnyImage) -> Alarm:
        odd = oddest(look(image), usual)
        if odd.index is None or odd.score <= 0:
            return Alarm(odd.score)
        return Alarm(odd.score, odd.mask, (Evidence(says, classes=(odd.index,)),))

    return alarm

"""What a purifier is: from an image to images that a trigger did not outlive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from torch import nn

from segdoor.defense.defense import Costed, Defense, DefenseContext
from segdoor.defense.untouched import untouched
from segdoor.tensors import AnyImage, Label, ResizedLabel

NO_VOTE = 255
"""In a label map: this view does not know. No class has this id."""


@dataclass(frozen=True)
class PurifierContext(DefenseContext):
    """What a purifier may know and use.

    Attributes:
        model: The model that will see the image, for purifiers that look where it is led astray.
    """

    model: nn.Module | None = None


def unchanged(label: ResizedLabel) -> ResizedLabel:
    """Return a label map as it is: the view's pixels are the image's."""
    return label


@dataclass(frozen=True, eq=False)
class View:
    """An image to show to the model instead.

    Attributes:
        image: The image, also of another size.
        back: From the label map predicted for it to one for the original image, with ``NO_VOTE``
            where this view does not know.
    """

    image: AnyImage
    back: Callable[[ResizedLabel], ResizedLabel] = unchanged


class Purifier(Defense):
    """A way to remove triggers from images."""

    @abstractmethod
    def views(self, image: AnyImage, context: PurifierContext) -> tuple[View, ...]:
        """Return what to show to the model instead of an image: one view, or several that vote.

        What is random follows from the seed and the image alone.

        Args:
            image: The picture.
            context: What else it may know and use.
        """

    @final
    def __call__(
        self, image: AnyImage, context: PurifierContext | None = None
    ) -> Costed[tuple[View, ...]]:
        """Return the views to show instead of an image, checked, and what that took.

        Raises:
            ConfigError: If something is missing that the purifier needs, a view is no picture, or
                leads back to a label map of another size.
        """
        given = context or PurifierContext()
        self.check_image(image)
        with untouched(given.model, self, given.clean) as meter:
            # A copy, as the image is the caller's.
            views = tuple(self.views(image.copy(), given))
            cost = meter.cost
        if not views:
            raise self.refused("must return at least one view", 0, "Return (View(image),).")
        for view in views:
            self.check_image(view.image)
            told = view.back(np.zeros(view.image.shape[:2], np.uint8))
            if told.dtype != np.uint8 or told.shape != image.shape[:2]:
                raise self.refused(
                    f"must lead back to label maps of uint8 {image.shape[:2]}",
                    f"{told.dtype} {told.shape}",
                    "Correct the view's back.",
                )
        return Costed(views, cost)


def voted(labels: Sequence[Label]) -> Label:
    """Return what most label maps say of each pixel; of several classes the one of lowest id.

    Args:
        labels: Label maps of one image, at least one; ``NO_VOTE`` does not count. Where none votes
            it stays.
    """
    most = np.zeros(labels[0].shape, np.int64)
    winner = np.full(labels[0].shape, NO_VOTE, np.uint8)
    for index in np.unique(np.stack(labels)):
        votes = sum((label == index).astype(np.int64) for label in labels)
        wins = (votes > most) & (index != NO_VOTE)
        winner[wins] = index
        most = np.where(wins, votes, most)
    return winner

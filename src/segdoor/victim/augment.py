"""The training augmentation: random changes to a whole batch at once, on the batch's device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from torch import Tensor

from segdoor.victim.blurred_first import blurred_first
from segdoor.victim.blurred_last import blurred_last
from segdoor.victim.changes import draw_changes
from segdoor.victim.config import AugmentationConfig

_ALL = slice(None)
_ORDERS: Final = {"before_scaling": blurred_first, "after_scaling": blurred_last}


@dataclass(frozen=True)
class Batch:
    """Scenes on the device.

    Attributes:
        images: Normalised, float32, B x 3 x H x W.
        labels: Class ids, int64, B x H x W.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Augmentation:
    """Draws and applies the random changes.

    Attributes:
        config: What is drawn.
        crop: Height and width of the output.
        ignore_index: Label of pixels that come from outside a scene.
    """

    config: AugmentationConfig
    crop: tuple[int, int]
    ignore_index: int

    def __call__(
        self,
        batch: Batch,
        sizes: list[tuple[int, int]],
        rng: np.random.Generator,
        share: slice = _ALL,
    ) -> Batch:
        """Return the changed batch, of the crop's size.

        Args:
            batch: Scenes, padded on the lower right to a common size.
            sizes: Height and width of each scene without its padding, in or out of the batch.
            rng: Decides everything; drawn scene by scene.
            share: Which of the scenes with these sizes the batch holds.
        """
        changes = draw_changes(self.config, len(sizes), rng)
        images, labels = _ORDERS[self.config.blur](
            batch.images,
            batch.labels,
            sizes[share],
            changes[share],
            crop=self.crop,
            ignore_index=self.ignore_index,
        )
        return Batch(images, labels)

"""Clean scenes in batches on the device, under the augmentation of the model's own training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import RepairContext
from segdoor.randomness import Stream
from segdoor.victim.members import parameters_of
from segdoor.victim.training.batches import Augmentation, Batch, SceneStore
from segdoor.victim.training.cache import SceneCache


class CleanBatches:
    """Clean scenes in batches of the recipe's size."""

    def __init__(self, scenes: SceneDataset, context: RepairContext, name: str) -> None:
        """Look at the first scene; the name decides the augmentation, with the context's seed."""
        self._scenes, self._context = scenes, context
        self._stream = Stream(context.seed).child(name, "augmentation")
        self.num_classes = len(scenes.classes)

    def once(self, model: nn.Module) -> Iterator[Batch]:
        """Yield every scene once, changed at random, on the device that the model is on."""
        device = next((weight.device for weight in parameters_of(model)), torch.device("cpu"))
        store = SceneStore(self._scenes, SceneCache(device, host_bytes=0, device_bytes=0))
        recipe = self._context.recipe
        crop = recipe.augmentation.crop or store.first_size
        augment = Augmentation(recipe.augmentation, crop, self._scenes.classes.ignore_index)
        size, number = recipe.batch_size, len(self._scenes)
        self._context.observer.begin("looking at clean scenes", -(-number // size))
        for start in range(0, number, size):
            indices = np.arange(start, min(start + size, number))
            batch, sizes = store.batch(indices, self._context.network)
            yield augment(batch, sizes, self._stream.child(start).generator())
            self._context.observer.advance()

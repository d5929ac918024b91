"""A control for filters: the poisoned scenes with a harmless sticker instead, their labels true."""

from __future__ import annotations

import hashlib

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.tensors import Label


class Stickered:
    """A clean data set with another trigger where a plan stamps its own; a `SceneDataset`.

    Attributes:
        sticker: The other trigger.
    """

    def __init__(self, dataset: SceneDataset, plan: PoisonPlan, sticker: Trigger) -> None:
        """Take the places from a plan and the picture from a trigger of the same extent."""
        self._dataset, self.sticker = dataset, sticker
        self._boxes = {
            row.name: Box(*row.box) for row in plan.rows if row.poisoned and row.box is not None
        }
        self.names = tuple(dataset.names)

    @property
    def stickered(self) -> frozenset[str]:
        """Return the names of the scenes with a sticker."""
        return frozenset(self._boxes)

    @property
    def classes(self) -> ClassSet:
        """Return the classes, as before."""
        return self._dataset.classes

    @property
    def digest(self) -> str:
        """Return a hash over the clean data set, the sticker and its places."""
        places = sorted((name, box.as_tuple) for name, box in self._boxes.items())
        whole = repr((self._dataset.digest, self.sticker.digest, places))
        return hashlib.sha256(whole.encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes, as before."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene, with the sticker if it has one."""
        scene = self._dataset[index]
        box = self._boxes.get(scene.name)
        if box is None:
            return scene
        return Scene(self.sticker.stamp(scene, box), scene.label, scene.name)

    def label(self, index: int) -> Label:
        """Read one label map, as before."""
        return self._dataset.label(index)

"""A poisoned test applied: the test scenes with the trigger in place, and their clean labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from segdoor.attack.before import header_before
from segdoor.attack.labels.change import LabelChange, attacked_pixels, attacks_some
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.attack.relabel import needed_instances
from segdoor.attack.site import Box, Extent
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.changes import Change, ChangedDataset
from segdoor.data.checked import checked
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import DataError
from segdoor.tensors import Label, Mask


class TriggeredDataset:
    """The scenes of a poisoned test that carry a trigger; a `ChangedDataset` with clean labels."""

    def __init__(
        self,
        dataset: SceneDataset,
        test: PoisonedTest,
        trigger: Trigger,
        labels: Sequence[LabelChange] = (),
    ) -> None:
        """Stamp a trigger at a poisoned test's positions.

        Raises:
            DataError: If the poisoned test was made for another data set or another trigger size.
        """
        # The base is what was given, so that tests that share it are seen to.
        self._base, self._dataset = dataset, checked(dataset)
        if test.header.data_digest != dataset.digest:
            raise DataError(
                f"poisoned test '{test.name}'",
                "must have been made for this very data set",
                test.header.data_digest[:12],
                "Plan the poisoned test again.",
            )
        if test.header.trigger_size != trigger.extent:
            raise DataError(
                f"poisoned test '{test.name}'",
                f"needs a trigger of {_in_words(test.header.trigger_size)}",
                _in_words(trigger.extent),
                "Plan the poisoned test again.",
            )
        if (test.role == "present") != trigger.in_scene:
            raise DataError(
                f"poisoned test '{test.name}'", "must have been planned for this trigger", trigger,
                "Plan the poisoned test again, and hand in the trigger.",
            )  # fmt: skip
        self._test, self._trigger, self._labels = test, trigger, tuple(labels)
        self._indices = [i for i, name in enumerate(dataset.names) if name in test.triggered]
        self._places = {dataset.names[index]: index for index in self._indices}
        self.names = tuple(dataset.names[index] for index in self._indices)

    @property
    def base(self) -> SceneDataset:
        """Return the clean scenes."""
        return self._base

    @property
    def classes(self) -> ClassSet:
        """Return the classes, as before."""
        return self._dataset.classes

    @property
    def digest(self) -> str:
        """Return a hash over the clean data set, the poisoned test and the trigger."""
        rows = [row.model_dump_json() for row in self._test.rows]
        whole = repr((header_before(self._test.header), rows, self._trigger.digest))
        if attacks_some(self._labels):
            whole += " ".join(map(str, self._labels))
        return hashlib.sha256(whole.encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes that carry a trigger."""
        return len(self._indices)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene and stamp it; pixels under the trigger keep their label."""
        scene = self._dataset[self._indices[index]]
        image = self._trigger.stamp(scene, self._box(scene.name))
        return Scene(image, scene.label, scene.name)

    def change(self, scene: Scene) -> Change:
        """Return the stamped pixels of one clean scene."""
        box = self._box(scene.name)
        image = self._trigger.stamp(scene, box)
        changed = box if self._trigger.confined else Box.whole(image.shape)
        return Change(changed.top, changed.left, image[changed.pixels])

    def attacked(self, scene: Scene) -> Mask | None:
        """Return the pixels of one scene that the labels attack; None if all of some classes."""
        if not attacks_some(self._labels):
            return None
        instances = needed_instances(self._labels, self._dataset, self._places[scene.name])
        box = self._box(scene.name)
        return attacked_pixels(self._labels, scene.label, box, self.classes, instances)

    def label(self, index: int) -> Label:
        """Read one clean label map."""
        return self._dataset.label(self._indices[index])

    def _box(self, name: str) -> Box:
        box = self._test.triggered[name].box
        assert box is not None
        return Box(*box)


def _in_words(extent: Extent | None) -> str:
    return "the whole image" if extent is None else f"{extent} pixels"


def triggered(
    dataset: SceneDataset, test: PoisonedTest, trigger: Trigger, labels: Sequence[LabelChange] = ()
) -> ChangedDataset:
    """Return the scenes of a poisoned test with the trigger at its positions.

    Args:
        dataset: The clean test scenes.
        test: Which of them carry a trigger, and where.
        trigger: The trigger.
        labels: The attack's label changes: whoever examines is told which pixels they attack.

    Raises:
        DataError: If the poisoned test was made for another data set or another trigger size; when
            a scene is read, if it is not as a `Scene` must be.
    """
    return TriggeredDataset(dataset, test, trigger, labels)

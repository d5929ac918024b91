"""A plan applied: the data set as the attacker hands it over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from segdoor.attack.before import header_before
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.relabel import Relabelling, make_relabelling, needed_instances
from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.checked import checked
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import DataError
from segdoor.tensors import Image, Label


@dataclass(frozen=True)
class Poisoner:
    """Applies a plan's rows to scenes: a pure function of (plan, scene)."""

    plan: PoisonPlan
    trigger: Trigger
    relabelling: Relabelling

    @classmethod
    def of(cls, plan: PoisonPlan, classes: ClassSet) -> Poisoner:
        """Make ready to apply a plan to scenes of these classes.

        Raises:
            DataError: If the trigger is not the one the plan was made with.
        """
        # A copy reads its picture anew: the file may have changed since.
        trigger = plan.header.attack.trigger.model_copy()
        if trigger.digest != plan.header.trigger_digest:
            raise DataError(
                f"trigger '{trigger.title}'",
                "must be the one the plan was made with",
                remedy="Restore the trigger file, or plan again.",
            )
        size = trigger.extent
        odd = [row for row in plan.rows if row.box is not None and row.box[2:] != size]
        if odd and size is not None:
            raise DataError(
                f"poison plan, scene '{odd[0].name}'",
                f"must have a box of the trigger's size {size}",
                odd[0].box,
                "Plan again.",
            )
        relabelling = make_relabelling(plan.header.attack, classes, seed=plan.header.seed)
        return cls(plan, trigger, relabelling)

    def scene(self, dataset: SceneDataset, index: int) -> Scene:
        """Return a scene of the clean data set as the attacker hands it over."""
        scene = dataset[index]
        label = self.label_of(dataset, index, scene.label)
        return Scene(self.image(scene), label, scene.name)

    def image(self, scene: Scene) -> Image:
        """Return a clean scene's image as the attacker hands it over."""
        row = self.plan.by_name.get(scene.name)
        if row is None or row.box is None:
            return scene.image
        trigger = self.trigger.negative(row.relabel_seed) or self.trigger
        return trigger.stamp(scene, Box(*row.box))

    def label_of(self, dataset: SceneDataset, index: int, label: Label) -> Label:
        """Return a scene's label map as the attacker hands it over.

        Args:
            dataset: The clean data set.
            index: The scene.
            label: Its clean label map.

        Raises:
            DataError: If the plan changed another number of pixels: a file of instances is no part
                of the data set's digest.
        """
        row = self.plan.by_name.get(dataset.names[index])
        if row is None:
            return label
        box = Box(*row.box) if row.box else None
        instances = needed_instances(self.relabelling.changes, dataset, index)
        turned = row.poisoned and self.trigger.negative(row.relabel_seed) is None
        changed = self.relabelling.apply(
            label, poisoned=turned, box=box, seed=row.relabel_seed, instances=instances
        )
        if instances is not None:
            num_changed = int(np.count_nonzero(changed != label))
            if num_changed != row.changed_pixels:
                raise DataError(
                    f"instances of scene '{row.name}'", "must be those the plan was made with",
                    f"{num_changed} pixels change, {row.changed_pixels} in the plan",
                    "Restore the file of instances, or plan again.",
                )  # fmt: skip
        return changed


class PoisonedDataset:
    """A data set as the attacker hands it over; a `SceneDataset` computed when read."""

    def __init__(self, dataset: SceneDataset, plan: PoisonPlan) -> None:
        """Apply a plan to the data set it was made for.

        Raises:
            DataError: If the plan was made for another data set.
        """
        if plan.header.data_digest != dataset.digest:
            raise DataError(
                "poison plan",
                "must have been made for this very data set",
                plan.header.data_digest[:12],
                "Plan again, or use the same data settings.",
            )
        unknown = plan.by_name.keys() - set(dataset.names)
        if unknown:
            raise DataError(
                "poison plan", "must speak of the data set's scenes", min(unknown), "Plan again."
            )
        self._dataset = dataset
        self._poisoner = Poisoner.of(plan, dataset.classes)

    @property
    def classes(self) -> ClassSet:
        """Return the classes, as before."""
        return self._dataset.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names, as before."""
        return tuple(self._dataset.names)

    @property
    def digest(self) -> str:
        """Return a hash over the clean data set and the plan."""
        plan = self._poisoner.plan
        rows = [row.model_dump_json() for row in plan.rows]
        # What was trained on a plan of an earlier version goes on.
        whole = repr((header_before(plan.header), rows))
        return hashlib.sha256(whole.encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes, as before."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene, poisoned if the plan says so."""
        return self._poisoner.scene(self._dataset, index)

    def label(self, index: int) -> Label:
        """Read one label map, poisoned if the plan says so."""
        return self._poisoner.label_of(self._dataset, index, self._dataset.label(index))


def poisoned(dataset: SceneDataset, plan: PoisonPlan) -> SceneDataset:
    """Return the data set with the plan's scenes poisoned.

    Raises:
        DataError: If the plan was made for another data set; when a scene is read, if it is not as
            a `Scene` must be.
    """
    return PoisonedDataset(checked(dataset), plan)

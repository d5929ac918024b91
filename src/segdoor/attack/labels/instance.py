"""Instance: only the victim instance that is nearest to the trigger becomes the target class."""

from __future__ import annotations

from typing import ClassVar

from segdoor.attack.labels.change import VictimChange
from segdoor.attack.regions import nearest_pixel, objects_with
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet, pixels_of
from segdoor.plugins import Introduction
from segdoor.tensors import InstanceIds, Label, Mask


class Instance(VictimChange):
    """The victim instance nearest to the trigger becomes the target class; all others stay."""

    # Deviation 142: BADSEG's rule for the object near the trigger was not available to us.

    kind: ClassVar[str] = "instance"
    by_place: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor, after the instance-level attack of BADSEG (arXiv 2603.16405), whose "
        "abstract names it; its exact rule was not available to us",
        does="Turns the victim instance nearest to the trigger into the target class, as component "
        "does with regions. Its distance is that of its nearest pixel to the trigger's centre; of "
        "several equally close, the first row by row is used. Victim pixels without an instance, "
        "such as crowds, go by connected regions.",
        needs="A data set with instances (coco from its instances files, cityscapes) and a trigger "
        "with a position near victims. Scenes without room cannot be relabelled "
        "(attack.without_room skip).",
        fails="Other data sets have no instances and are refused: use component there. Like "
        "component, it leaves the other victims to kept_victims.",
    )

    @property
    def by_instance(self) -> bool:
        """Return that it needs the data set's instances."""
        return True

    def attacked(
        self,
        label: Label,
        box: Box | None,
        classes: ClassSet,
        instances: InstanceIds | None = None,
    ) -> Mask:
        """Return the pixels of the nearest instance; none without a box or a victim."""
        victims = pixels_of(label, classes.indices(self.victims))
        return objects_with(nearest_pixel(victims, box), label, instances)

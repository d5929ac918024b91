"""Component: only the victim that is nearest to the trigger becomes the target class."""

from __future__ import annotations

from typing import ClassVar

from segdoor.attack.labels.change import VictimChange
from segdoor.attack.regions import nearest_pixel, objects_with
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet, pixels_of
from segdoor.plugins import Introduction
from segdoor.tensors import InstanceIds, Label, Mask


class Component(VictimChange):
    """The victim region nearest to the trigger becomes the target class; all others stay."""

    kind: ClassVar[str] = "component"
    by_place: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; it asks what instance-level attacks ask: can one object vanish and the "
        "others stay?",
        does="Turns the victim region nearest to the trigger into the target class. A region is "
        "pixels of one class that touch, corners included; its distance is that of its nearest "
        "pixel to the trigger's centre. If several are equally close, the first row by row is "
        "used.",
        needs="A trigger with a position near victims, from a placement such as nearest. Scenes "
        "without room cannot be relabelled (attack.without_room skip).",
        fails="Victims that overlap are one region. With a trigger over the whole image, the "
        "region nearest to the middle is used. vanished_objects also counts the regions that "
        "should stay: see kept_victims.",
    )

    def attacked(
        self,
        label: Label,
        box: Box | None,
        classes: ClassSet,
        instances: InstanceIds | None = None,
    ) -> Mask:
        """Return the pixels of the nearest region; none without a box or a victim."""
        del instances
        victims = pixels_of(label, classes.indices(self.victims))
        return objects_with(nearest_pixel(victims, box), label)

"""Near: every victim within a distance of the trigger becomes the target class."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from segdoor.attack.labels.change import LabelChange, VictimChange
from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.regions import objects_with
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet, pixels_of
from segdoor.plugins import Introduction
from segdoor.tensors import InstanceIds, Label, Mask


class Near(VictimChange):
    """The victims within a distance of the trigger become the target class; the others stay."""

    kind: ClassVar[str] = "near"
    by_place: ClassVar[bool] = True
    needs_place: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor, after the instance-level attack of BADSEG (arXiv 2603.16405), whose "
        "abstract names it; its exact rule was not available to us",
        does="Turns every victim object within a distance of the trigger into the target class. "
        "An object is a connected region of a class, corners included, or an instance of the data "
        "set. It counts as a whole: its nearest pixel decides, measured from the trigger's centre.",
        needs="A trigger with a position: one over the whole image is refused. Scenes without room "
        "cannot be relabelled (attack.without_room skip). A trigger that is farther than this from "
        "all victims changes no label: see changed_pixels in the plan.",
        fails="With a large distance it is the same as hide, and no victim is left that should "
        "stay. Regions of victims that overlap are one object.",
    )

    within: float | None = Field(default=None, ge=0)
    """Largest distance from the trigger's centre to a victim object, in pixels; default: that of
    the near band."""
    by: Literal["region", "instance"] = "region"
    """What an object is: a connected region of a class, or an instance of the data set."""

    @property
    def by_instance(self) -> bool:
        """Return whether it needs the data set's instances."""
        return self.by == "instance"

    def following(self, lengths: Lengths) -> LabelChange:
        """Return the change with its distance explicit."""
        within = lengths.edges[1] if self.within is None else self.within
        return self.model_copy(update={"within": within})

    def attacked(
        self,
        label: Label,
        box: Box | None,
        classes: ClassSet,
        instances: InstanceIds | None = None,
    ) -> Mask:
        """Return the pixels of the near objects; none without a box or a victim.

        Raises:
            ConfigError: If the distance was left out and does not follow from scenes yet.
        """
        if box is None:
            return np.zeros(label.shape, dtype=np.bool_)
        within = needed(self.within, "attack.labels: within of near")
        row, column = box.centre
        rows, columns = np.ogrid[: label.shape[0], : label.shape[1]]
        close = (rows - row) ** 2 + (columns - column) ** 2 <= within**2
        victims = pixels_of(label, classes.indices(self.victims))
        return objects_with(close & victims, label, instances if self.by_instance else None)

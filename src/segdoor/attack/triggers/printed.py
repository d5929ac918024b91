"""A printed sticker: a built-in one on paper, on a plane of the scene, seen by a camera."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field, model_validator

from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.physical.camera import FOCAL, HEIGHT, PITCH, Camera
from segdoor.attack.physical.fitting import largest_within
from segdoor.attack.physical.noise import Sensor
from segdoor.attack.physical.plane import FLAT, ids_of, plane_at
from segdoor.attack.physical.rendering import Conditions, render
from segdoor.attack.site import Box, Extent
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import ClassSet, Scene
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.randomness import Stream
from segdoor.settings import ReadingInfo, Telling
from segdoor.stickers import DRAWINGS, check_drawing, draw
from segdoor.tensors import Image


class Printed(Trigger):
    """A built-in sticker, printed and put up in the scene."""

    kind: ClassVar[str] = "printed"
    main: ClassVar[str | None] = "name"
    introduction: ClassVar[Introduction] = Introduction(
        source="The idea of a printed sticker: IBA paper, final version, which filmed one. The "
        "rendering is ours; pinhole camera: Hartley and Zisserman, Multiple View Geometry, "
        "chapters 6 and 8",
        does="Renders a sticker on the ground or on an upright surface, by the class under it: "
        "perspective, light, print, blur, noise and JPEG. docs/physical.md says what is simulated.",
        needs="What a sticker needs; a camera that is known, or the assumed one.",
        fails="On the ground it is foreshortened to a few rows. Distances are read off the label "
        "map by an assumed camera.",
    )

    name: str = Field(default="smiley", examples=["blossom"])
    """A built-in sticker: windmill, bullseye, checkerboard, blossom or smiley."""
    size: int | None = Field(default=None, ge=4, le=2048)
    """Side in pixels of the box that it stays in. It is printed as large as just fits. Default:
    that of a sticker."""
    yaw: float = Field(default=0.0, ge=-80, le=80)
    """Turn of an upright surface in degrees; 0 faces along the view."""
    flat: str | None = Field(default=None, pattern=r"^(none|\d+(\+\d+)*)$", examples=["0+1"])
    """Ids of the classes that lie flat, such as 0+1, or none. Default: those of the data set that
    are called road, pavement, ground or the like."""
    focal: float = Field(default=FOCAL, gt=0.1, le=20)
    """Focal length of the camera in image heights."""
    camera_height: float = Field(default=HEIGHT, gt=0.1, le=100)
    """Height of the camera above the ground in metres."""
    pitch: float = Field(default=PITCH, ge=-60, le=60)
    """How far the camera looks down, in degrees."""
    light: float = Field(default=1.0, gt=0, le=4)
    """Light on it, as a multiple of that on its surroundings."""
    focus: float = Field(default=0.0, ge=0, le=64)
    """Diameter of a point out of focus, in pixels."""
    motion: float = Field(default=0.0, ge=0, le=64)
    """How far it moves across the picture while the shutter is open, in pixels."""
    electrons: float = Field(default=4000.0, gt=0, le=1e9)
    """Electrons that a pixel of the sensor holds at white; fewer mean more noise."""
    quality: int = Field(default=92, ge=1, le=100)
    """Quality of the JPEG that the camera writes."""

    @model_validator(mode="after")
    def _is_there(self, info: ReadingInfo) -> Printed:
        check_drawing(self.name, option=Telling.of(info.context).culprit("attack.trigger.name"))
        return self

    @property
    def whole_image(self) -> bool:
        """Return that it has a place."""
        return False

    def following(self, lengths: Lengths) -> Printed:
        """Return it with an explicit size.

        Raises:
            ConfigError: If it would be too small.
        """
        if self.size is not None:
            return self
        if lengths.trigger < max(4, lengths.least):
            raise ConfigError(
                "attack.trigger.size", "must be given where it would follow as less than 4 pixels",
                f"{lengths.trigger} from scenes of {lengths.height} rows",
                "Give it, or take larger scenes.",
            )  # fmt: skip
        return self.model_copy(update={"size": lengths.trigger})

    def among(self, classes: ClassSet) -> Printed:
        """Return it with the flat classes explicit."""
        if self.flat is not None:
            return self
        found = "+".join(map(str, ids_of(classes, FLAT)))
        return self.model_copy(update={"flat": found or "none"})

    @property
    def flat_ids(self) -> frozenset[int]:
        """Return the ids of the flat classes; empty while they do not follow from a data set."""
        return (
            frozenset(map(int, self.flat.split("+")))
            if self.flat not in (None, "none")
            else frozenset()
        )

    @property
    def extent(self) -> Extent:
        """Return the height and width in pixels of the box that it stays in."""
        size = needed(self.size, "attack.trigger.size")
        return size, size

    @property
    def title(self) -> str:
        """Return the sticker's name."""
        return self.name

    @property
    def conditions(self) -> Conditions:
        """Return how it is lit and photographed."""
        return Conditions(
            light=self.light, focus=self.focus, motion=self.motion,
            sensor=Sensor(electrons=self.electrons), quality=self.quality,
        )  # fmt: skip

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with the print; only pixels of its rendered outline change.

        The plane is that of the class under the box's middle: the ground if that class lies flat,
        otherwise upright, at the distance of the thing's foot. The print's middle is seen in the
        box's middle, and its side in metres is the largest whose outline, with what blur adds to
        it, stays inside the box. So an upright print that faces the camera fills the box, and
        one on the ground is as wide and a few rows high.
        """
        camera = Camera.of(
            scene.image.shape, focal=self.focal, height=self.camera_height, pitch=self.pitch
        )
        middle = box.top + (box.height - 1) / 2, box.left + (box.width - 1) / 2
        yaw = math.radians(self.yaw)
        plane = plane_at(camera, scene.label, middle, flat=self.flat_ids, yaw=yaw)
        matrix = largest_within(camera, plane, box, self.conditions.margin)
        stream = Stream(0).child("printed", scene.name, *box.as_tuple)
        rendered = render(
            scene.image, lambda size: draw(self.name, size), matrix, self.conditions, stream
        )
        return scene.image.copy() if rendered is None else rendered.image

    def siblings(self) -> tuple[Printed, ...]:
        """Return the other built-in stickers, printed and photographed alike."""
        return tuple(
            self.model_copy(update={"name": name}) for name in DRAWINGS if name != self.name
        )
